//! The comparison of two prediction sets, as tables.

use std::fmt::{self, Write};

use comfy_table::Cell;
use flair_scoring::{
    analysis::{
        compare::{Comparison, Difference, GroupDifference},
        uncertainty::Drawn,
    },
    dataset::locations::Unit,
};

use super::{
    cells::{drawn, figure, percent, range, right},
    fitted::{Fitted, kept, spare, wrapped},
};

/// The differences of the classes, the means, the domains, and the patches that changed most.
pub(super) fn write_comparison(out: &mut impl Write, found: &Comparison, width: Option<u16>) -> fmt::Result {
    writeln!(out, "\nagainst {}\n{}", found.other, classes(found, width))?;
    let means = [("mIoU", &found.miou, 5), ("overall accuracy", &found.overall_accuracy, 4)];
    for (name, difference, digits) in means {
        let interval = difference.interval.map_or_else(String::new, |interval| {
            format!(" ({}; better in {} of the replicates)", range(Some(interval), 4), share(difference))
        });
        let [this, other] = [difference.this, difference.other].map(|value| figure(value, digits));
        let line = format!("{name} {this} against {other}: {}{interval}", signed(difference.difference, digits));
        writeln!(out, "{}", wrapped(&line, width))?;
    }
    if let Some(how) = &found.drawn {
        writeln!(out, "{}", drawn(how))?;
    }
    if !found.domains.is_empty() {
        writeln!(out, "\nby domain\n{}", beside(Unit::Domain, &found.domains, found.drawn.as_ref(), width))?;
    }
    if !found.patches.is_empty() {
        writeln!(
            out,
            "\nthe patches that changed most\n{}",
            beside(Unit::Patch, &found.patches, found.drawn.as_ref(), width)
        )?;
    }
    Ok(())
}

/// One line per class, with intervals if the comparison has them.
fn classes(found: &Comparison, width: Option<u16>) -> String {
    let mut header = vec![kept(Cell::new("class"))];
    header.extend(["IoU", "against", "difference"].map(|title| kept(right(title))));
    if let Some(drawn) = &found.drawn {
        header.extend([spare(1, percent(drawn.bootstrap.level)), spare(2, "better in")]);
    }
    let mut table = Fitted::new(header);
    for class in &found.classes {
        let mut row = vec![Cell::new(&class.name)];
        row.extend(cells(&class.iou));
        if found.drawn.is_some() {
            row.extend([right(range(class.iou.interval, 4)), right(share(&class.iou))]);
        }
        table.add_row(row);
    }
    table.text(width)
}

/// One line per group, with two figures of both sets; the first has intervals if the comparison has them.
fn beside(unit: Unit, groups: &[GroupDifference], drawn: Option<&Drawn>, width: Option<u16>) -> String {
    let drawn = drawn.filter(|_| groups.iter().any(|group| group.miou.interval.is_some()));
    let mut header = vec![kept(Cell::new(unit))];
    header.extend((unit != Unit::Patch).then(|| spare(3, "patches")));
    header.extend(["mIoU", "against", "difference"].map(|title| kept(right(title))));
    if let Some(drawn) = drawn {
        header.extend([spare(1, percent(drawn.bootstrap.level)), spare(2, "better in")]);
    }
    header.extend(["overall accuracy", "against", "difference"].map(|title| spare(4, title)));
    let mut table = Fitted::new(header);
    for group in groups {
        let mut row = vec![Cell::new(&group.name)];
        row.extend((unit != Unit::Patch).then(|| right(group.patches.to_string())));
        row.extend(cells(&group.miou));
        if drawn.is_some() {
            row.extend([right(range(group.miou.interval, 4)), right(share(&group.miou))]);
        }
        row.extend(cells(&group.overall_accuracy));
        table.add_row(row);
    }
    table.text(width)
}

fn cells(difference: &Difference) -> [Cell; 3] {
    let [this, other] = [difference.this, difference.other].map(|value| right(figure(value, 4)));
    [this, other, right(signed(difference.difference, 4))]
}

/// `+0.0123`.
fn signed(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:+.digits$}"))
}

/// The share of replicates in which this set is better.
fn share(difference: &Difference) -> String {
    difference.better.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", 100.0 * share))
}

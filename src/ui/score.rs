//! A score as a table.

use std::{
    collections::BTreeSet,
    fmt::{self, Write},
};

use comfy_table::{Cell, Table};
use flair_scoring::{
    ScoreReport,
    analysis::{bootstrap::Interval, uncertainty::Uncertainty},
    dataset::locations::Unit,
    score::boundary::BoundaryWidth,
    text::counted,
    text::shown,
};

use super::{
    cells::{drawn, figure, percent, plain, range, right},
    comparison::write_comparison,
    groups::groups,
};

/// Number of costliest confusions shown.
const SHOWN_CONFUSIONS: usize = 5;

/// The classes with their figures, the means, the requested analyses, and the notes.
pub(crate) fn score_table(report: &ScoreReport) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_score(&mut text, report);
    text
}

fn write_score(out: &mut impl Write, report: &ScoreReport) -> fmt::Result {
    let interval = |of: fn(&Uncertainty) -> Option<Interval>| {
        report.uncertainty.as_ref().map_or_else(String::new, |found| format!(" ({})", range(of(found), 4)))
    };
    writeln!(out, "{}", classes(report))?;
    writeln!(
        out,
        "mIoU {}{} over {} (not those in brackets), {}, protocol {}",
        figure(report.means.miou, 5),
        interval(|uncertainty| uncertainty.miou),
        counted(report.means.classes_averaged, "class"),
        counted(report.patches, "patch"),
        shown(&report.protocol),
    )?;
    writeln!(
        out,
        "overall accuracy {}{}, mean accuracy {}, mean F1 {}, frequency-weighted IoU {}, kappa {}",
        figure(report.means.overall_accuracy, 4),
        interval(|uncertainty| uncertainty.overall_accuracy),
        figure(report.means.mean_accuracy, 4),
        figure(report.means.mean_f1, 4),
        figure(report.means.frequency_weighted_iou, 4),
        figure(report.means.kappa, 4),
    )?;
    if let Some(uncertainty) = &report.uncertainty {
        writeln!(out, "{}", drawn(&uncertainty.drawn))?;
    }
    if let Some(boundary) = &report.boundary {
        let width = match boundary.width {
            BoundaryWidth::Relative => "2 % of the diagonal".to_owned(),
            BoundaryWidth::Pixels(pixels) => format!("{pixels} px"),
        };
        writeln!(out, "mean boundary IoU {} (boundaries {width} wide)", figure(boundary.miou, 5))?;
    }
    write_confusions(out, report)?;
    if let Some(table) = &report.groups {
        writeln!(out, "\nby {}\n{}", table.by, groups(table.by, &table.groups))?;
    }
    if !report.worst_patches.is_empty() {
        writeln!(out, "\nthe worst patches\n{}", groups(Unit::Patch, &report.worst_patches))?;
    }
    if let Some(comparison) = &report.comparison {
        write_comparison(out, comparison)?;
    }
    let asked = [report.uncertainty.as_ref().map(|found| &found.notes), report.comparison.as_ref().map(|f| &f.notes)];
    let notes = report.notes.iter().chain(asked.into_iter().flatten().flatten());
    // Both bootstraps may use the same few units, and so give the same note.
    let mut seen = BTreeSet::new();
    for note in notes.filter(|note| seen.insert(*note)) {
        writeln!(out, "note: {note}")?;
    }
    Ok(())
}

/// One line per class, with intervals and boundary IoU if the report has them.
fn classes(report: &ScoreReport) -> Table {
    let mut header = vec![Cell::new("class"), right("IoU")];
    header.extend(report.uncertainty.as_ref().map(|found| right(percent(found.drawn.bootstrap.level))));
    header.extend(["precision", "recall", "F1"].map(right));
    header.extend(report.boundary.as_ref().map(|_| right("boundary IoU")));
    header.push(right("truth %"));
    let mut table = plain(header);
    let share = |count: u64| 100.0 * count as f64 / (report.pixels.max(1)) as f64;
    for class in &report.classes {
        let name = if class.scores.in_mean { class.name.clone() } else { format!("({})", class.name) };
        let mut row = vec![Cell::new(name), right(figure(class.scores.iou, 4))];
        let of_class = |list: &[Option<f64>]| figure(list.get(class.id).copied().flatten(), 4);
        row.extend(
            report.uncertainty.as_ref().map(|found| right(range(found.iou.get(class.id).copied().flatten(), 4))),
        );
        row.extend([class.scores.precision, class.scores.recall, class.scores.f1].map(|value| right(figure(value, 4))));
        row.extend(report.boundary.as_ref().map(|boundary| right(of_class(&boundary.iou))));
        row.push(right(format!("{:.2}", share(class.scores.support))));
        table.add_row(row);
    }
    table
}

/// The costliest confusions, one per line.
fn write_confusions(out: &mut impl Write, report: &ScoreReport) -> fmt::Result {
    let name = |class: usize| report.classes.get(class).map_or("–", |class| class.name.as_str());
    for (index, confusion) in report.costliest.iter().take(SHOWN_CONFUSIONS).enumerate() {
        let begin = if index == 0 { "costliest confusions" } else { "" };
        let (truth, prediction) = (name(confusion.truth), name(confusion.prediction));
        let share = 100.0 * confusion.share;
        let what = format!("{truth} taken for {prediction} ({share:.1} % of it)");
        writeln!(out, "{begin:20}  {:+.4} mIoU  {what}", confusion.gain)?;
    }
    Ok(())
}

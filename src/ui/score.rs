//! A score as a table.

use std::{
    collections::BTreeSet,
    fmt::{self, Write},
};

use comfy_table::Cell;
use flair_scoring::{
    ScoreReport,
    analysis::{bootstrap::Interval, uncertainty::Uncertainty},
    dataset::locations::Unit,
    score::boundary::BoundaryWidth,
    text::counted,
    text::shown,
};

use super::{
    cells::{drawn, figure, percent, range, right},
    comparison::write_comparison,
    findings::findings_text,
    fitted::{Fitted, kept, spare, wrapped},
    groups::groups,
    screen::terminal_width,
};

/// Number of costliest confusions shown.
const SHOWN_CONFUSIONS: usize = 5;

/// The classes with their figures, the means, the requested analyses, the likely mistakes, and the notes, to fit the
/// terminal.
pub(crate) fn score_table(report: &ScoreReport) -> String {
    fitted(report, terminal_width())
}

fn fitted(report: &ScoreReport, width: Option<u16>) -> String {
    let mut text = String::new();
    // Writing to memory cannot fail.
    let _ = write_score(&mut text, report, width);
    text + &findings_text(&report.findings)
}

fn write_score(out: &mut impl Write, report: &ScoreReport, width: Option<u16>) -> fmt::Result {
    let interval = |of: fn(&Uncertainty) -> Option<Interval>| {
        report.uncertainty.as_ref().map_or_else(String::new, |found| format!(" ({})", range(of(found), 4)))
    };
    writeln!(out, "{}", classes(report, width))?;
    let means = format!(
        "mIoU {}{} over {} (not those in brackets), {}, protocol {}",
        figure(report.means.miou, 5),
        interval(|uncertainty| uncertainty.miou),
        counted(report.means.classes_averaged, "class"),
        counted(report.patches, "patch"),
        shown(&report.protocol),
    );
    writeln!(out, "{}", wrapped(&means, width))?;
    let others = format!(
        "overall accuracy {}{}, mean accuracy {}, mean F1 {}, frequency-weighted IoU {}, kappa {}",
        figure(report.means.overall_accuracy, 4),
        interval(|uncertainty| uncertainty.overall_accuracy),
        figure(report.means.mean_accuracy, 4),
        figure(report.means.mean_f1, 4),
        figure(report.means.frequency_weighted_iou, 4),
        figure(report.means.kappa, 4),
    );
    writeln!(out, "{}", wrapped(&others, width))?;
    if let Some(uncertainty) = &report.uncertainty {
        writeln!(out, "{}", drawn(&uncertainty.drawn))?;
    }
    if let Some(boundary) = &report.boundary {
        let across = match boundary.width {
            BoundaryWidth::Relative => "2 % of the diagonal".to_owned(),
            BoundaryWidth::Pixels(pixels) => format!("{pixels} px"),
        };
        writeln!(out, "mean boundary IoU {} (boundaries {across} wide)", figure(boundary.miou, 5))?;
    }
    write_confusions(out, report, width)?;
    if let Some(table) = &report.groups {
        writeln!(out, "\nby {}\n{}", table.by, groups(table.by, &table.groups, width))?;
    }
    if !report.worst_patches.is_empty() {
        writeln!(out, "\nthe worst patches\n{}", groups(Unit::Patch, &report.worst_patches, width))?;
    }
    if let Some(comparison) = &report.comparison {
        write_comparison(out, comparison, width)?;
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

/// One line per class, with intervals and boundary IoU if the report has them, in at most `width` columns.
fn classes(report: &ScoreReport, width: Option<u16>) -> String {
    let mut header = vec![kept(Cell::new("class")), kept(right("IoU"))];
    header.extend(report.uncertainty.as_ref().map(|found| spare(1, percent(found.drawn.bootstrap.level))));
    header.extend([spare(5, "precision"), spare(5, "recall"), spare(3, "F1")]);
    header.extend(report.boundary.as_ref().map(|_| spare(2, "boundary IoU")));
    header.push(spare(4, "truth %"));
    let mut table = Fitted::new(header);
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
    table.text(width)
}

/// The costliest confusions, one per line if the terminal is wide enough.
fn write_confusions(out: &mut impl Write, report: &ScoreReport, width: Option<u16>) -> fmt::Result {
    let name = |class: usize| report.classes.get(class).map_or("–", |class| class.name.as_str());
    if !report.costliest.is_empty() {
        writeln!(out, "costliest confusions, with the mIoU that each costs")?;
    }
    for confusion in report.costliest.iter().take(SHOWN_CONFUSIONS) {
        let (truth, prediction) = (name(confusion.truth), name(confusion.prediction));
        let share = 100.0 * confusion.share;
        let what = format!("{truth} taken for {prediction} ({share:.1} % of it)");
        writeln!(out, "{}", wrapped(&format!("  {:.4}  {what}", confusion.gain), width))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use flair_scoring::{
        Code, ConfusionMatrix, Protocol,
        analysis::{
            bootstrap::{Bootstrap, Interval},
            compare::{ClassDifference, Comparison, Difference, GroupDifference},
            groups::{GroupReport, GroupTable},
            uncertainty::Drawn,
        },
        score::{Evaluation, boundary::BoundaryReport},
    };

    use super::*;

    /// A report of everything that can be asked for.
    fn full() -> ScoreReport {
        let mut counts = vec![1; 13 * 13];
        (0..13).for_each(|class| counts[class * 14] = 90);
        let matrix = ConfusionMatrix::new(13, counts, 0, 0).unwrap();
        let report = ScoreReport::new(&Evaluation::of_matrix(Protocol::flair2(), matrix, 8));
        let interval = Some(Interval { low: 0.71, high: 0.79 });
        let drawn =
            Drawn { unit: Unit::Zone, units: 4, bootstrap: Bootstrap { replicates: 2000, level: 0.95, seed: 1 } };
        let group = |name: &str| GroupReport {
            name: name.to_owned(),
            patches: 2,
            pixels: 524_288,
            means: report.means,
            iou: Vec::new(),
            classes: Vec::new(),
            confusion: Vec::new(),
        };
        let miou = Difference { this: Some(0.7), other: Some(0.5), difference: Some(0.2), interval, better: Some(1.0) };
        let differing = GroupDifference {
            name: "D001_2020".to_owned(),
            patches: 4,
            miou,
            overall_accuracy: miou,
            iou: Vec::new(),
            units: None,
        };
        let class = |class: &flair_scoring::score::metrics::ClassScores| ClassDifference {
            id: class.id,
            name: class.name.clone(),
            iou: miou,
        };
        ScoreReport {
            uncertainty: Some(Uncertainty {
                drawn,
                miou: interval,
                overall_accuracy: interval,
                iou: vec![interval; 13],
                notes: Vec::new(),
            }),
            boundary: Some(BoundaryReport { width: BoundaryWidth::Relative, miou: None, iou: vec![Some(0.5); 13] }),
            groups: Some(GroupTable { by: Unit::Zone, groups: vec![group("D001_2020/Z1_UA")] }),
            worst_patches: vec![group("000001")],
            comparison: Some(Comparison {
                other: "better".to_owned(),
                drawn: Some(drawn),
                miou,
                overall_accuracy: miou,
                classes: report.classes.iter().map(class).collect(),
                domains: vec![differing.clone()],
                patches: vec![differing],
                notes: Vec::new(),
            }),
            findings: vec![Code::OneBased.finding("all predictions", "labels seem counted from 1")],
            ..report
        }
    }

    /// Findings are lines for programs, too, and are left to the terminal.
    const FINDING: &str = "warning";

    #[test]
    fn tables_fit_80_columns() {
        let text = fitted(&full(), Some(80));
        for line in text.lines().filter(|line| !line.starts_with(FINDING)) {
            assert!(line.chars().count() <= 80, "{line}\n{text}");
        }
        // What is asked for first stays.
        let zones = text.lines().skip_while(|line| *line != "by zone").nth(2).unwrap();
        assert!(zones.contains("mIoU"), "{zones}");
        insta::assert_snapshot!(text);
        assert!(fitted(&full(), None).contains("precision"));
    }
}

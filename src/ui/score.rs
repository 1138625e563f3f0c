//! A score as a table.

use comfy_table::{Cell, CellAlignment, Table, presets};
use flair_scoring::{ScoreReport, submission::shown};

/// The classes with their figures, the mean below, then the notes.
pub(crate) fn score_table(report: &ScoreReport) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    let numbers = ["IoU", "precision", "recall", "F1", "truth %"].map(right);
    table.set_header([Cell::new("class")].into_iter().chain(numbers));
    let percent = |count: u64| 100.0 * count as f64 / (report.pixels.max(1)) as f64;
    for class in &report.classes {
        let name = if class.in_mean { class.name.clone() } else { format!("({})", class.name) };
        let figures = [class.iou, class.precision, class.recall, class.f1].map(|v| right(figure(v, 4)));
        table.add_row(
            [Cell::new(name)].into_iter().chain(figures).chain([right(format!("{:.2}", percent(class.support)))]),
        );
    }
    let averaged = report.classes_averaged;
    let mut text = format!(
        "{table}\nmIoU {} over {averaged} classes (not those in brackets), {} patches, protocol {}\n\
         overall accuracy {}, mean accuracy {}, mean F1 {}, frequency-weighted IoU {}, kappa {}\n",
        figure(report.miou, 5),
        report.patches,
        shown(&report.protocol),
        figure(report.overall_accuracy, 4),
        figure(report.mean_accuracy, 4),
        figure(report.mean_f1, 4),
        figure(report.frequency_weighted_iou, 4),
        figure(report.kappa, 4),
    );
    for note in &report.notes {
        text.push_str("note: ");
        text.push_str(note);
        text.push('\n');
    }
    text
}

fn right(text: impl Into<String>) -> Cell {
    Cell::new(text.into()).set_alignment(CellAlignment::Right)
}

/// A figure, or a dash where there is none.
pub(crate) fn figure(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}

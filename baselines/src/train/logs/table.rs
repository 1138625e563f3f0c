//! `metrics.csv`: a row an epoch.

use std::{
    fmt::Write as _,
    io::{self, Write},
    path::Path,
};

use flair_scoring::{CLASSES, files::write_atomically};

use crate::train::validate::EpochMetrics;

/// Writes all epochs, in the place of whatever was there: a run that goes on from a checkpoint repeats no row.
///
/// The columns: `epoch`, from 1; `step`, the optimiser's steps up to its end; `learning_rate` of its last step;
/// `train_loss`; then, where there was a validation, `val_loss`, `val_miou`, `val_miou_upstream`, and each class's
/// `IoU`, empty where neither masks nor predictions have the class. Numbers have all their digits.
pub(super) fn write(path: &Path, history: &[EpochMetrics]) -> io::Result<()> {
    let text = table(history);
    write_atomically(path, |file| file.write_all(text.as_bytes()))
}

fn table(history: &[EpochMetrics]) -> String {
    let mut text = "epoch,step,learning_rate,train_loss,val_loss,val_miou,val_miou_upstream".to_owned();
    for class in &CLASSES {
        let _ = write!(text, ",iou {}", class.name);
    }
    text.push('\n');
    for epoch in history {
        let _ = write!(text, "{},{},{},{}", epoch.epoch, epoch.step, epoch.learning_rate, epoch.train_loss);
        let validation = epoch.validation.as_ref();
        let first = [
            validation.map(|v| v.loss),
            validation.and_then(|v| v.miou),
            validation.map(|v| v.miou_upstream),
        ];
        let classes = validation.map_or([None; CLASSES.len()], |v| v.iou);
        for value in first.into_iter().chain(classes) {
            let _ = value.map_or_else(|| write!(text, ","), |value| write!(text, ",{value}"));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::validate::Validation;

    #[test]
    fn every_epoch_has_a_row_of_as_many_cells_as_the_head() {
        let mut iou = [None; CLASSES.len()];
        (iou[0], iou[12]) = (Some(0.5), Some(0.1 + 0.2));
        let validation = Validation { loss: 2.5, miou: Some(0.5), miou_upstream: 0.9, iou };
        let epoch = |epoch, validation| EpochMetrics {
            epoch,
            step: 10 * epoch as u64,
            learning_rate: 1e-3,
            train_loss: 2.0,
            validation,
        };
        insta::assert_snapshot!(table(&[epoch(1, Some(validation)), epoch(2, None)]), @"");
    }
}

//! `metrics.csv`: one row per epoch.

use std::fmt::Write as _;

use flair_scoring::CLASSES;

use crate::train::validate::EpochMetrics;

/// All epochs as CSV.
///
/// Columns: `epoch`, from 1; `step`, the optimiser steps up to its end; `learning_rate` of its last step; `train_loss`;
/// then, empty without a validation, `val_loss`, which is empty if it is not finite, `val_miou`, `val_miou_upstream` and
/// each class's `IoU`, which is empty if neither masks nor predictions have the class. Numbers have full precision. There is no time column, so that a
/// resumed run has the same table.
pub(super) fn table(history: &[EpochMetrics]) -> String {
    let mut text = "epoch,step,learning_rate,train_loss,val_loss,val_miou,val_miou_upstream".to_owned();
    for class in &CLASSES {
        let _ = write!(text, ",iou {}", class.name);
    }
    text.push('\n');
    for epoch in history {
        let _ = write!(text, "{},{},{},{}", epoch.epoch, epoch.step, epoch.learning_rate, epoch.train_loss);
        let validation = epoch.validation.as_ref();
        let first =
            [validation.and_then(|v| v.loss), validation.and_then(|v| v.miou), validation.map(|v| v.miou_upstream)];
        let classes = validation.map_or([None; CLASSES.len()], |v| v.iou);
        for value in first.into_iter().chain(classes) {
            text.push(',');
            if let Some(value) = value {
                let _ = write!(text, "{value}");
            }
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
        let validation = Validation { loss: Some(2.5), miou: Some(0.5), miou_upstream: 0.9, iou };
        let epoch = |epoch, validation| EpochMetrics {
            epoch,
            step: 10 * epoch,
            learning_rate: 1e-3,
            train_loss: 2.0,
            validation,
        };
        insta::assert_snapshot!(table(&[epoch(1, Some(validation)), epoch(2, None)]), @"
        epoch,step,learning_rate,train_loss,val_loss,val_miou,val_miou_upstream,iou building,iou pervious surface,iou impervious surface,iou bare soil,iou water,iou coniferous,iou deciduous,iou brushwood,iou vineyard,iou herbaceous vegetation,iou agricultural land,iou plowed land,iou other
        1,10,0.001,2,2.5,0.5,0.9,0.5,,,,,,,,,,,,0.30000000000000004
        2,20,0.001,2,,,,,,,,,,,,,,,,
        ");
    }
}

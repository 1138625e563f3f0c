//! Normalises a confusion matrix by its rows (true classes) or columns (predicted classes).

use crate::score::ConfusionMatrix;

/// The normalisation of a confusion matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Share of the true class: each row sums to 1, the diagonal is the recall.
    OfTruth,
    /// Share of the predicted class: each column sums to 1, the diagonal is the precision.
    OfPredicted,
}

/// The normalised confusion matrix, `[truth, prediction]`, values `0..=1`; `None` in the row of a class that the masks
/// do not have, or in the column of a class that is never predicted.
pub fn shares(matrix: &ConfusionMatrix, share: Share) -> Vec<Vec<Option<f64>>> {
    let wholes: Vec<u64> = match share {
        Share::OfTruth => matrix.rows().map(|row| row.iter().sum()).collect(),
        Share::OfPredicted => {
            (0..matrix.class_count()).map(|column| matrix.rows().map(|row| row[column]).sum()).collect()
        }
    };
    let cell = |row: usize, column: usize| {
        let whole = match share {
            Share::OfTruth => wholes[row],
            Share::OfPredicted => wholes[column],
        };
        (whole > 0).then(|| matrix.count(row, column) as f64 / whole as f64)
    };
    let classes = 0..matrix.class_count();
    classes.clone().map(|row| classes.clone().map(|column| cell(row, column)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::evaluate::Evaluation;

    #[test]
    fn rows_or_columns_sum_up_to_one() {
        let evaluation = Evaluation::of_cells(&[(0, 0, 3), (0, 1, 1), (1, 1, 4), (12, 0, 1)]);
        let [of_truth, of_predicted] = [Share::OfTruth, Share::OfPredicted].map(|s| shares(&evaluation.matrix, s));
        assert_eq!(of_truth[0][..3], [Some(0.75), Some(0.25), Some(0.0)]);
        assert_eq!(of_truth[2], [None; 13]);
        assert_eq!([0, 1, 2, 12].map(|row| of_predicted[row][0]), [Some(0.75), Some(0.0), Some(0.0), Some(0.25)]);
        assert_eq!(of_predicted[0][2], None);
    }
}

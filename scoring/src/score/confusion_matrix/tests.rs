use proptest::prelude::*;

use super::*;
use crate::{CLASS_COUNT, Metrics, Protocol, RawLabel};

fn matrix(truth: &[u8], prediction: &[u8]) -> ConfusionMatrix {
    let mut matrix = ConfusionMatrix::empty(CLASS_COUNT);
    matrix.add(Protocol::flair2().labels(), truth, prediction, OutOfRange::Drop).unwrap();
    matrix
}

#[test]
fn every_pair_of_values_lands_where_the_types_say() {
    let protocol = Protocol::flair2();
    for label in 0..=255 {
        for value in 0..=255 {
            // 11 pixels: a word of eight and a rest.
            let bins = Bins::count(protocol.labels(), &[label; 11], &[value; 11]);
            let row = RawLabel::new(label).map_or(Row::Stray, |label| Row::Class(label.class().index()));
            let column = crate::ClassId::new(value).map_or(13, crate::ClassId::index);
            assert_eq!(bins.row(row)[column], 11, "{label} {value}");
            assert_eq!(bins.counts.iter().sum::<u64>(), 11);
        }
    }
}

#[test]
fn any_number_of_classes_is_counted() {
    for count in [2, 7, 14, 15, 16, 31, 127, 128, 200_usize] {
        let class = |i: usize| format!("{{name: c{i}, colour: '#000000', labels: [{i}]}}");
        let list = (0..count).map(class).collect::<Vec<_>>().join(", ");
        let text = format!("{{name: many, classes: [{list}], ignored_labels: [255]}}");
        let protocol = Protocol::from_yaml(&text, "the test").unwrap();
        let truth: Vec<u8> = (0..=255_u8).map(|i| if usize::from(i) < count { i } else { 255 }).collect();
        let prediction: Vec<u8> = (0..=255).rev().collect();
        let mut matrix = ConfusionMatrix::empty(count);
        matrix.add(protocol.labels(), &truth, &prediction, OutOfRange::Drop).unwrap();
        assert_eq!((matrix.pixels(), matrix.ignored()), (256, 256 - count as u64));
        for truth in 0..count {
            for prediction in 0..count {
                assert_eq!(matrix.count(truth, prediction), u64::from(truth + prediction == 255));
            }
        }
    }
}

#[test]
fn ignored_labels_are_counted_apart_whatever_was_predicted() {
    let text = "{name: mine, nomenclature: flair2-13, ignored_labels: [0, 200]}";
    let protocol = Protocol::from_yaml(text, "the test").unwrap();
    let mut matrix = ConfusionMatrix::empty(13);
    let result = matrix.add(protocol.labels(), &[0, 200, 1, 1], &[255, 3, 0, 1], OutOfRange::Reject);
    assert_eq!((result, matrix.ignored(), matrix.dropped(), matrix.pixels()), (Ok(()), 2, 0, 4));
    assert_eq!((matrix.count(0, 0), matrix.count(0, 1)), (1, 1));
}

#[test]
fn invalid_values_are_reported_with_counts_and_change_nothing() {
    let protocol = Protocol::flair2();
    let labels_of = protocol.labels();
    let mut matrix = matrix(&[1, 2], &[0, 1]);
    let before = matrix.clone();
    let error = matrix.add(labels_of, &[0, 1, 20, 0, 3], &[255, 255, 0, 13, 12], OutOfRange::Reject).unwrap_err();
    let labels = Strays::from([(0, 2), (20, 1)]);
    // What the mask does not know is not asked of the prediction.
    let predictions = Strays::from([(255, 1)]);
    assert_eq!(error, CountError::Strays { labels: labels.clone(), predictions });
    // Only predictions may be dropped.
    let error = matrix.add(labels_of, &[0, 1, 20, 0, 3], &[255, 255, 0, 13, 12], OutOfRange::Drop).unwrap_err();
    assert_eq!(error, CountError::Strays { labels, predictions: Strays::new() });
    assert!(matches!(matrix.add(labels_of, &[1], &[], OutOfRange::Drop), Err(CountError::Lengths { .. })));
    assert_eq!(matrix, before);
}

#[test]
fn dropping_can_be_gamed_and_tells_how_much() {
    // As upstream's hole has it: the doubtful pixels are written as 255, the score is perfect.
    let matrix = matrix(&[1, 1, 2, 2], &[0, 255, 1, 255]);
    assert_eq!((matrix.dropped(), matrix.pixels()), (2, 4));
    assert_eq!(Metrics::of(&matrix, &Protocol::flair2()).means.miou, Some(1.0));
}

/// Maps with areas and with noise.
fn pairs() -> impl Strategy<Value = Vec<(u8, u8)>> {
    let run = (1..=19_u8, 0..=15_u8, 1..60_usize);
    prop::collection::vec(run, 0..40)
        .prop_map(|runs| runs.into_iter().flat_map(|(t, p, n)| std::iter::repeat_n((t, p), n)).collect())
}

proptest! {
    #[test]
    fn nothing_is_lost(pairs in pairs()) {
        let (truth, prediction): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
        let found = matrix(&truth, &prediction);
        prop_assert_eq!(found.pixels(), pairs.len() as u64);
        let mut expected = ConfusionMatrix::empty(CLASS_COUNT);
        for (label, value) in pairs {
            let row = RawLabel::new(label).unwrap().class().index();
            match crate::ClassId::new(value) {
                Some(class) => expected.counts[row * CLASS_COUNT + class.index()] += 1,
                None => expected.dropped += 1,
            }
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn merging_is_adding_in_any_order(pairs in pairs(), cuts in any::<[prop::sample::Index; 2]>()) {
        let (truth, prediction): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
        let mut cuts = cuts.map(|cut| cut.index(pairs.len() + 1));
        cuts.sort_unstable();
        let part = |from: usize, to: usize| matrix(&truth[from..to], &prediction[from..to]);
        let [a, b, c] = [part(0, cuts[0]), part(cuts[0], cuts[1]), part(cuts[1], pairs.len())];
        let merged = |parts: [&ConfusionMatrix; 3]| {
            let mut sum = ConfusionMatrix::empty(CLASS_COUNT);
            for part in parts {
                sum.merge(part);
            }
            sum
        };
        let whole = matrix(&truth, &prediction);
        prop_assert_eq!(&merged([&a, &b, &c]), &whole);
        prop_assert_eq!(&merged([&c, &a, &b]), &whole);
    }

    #[test]
    fn a_perfect_prediction_scores_one(labels in prop::collection::vec(1..=12_u8, 1..200)) {
        let prediction: Vec<_> = labels.iter().map(|label| label - 1).collect();
        let metrics = Metrics::of(&matrix(&labels, &prediction), &Protocol::flair2());
        prop_assert_eq!(metrics.means.miou, Some(1.0));
        prop_assert_eq!(metrics.means.overall_accuracy, Some(1.0));
    }

    #[test]
    fn permuted_classes_have_permuted_scores(pairs in pairs(), order in Just((0..12_u8).collect::<Vec<_>>()).prop_shuffle()) {
        let rename = |class: u8| order.get(usize::from(class)).copied().unwrap_or(class);
        let (truth, prediction): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
        let renamed_truth: Vec<_> = truth.iter().map(|label| rename(label - 1) + 1).collect();
        let renamed: Vec<_> = prediction.iter().map(|class| rename(*class)).collect();
        let before = Metrics::of(&matrix(&truth, &prediction), &Protocol::flair2());
        let after = Metrics::of(&matrix(&renamed_truth, &renamed), &Protocol::flair2());
        for class in 0..13_u8 {
            let (old, new) = (usize::from(class), usize::from(rename(class)));
            prop_assert_eq!(before.classes[old], after.classes[new]);
        }
        prop_assert_eq!(before.means.classes_averaged, after.means.classes_averaged);
        let close = before.means.miou.unwrap_or(0.0) - after.means.miou.unwrap_or(0.0);
        prop_assert!(close.abs() < 1e-15, "only the order of the sum may differ: {}", close);
    }
}

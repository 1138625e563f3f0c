//! Protocols and class lists: accepted ones can score, and survive a round trip through a file. Error messages must be
//! safe to print.

use flair_scoring::{ConfusionMatrix, Metrics, Protocol, protocol::Nomenclature};

/// Reads the bytes as a protocol's file, and as a class list.
pub(crate) fn exercise(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match Protocol::from_yaml(text, "the bytes") {
        Ok(protocol) => {
            let again = Protocol::from_yaml(&protocol.to_yaml(), "its own file").expect("what it writes it reads");
            assert_eq!((again.labels(), again.to_yaml()), (protocol.labels(), protocol.to_yaml()));
            scores(&protocol);
        }
        Err(error) => assert_shows(&error.to_string()),
    }
    match Nomenclature::from_yaml(text, "the bytes") {
        Ok(list) => assert!(list.label_range().0 <= list.label_range().1),
        Err(error) => assert_shows(&error.to_string()),
    }
}

/// Scores a matrix of many pixels, a few of them wrong.
fn scores(protocol: &Protocol) {
    let classes = protocol.class_count();
    let mut counts = vec![1; classes * classes];
    counts[0] = 1 << 40;
    let matrix = ConfusionMatrix::new(classes, counts, 3, 5).expect("so many classes have a matrix");
    let metrics = Metrics::of(&matrix, protocol);
    assert!(metrics.means.figures().iter().flatten().all(|figure| (-1.0..=1.0).contains(figure)));
    assert!(metrics.means.miou.is_some() && metrics.means.classes_averaged <= classes);
}

fn assert_shows(message: &str) {
    let is_unsafe = |c: char| c.is_control() && c != '\n';
    assert!(!message.is_empty() && !message.contains(is_unsafe), "a terminal would obey this: {message:?}");
}

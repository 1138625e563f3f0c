//! A protocol's classes and rules, as a challenge's pages need them.

use std::fmt::Write;

use flair_scoring::{
    Protocol, ScoreReport,
    protocol::{Absent, Definition, ExcludedPixels, NomenclatureClass},
    score::metrics::ClassScores,
};

#[cfg(test)]
pub(super) static FLAIR2: std::sync::LazyLock<Protocol> = std::sync::LazyLock::new(Protocol::flair2);

/// The names of the classes of the mean, absent or not, in order.
pub(super) fn averaged(protocol: &Protocol) -> Vec<&str> {
    names(protocol, |class| class.averaged)
}

/// The classes of the mean in a score, absent ones included.
pub(super) fn averaged_of(report: &ScoreReport) -> impl Iterator<Item = &ClassScores> {
    let listed = report.definition.nomenclature.classes.iter();
    report.classes.iter().zip(listed).filter(|(_, class)| class.averaged).map(|(metrics, _)| metrics)
}

/// The names of the classes outside the mean, in order.
pub(super) fn excluded(protocol: &Protocol) -> Vec<&str> {
    names(protocol, |class| !class.averaged)
}

/// The names of all classes, in the order of their values in a prediction.
pub(super) fn classes(protocol: &Protocol) -> Vec<&str> {
    names(protocol, |_| true)
}

fn names(protocol: &Protocol, is_asked: impl Fn(&NomenclatureClass) -> bool) -> Vec<&str> {
    protocol.classes().iter().filter(|class| is_asked(class)).map(|class| class.name.as_str()).collect()
}

/// The only value of a sample submission: a class outside the mean, so that it scores 0.
pub(super) fn filler(protocol: &Protocol) -> u8 {
    (0..).zip(protocol.classes()).find(|(_, class)| !class.averaged).map_or(0, |(value, _)| value)
}

/// Explains how the mean is computed, in sentences.
pub(super) fn explained(definition: &Definition) -> String {
    let excluded = match definition.excluded_pixels {
        ExcludedPixels::Kept => {
            "Pixels of classes outside the mean stay in it, so confusing another class with them lowers that class's IoU."
        }
        ExcludedPixels::Removed => {
            "Pixels whose class, or whose prediction, is outside the mean are removed from it before anything is \
             computed."
        }
    };
    let absent = match definition.absent {
        Absent::Skipped => "is left out of the mean",
        Absent::Zero => "counts as 0",
    };
    let mut text = format!(
        "One confusion matrix is made of all pixels of all patches. {excluded} A class that neither the masks nor the \
         predictions have {absent}."
    );
    if !definition.ignored_labels.is_empty() {
        let labels: Vec<_> = definition.ignored_labels.iter().map(u8::to_string).collect();
        let _ = write!(text, " Pixels of the labels {} are not scored.", labels.join(", "));
    }
    text
}

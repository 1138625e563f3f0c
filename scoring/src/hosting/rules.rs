//! What a challenge needs to know of a protocol.

use crate::{ClassId, Protocol, ScoreReport, report::ClassReport};

/// The names of the classes that the mean is meant to hold, in order.
pub(super) fn averaged(protocol: Protocol) -> Vec<&'static str> {
    ClassId::all().filter(|id| protocol.averages(*id)).map(|id| id.class().name).collect()
}

/// The classes of a score that its mean is meant to hold, those that are absent among them.
pub(super) fn averaged_of(report: &ScoreReport) -> impl Iterator<Item = &ClassReport> {
    report.classes.iter().filter(|class| report.protocol.averages(class.id))
}

/// How the mean of a score was taken, in sentences.
pub(super) fn explained_of(report: &ScoreReport) -> &'static str {
    explained(report.protocol)
}

/// The names of the other classes, in order.
pub(super) fn excluded(protocol: Protocol) -> Vec<&'static str> {
    ClassId::all().filter(|id| !protocol.averages(*id)).map(|id| id.class().name).collect()
}

/// The names of all classes, in the order of their values in a prediction.
pub(super) fn classes() -> Vec<&'static str> {
    ClassId::all().map(|id| id.class().name).collect()
}

/// The value that a sample submission is made of: a class outside the mean, so that it earns nothing.
pub(super) fn filler(protocol: Protocol) -> u8 {
    ClassId::all().find(|id| !protocol.averages(*id)).map_or(0, ClassId::value)
}

/// How the mean is taken, in sentences.
pub(super) fn explained(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Flair2 => {
            "One confusion matrix is made of all pixels of all patches. Pixels of classes outside the mean stay in it, \
             so that confusing another class with them costs that class. A class that neither the masks nor the \
             predictions have is left out of the mean."
        }
    }
}

//! A protocol as text.

use std::fmt::Write;

use flair_scoring::{
    Protocol,
    protocol::{Absent, ExcludedPixels},
};

/// The protocol's id, its classes, one per line, and its rules.
pub(crate) fn protocol_text(protocol: &Protocol) -> String {
    let definition = protocol.definition();
    let list = |values: &[u8]| match values {
        [] => "none".to_owned(),
        values => values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    let width = protocol.classes().iter().map(|class| class.name.chars().count() + 2).max().unwrap_or(0);
    let mut text = format!("valid: scores have the protocol id {}\n", protocol.id());
    for (value, class) in protocol.classes().iter().enumerate() {
        let name = if class.averaged { class.name.clone() } else { format!("({})", class.name) };
        let colour = String::from(class.colour);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {value:3}  {name:width$}  {colour}  labels {}", list(&class.labels));
    }
    let excluded = match definition.excluded_pixels {
        ExcludedPixels::Kept => "stay in the matrix",
        ExcludedPixels::Removed => "are removed from the matrix first",
    };
    let absent = match definition.absent {
        Absent::Skipped => "is left out of the mean",
        Absent::Zero => "counts as 0",
    };
    let ignored = list(&definition.ignored_labels);
    let _ = writeln!(
        text,
        "classes in brackets are outside the means, and their pixels {excluded}\n\
         a class that neither masks nor predictions have {absent}\n\
         labels that are ignored: {ignored}"
    );
    text
}

//! Which file of a crate imports which, read from its sources; and the circles among them.
//!
//! An arrow goes from a file to the file that defines what it names. A re-export is followed to the definition. Code
//! under `#[cfg(test)]` is left out. Calls of methods are no arrows: no path names their file.

mod circles;
mod resolve;
mod rooms;
mod sources;
mod syntax;
mod tests;

pub(crate) use circles::{Arrow, describe};
pub(crate) use rooms::rooms;
pub(crate) use sources::Sources;

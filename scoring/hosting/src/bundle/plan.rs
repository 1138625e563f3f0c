//! The contents of a bundle.

use std::path::Path;

use flair_scoring::Protocol;

use crate::{challenge::Challenge, platform::Platform};

/// The contents of a challenge's bundles.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The settings.
    pub challenge: &'a Challenge,
    /// The protocol of the scores.
    pub protocol: &'a Protocol,
    /// The scoring program, an executable for x86-64 Linux.
    pub program: &'a [u8],
    /// The platforms.
    pub platforms: &'a [Platform],
    /// A folder with pages that replace the default ones: `overview.html`, `evaluation.html`, `terms.html`,
    /// `data.html`.
    pub pages: Option<&'a Path>,
    /// A PNG that replaces the default logo.
    pub logo: Option<&'a [u8]>,
}

//! What a bundle is made of.

use std::path::Path;

use flair_scoring::Protocol;

use crate::{challenge::Challenge, platform::Platform};

/// What to make.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The settings.
    pub challenge: &'a Challenge,
    /// By which rules submissions are scored.
    pub protocol: &'a Protocol,
    /// The scoring program, an executable for x86-64 Linux.
    pub program: &'a [u8],
    /// For which platforms.
    pub platforms: &'a [Platform],
    /// A folder with pages that take the place of ours: `overview.html`, `evaluation.html`, `terms.html`, `data.html`.
    pub pages: Option<&'a Path>,
    /// A PNG that takes the place of ours.
    pub logo: Option<&'a [u8]>,
}

//! FLAIR #2 data: files become arrays. Nothing here knows tensors.

pub mod dates;
pub mod toy;

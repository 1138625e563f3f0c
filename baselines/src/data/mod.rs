//! FLAIR data: what lies on disk, and what is made of it.

pub mod toy;

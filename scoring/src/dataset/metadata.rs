//! The keys of the dataset's JSON files.

use super::patch::PatchId;

/// Parses the patch of a key: `IMG_000826` (metadata) or `IMG_000826.tif` (centroids).
pub fn image_key(key: &str) -> Option<PatchId> {
    key.strip_suffix(".tif").unwrap_or(key).strip_prefix("IMG_")?.parse().ok()
}

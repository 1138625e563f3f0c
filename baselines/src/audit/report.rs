//! The report of an audit.

use flair_scoring::{Finding, finding::truncate};
use serde::Serialize;

use crate::data::Part;

/// The schema of [`AuditReport`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum AuditSchema {
    /// The first one.
    #[default]
    #[serde(rename = "flair-bench/audit/1")]
    V1,
}

/// Contents and problems of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditReport {
    /// `flair-bench/audit/1`.
    pub schema: AuditSchema,
    /// Each part that has files.
    pub parts: Vec<PartCounts>,
    /// Each domain of each part, in order.
    pub domains: Vec<DomainCounts>,
    /// Findings that are errors.
    pub errors: usize,
    /// Findings that are warnings.
    pub warnings: usize,
    /// Findings that are notes.
    pub notes: usize,
    /// Number of findings that [`AuditReport::truncate`] removed; the counts include them.
    pub truncated: usize,
    /// All findings, the most severe first.
    pub findings: Vec<Finding>,
}

impl AuditReport {
    /// Keeps the `most` most severe findings and counts the rest in [`AuditReport::truncated`].
    pub fn truncate(&mut self, most: usize) {
        self.truncated += truncate(&mut self.findings, most);
    }
}

/// A count in this dataset and in the published one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// In this dataset.
    pub found: usize,
    /// As published.
    pub published: usize,
}

/// Contents of a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartCounts {
    /// The part.
    pub part: Part,
    /// Its domains.
    pub domains: Count,
    /// Its zones, each with a super-area.
    pub zones: Count,
    /// Its aerial images.
    pub images: Count,
    /// Its masks.
    pub masks: Count,
    /// Sentinel-2 acquisitions of its super-areas.
    pub acquisitions: Count,
}

impl PartCounts {
    /// The sums over the domains of a part. The zones of the two parts are deduced from the whole dataset's 916 and
    /// FLAIR #1's 757 for training; all other counts are from IGNF/FLAIR-2's `README.md`.
    pub(super) fn of(part: Part, all: &[DomainCounts]) -> Self {
        let published = match part {
            Part::Train => [40, 757, 41_029],
            Part::Test => [10, 159, 10_215],
        };
        let of_part = || all.iter().filter(move |domain| domain.part == part);
        let sum = |count: fn(&DomainCounts) -> usize| of_part().map(count).sum();
        let count = |found, published| Count { found, published };
        Self {
            part,
            domains: count(of_part().count(), published[0]),
            zones: count(sum(|domain| domain.zones.len()), published[1]),
            images: count(sum(DomainCounts::images), part.official_patches()),
            masks: count(sum(DomainCounts::masks), part.official_patches()),
            acquisitions: count(sum(DomainCounts::acquisitions), published[2]),
        }
    }
}

/// Contents of a domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DomainCounts {
    /// The part.
    pub part: Part,
    /// Its name.
    pub domain: String,
    /// Its published number of patches; `None` if unknown.
    pub official: Option<usize>,
    /// Its zones, in order of their names.
    pub zones: Vec<ZoneCounts>,
}

/// Contents of a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ZoneCounts {
    /// Its name.
    pub zone: String,
    /// Aerial images.
    pub images: usize,
    /// Masks.
    pub masks: usize,
    /// The shape of its super-area, acquisitions × bands × rows × columns; `None` if it has none.
    pub super_area: Option<[usize; 4]>,
}

impl DomainCounts {
    /// Number of aerial images.
    pub fn images(&self) -> usize {
        self.zones.iter().map(|zone| zone.images).sum()
    }

    /// Number of masks.
    pub fn masks(&self) -> usize {
        self.zones.iter().map(|zone| zone.masks).sum()
    }

    /// Number of Sentinel-2 acquisitions.
    pub fn acquisitions(&self) -> usize {
        self.zones.iter().filter_map(|zone| zone.super_area).map(|[acquisitions, ..]| acquisitions).sum()
    }
}

//! The audit of a dataset: its contents and its problems.

mod folded;
mod pixels;
mod report;
#[cfg(test)]
mod tests;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::Arc,
};

use flair_scoring::{Code, Finding, PatchId, Progress, finding::tally, text::shown};
use serde::Deserialize;

use self::folded::{Folded, name, ranges};
pub use self::report::{AuditReport, AuditSchema, Count, DomainCounts, PartCounts, ZoneCounts};
use crate::data::{
    DataCode, DataError, Dataset, Fidelity, Part, PatchRecord, SuperAreaPaths,
    domains::{OFFICIAL_PATCHES, TEST_DOMAINS, TRAIN_DOMAINS},
    json::read_by_patch,
    metadata::AerialMetadata,
    npy::Dtype,
    sentinel::SuperArea,
};

/// Depth of an audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Names, JSON files, headers of the super-areas, lists of products.
    Headers,
    /// Also the values of every aerial image, mask and series.
    Values,
}

/// Audits a dataset for crops of `crop_size` pixels. Problems are returned as findings, not as errors.
pub fn audit(dataset: &Dataset, crop_size: usize, depth: Depth, progress: &dyn Progress) -> AuditReport {
    let mut audit = Audit { dataset, findings: dataset.findings.clone(), areas: BTreeMap::new() };
    audit.open_super_areas();
    audit.check_files();
    audit.check_centroids(crop_size);
    audit.check_metadata();
    audit.check_parts();
    if depth == Depth::Values {
        let areas: Vec<_> = audit.areas.iter().map(|(paths, area)| (paths.as_ref(), area)).collect();
        let of_series = pixels::series(&areas, progress);
        audit.findings.extend(of_series);
        audit.findings.extend(pixels::rasters(dataset, progress));
    }
    let domains = audit.counts();
    audit.check_domains(&domains);
    let mut findings = audit.findings;
    let rank = |finding: &Finding| Code::KINDS.iter().chain(DataCode::KINDS).position(|kind| kind.code == finding.code);
    findings.sort_by_cached_key(|f| (Reverse(f.severity), rank(f), f.subject.clone(), f.message.clone()));
    let [errors, warnings, notes] = tally(&findings);
    let parts = [Part::Train, Part::Test].map(|part| PartCounts::of(part, &domains));
    AuditReport {
        schema: AuditSchema::V1,
        parts: parts.into_iter().filter(|part| part.domains.found > 0).collect(),
        domains,
        errors,
        warnings,
        notes,
        truncated: 0,
        findings,
    }
}

/// Domain and zone of an image according to the metadata.
#[derive(Deserialize)]
struct StatedLocation {
    domain: Option<String>,
    zone: Option<String>,
}

struct Audit<'a> {
    dataset: &'a Dataset,
    findings: Vec<Finding>,
    areas: BTreeMap<&'a Arc<SuperAreaPaths>, SuperArea>,
}

impl<'a> Audit<'a> {
    fn records(&self) -> impl Iterator<Item = &'a PatchRecord> + use<'a> {
        self.dataset.patches.values()
    }

    fn open_super_areas(&mut self) {
        // Each belongs to one zone, so to one domain.
        let all: BTreeMap<_, _> = self.records().filter_map(|r| Some((r.sentinel.as_ref()?, &r.domain))).collect();
        for (paths, domain) in all {
            let subject = paths.data.display().to_string();
            match SuperArea::open(paths) {
                Ok(area) => {
                    if area.data().dtype() != Dtype::Unsigned(2) {
                        let message = format!("its dtype is {}, the dataset's is uint16", area.data().dtype());
                        self.findings.push(DataCode::UnusualDtype.finding(subject, message));
                    }
                    self.check_products(paths, domain, &area);
                    self.areas.insert(paths, area);
                }
                Err(error) => {
                    let message = error.about(&paths.data);
                    self.findings.push(DataCode::UnusableSuperArea.finding(subject, message));
                }
            }
        }
    }

    fn check_products(&mut self, paths: &SuperAreaPaths, domain: &str, area: &SuperArea) {
        let subject = || paths.products.display().to_string();
        if !area.dates().is_sorted() {
            let message = "its products are not sorted by date";
            self.findings.push(DataCode::UnsortedProducts.finding(subject(), message));
        }
        // It was read before, within its limits.
        let text = fs::read_to_string(&paths.products).unwrap_or_default();
        let year = domain.rsplit('_').next().unwrap_or_default();
        let years: BTreeSet<_> = text.lines().filter_map(|line| line.get(11..15)).filter(|y| *y != year).collect();
        if !years.is_empty() {
            let years = years.into_iter().take(5).collect::<Vec<_>>().join(", ");
            let message = format!("it has products of {years}, its domain's year is {year}");
            self.findings.push(DataCode::OtherYear.finding(subject(), message));
        }
    }

    fn check_files(&mut self) {
        self.lacking(DataCode::MissingImage, "no aerial image", |record| record.image.is_none());
        self.lacking(DataCode::MissingMask, "no mask", |record| record.mask.is_none());
        self.lacking(DataCode::MissingSuperArea, "no Sentinel-2 super-area", |record| record.sentinel.is_none());
    }

    fn check_centroids(&mut self, crop_size: usize) {
        let Some(path) = &self.dataset.centroids else {
            let message = "there is no file *centroids_sp_to_patch*.json: U-T&T cannot be used";
            return self.findings.push(DataCode::MissingCentroids.finding("the dataset", message));
        };
        let centroids = match read_by_patch::<[i64; 2]>(path, |id| self.dataset.patches.contains_key(&id)) {
            Ok(centroids) => centroids,
            Err(error) => {
                let subject = path.display().to_string();
                return self.findings.push(DataCode::UnusableCentroids.finding(subject, error.about(path)));
            }
        };
        self.lacking(DataCode::MissingCentroid, "no centroid in their super-area", |r| !centroids.contains_key(&r.id));
        let mut folded = Folded::default();
        for record in self.records() {
            let area = record.sentinel.as_ref().and_then(|paths| self.areas.get(paths));
            let Some((area, centroid)) = area.zip(centroids.get(&record.id)) else { continue };
            if area.window(record.id, *centroid, crop_size).is_err() {
                let [_, _, height, width] = area.data().shape();
                let subject = format!("{} at {centroid:?} in {height} × {width}", record.id.file_name("IMG"));
                let message = format!(
                    "a crop of {crop_size} pixels extends beyond the super-area: choose a smaller `sat_patch_size`"
                );
                folded.add(record, DataCode::OutsideSuperArea.kind(), subject, message);
            }
        }
        self.findings.extend(folded.into_findings());
    }

    fn check_metadata(&mut self) {
        let Some(path) = &self.dataset.metadata else {
            let message = "there is no file *aerial_metadata*.json: `aerial_metadata` cannot be used";
            return self.findings.push(DataCode::MissingMetadataFile.finding("the dataset", message));
        };
        let is_known = |id| self.dataset.patches.contains_key(&id);
        let read = read_by_patch::<AerialMetadata>(path, is_known)
            .and_then(|entries| Ok((entries, read_by_patch::<StatedLocation>(path, is_known)?)));
        let (entries, locations) = match read {
            Ok(read) => read,
            Err(error) => {
                let subject = path.display().to_string();
                return self.findings.push(DataCode::UnusableMetadata.finding(subject, error.about(path)));
            }
        };
        self.lacking(DataCode::MissingMetadata, "no metadata", |record| !entries.contains_key(&record.id));
        let mut folded = Folded::default();
        for record in self.records() {
            let subject = || record.id.file_name("IMG");
            match entries.get(&record.id).map(|entry| entry.encode(record.id, 32, Fidelity::Upstream)) {
                Some(Err(DataError::Metadata { field, value, expected, .. })) => {
                    let message = format!("its `{field}` is `{}`, expected {expected}", shown(&value));
                    folded.add(record, DataCode::UnusableMetadata.kind(), subject(), message);
                }
                Some(Err(error)) => {
                    folded.add(record, DataCode::UnusableMetadata.kind(), subject(), error.to_string());
                }
                Some(Ok(_)) | None => {}
            }
            let Some(StatedLocation { domain, zone }) = locations.get(&record.id) else { continue };
            let is_there =
                |stated: &Option<String>, found: &str| stated.as_deref().is_none_or(|stated| stated == found);
            if !is_there(domain, &record.domain) || !is_there(zone, &record.zone) {
                let stated = shown(&[domain, zone].map(|name| name.as_deref().unwrap_or("…")).join("/"));
                let message = format!("its metadata say {stated}, but it is in {}/{}", record.domain, record.zone);
                folded.add(record, DataCode::MetadataElsewhere.kind(), subject(), message);
            }
        }
        self.findings.extend(folded.into_findings());
    }

    /// Compares each part with the published dataset.
    fn check_parts(&mut self) {
        for part in [Part::Train, Part::Test] {
            let patches = self.dataset.of_part(part).count();
            if patches == 0 {
                continue;
            }
            if patches != part.official_patches() {
                let message = format!("it holds {patches} of {} patches", part.official_patches());
                self.findings.push(DataCode::PartOfTheDataset.finding(name(part), message));
            }
            let published: &[&str] = if part == Part::Train { &TRAIN_DOMAINS } else { &TEST_DOMAINS };
            let found = self.dataset.domains(part);
            for domain in found.iter().filter(|domain| !published.contains(domain)) {
                let subject = format!("{}/{domain}", name(part));
                let message = format!("the published {} part has no such domain", name(part));
                self.findings.push(DataCode::UnknownDomain.finding(subject, message));
            }
            let missing: Vec<_> = published.iter().filter(|domain| !found.contains(*domain)).copied().collect();
            if !missing.is_empty() {
                let shown = missing[..missing.len().min(8)].join(", ");
                let more = if missing.len() > 8 { ", …" } else { "" };
                let message = format!("{} of {} domains are missing: {shown}{more}", missing.len(), published.len());
                self.findings.push(DataCode::MissingDomains.finding(name(part), message));
            }
        }
        let numbers = |part| if part == Part::Train { 1..=61_712 } else { 77_413..=93_462 };
        let mut folded = Folded::default();
        for record in self.records().filter(|record| !numbers(record.part).contains(&record.id.number())) {
            let numbers = numbers(record.part);
            let is_leak = record.part == Part::Train && (77_413..=93_462).contains(&record.id.number());
            let leak = if is_leak { ": it is of the test part, and training on it leaks test data" } else { "" };
            let message = format!(
                "the published {} part has {:06} to {:06}{leak}",
                name(record.part),
                numbers.start(),
                numbers.end()
            );
            folded.add(record, DataCode::NumberOfOtherPart.kind(), record.id.to_string(), message);
        }
        self.findings.extend(folded.into_findings());
    }

    fn check_domains(&mut self, domains: &[DomainCounts]) {
        for domain in domains {
            let images = domain.images();
            if let Some(published) = domain.official.filter(|&published| images > 0 && images != published) {
                let subject = format!("{}/{}", name(domain.part), domain.domain);
                let message = format!("{images} of {published} published images");
                self.findings.push(DataCode::IncompleteDomain.finding(subject, message));
            }
        }
    }

    /// One finding per domain for patches that lack an input.
    fn lacking(&mut self, code: DataCode, what: &str, lacks: impl Fn(&PatchRecord) -> bool) {
        let mut domains: BTreeMap<(Part, &str), (Vec<PatchId>, usize)> = BTreeMap::new();
        for record in self.records() {
            let (without, all) = domains.entry((record.part, &record.domain)).or_default();
            *all += 1;
            if lacks(record) {
                without.push(record.id);
            }
        }
        for ((part, domain), (without, all)) in domains {
            if !without.is_empty() {
                let message = format!("{} of {all} patches have {what}: {}", without.len(), ranges(without));
                self.findings.push(code.finding(format!("{}/{domain}", name(part)), message));
            }
        }
    }

    fn counts(&self) -> Vec<DomainCounts> {
        let mut domains: BTreeMap<(Part, &str), BTreeMap<&str, ZoneCounts>> = BTreeMap::new();
        for record in self.records() {
            let zones = domains.entry((record.part, &record.domain)).or_default();
            let zone = zones.entry(&record.zone).or_default();
            zone.images += usize::from(record.image.is_some());
            zone.masks += usize::from(record.mask.is_some());
            let area = record.sentinel.as_ref().and_then(|paths| self.areas.get(paths));
            zone.super_area = area.map(|area| area.data().shape());
        }
        let named = |(zone, counts): (&str, ZoneCounts)| ZoneCounts { zone: zone.to_owned(), ..counts };
        domains
            .into_iter()
            .map(|((part, domain), zones)| DomainCounts {
                part,
                domain: domain.to_owned(),
                official: OFFICIAL_PATCHES
                    .iter()
                    .find(|known| (known.0, known.1) == (part, domain))
                    .map(|known| known.2),
                zones: zones.into_iter().map(named).collect(),
            })
            .collect()
    }
}

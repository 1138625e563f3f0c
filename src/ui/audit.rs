//! What a dataset holds, as a table.

use comfy_table::{Cell, CellAlignment, Table, presets};
use flair_baselines::data::audit::AuditReport;

/// A row a domain: part, zones, images, masks, super-areas, and how many patches it has as published.
pub(crate) fn audit_table(report: &AuditReport) -> String {
    let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["part", "domain", "zones", "images", "masks", "super-areas", "published"]);
    for domain in &report.domains {
        let areas = domain.zones.iter().filter(|zone| zone.super_area.is_some()).count();
        let published = domain.official.map_or_else(|| "–".to_owned(), |count| count.to_string());
        let counts = [domain.zones.len(), domain.images(), domain.masks(), areas].map(|count| right(count.to_string()));
        let names = [Cell::new(format!("{:?}", domain.part).to_lowercase()), Cell::new(&domain.domain)];
        table.add_row(names.into_iter().chain(counts).chain([right(published)]));
    }
    format!("{table}\n")
}

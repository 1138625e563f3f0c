//! The contents of a dataset, as a table.

use comfy_table::{Cell, CellAlignment, Table, presets};
use flair_baselines::audit::{AuditReport, Count, ZoneCounts};

/// The rows of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    /// Each domain.
    Domains,
    /// Each zone.
    Zones,
}

const COUNTS: usize = 6;

/// One row per domain or zone, and one per part with the published counts.
pub(crate) fn audit_table(report: &AuditReport, rows: Rows) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    let unit = if rows == Rows::Zones { "zone" } else { "domain" };
    table.set_header(["part", unit, "zones", "images", "masks", "super-areas", "acquisitions", "published"]);
    let mut add = |part: &str, name: &str, counts: [String; COUNTS]| {
        let counts = counts.map(|text| Cell::new(text).set_alignment(CellAlignment::Right));
        table.add_row([Cell::new(part), Cell::new(name)].into_iter().chain(counts));
    };
    for part in &report.parts {
        let name = format!("{:?}", part.part).to_lowercase();
        for domain in report.domains.iter().filter(|domain| domain.part == part.part) {
            let published = domain.official.map_or_else(|| "–".to_owned(), |count| count.to_string());
            match rows {
                Rows::Domains => add(&name, &domain.domain, counts(&domain.zones, domain.zones.len(), published)),
                Rows::Zones => {
                    for zone in &domain.zones {
                        let zone_name = format!("{}/{}", domain.domain, zone.zone);
                        add(&name, &zone_name, counts(std::slice::from_ref(zone), 1, "–".to_owned()));
                    }
                }
            }
        }
        let of = |count: Count| format!("{} of {}", count.found, count.published);
        let all = [part.zones, part.images, part.masks].map(of);
        let areas = report.domains.iter().filter(|domain| domain.part == part.part).flat_map(|domain| &domain.zones);
        let areas = areas.filter(|zone| zone.super_area.is_some()).count();
        let areas = of(Count { found: areas, published: part.zones.published });
        let [zones, images, masks] = all;
        let published = part.images.published.to_string();
        let total = [zones, images, masks, areas, of(part.acquisitions), published];
        add(&name, &format!("{} domains", of(part.domains)), total);
    }
    format!("{table}\n")
}

fn counts(zones: &[ZoneCounts], number: usize, published: String) -> [String; COUNTS] {
    let sum = |count: fn(&ZoneCounts) -> usize| zones.iter().map(count).sum::<usize>().to_string();
    [
        number.to_string(),
        sum(|zone| zone.images),
        sum(|zone| zone.masks),
        sum(|zone| usize::from(zone.super_area.is_some())),
        sum(|zone| zone.super_area.map_or(0, |[acquisitions, ..]| acquisitions)),
        published,
    ]
}

//! The contents of a dataset, as a table.

use comfy_table::Cell;
use flair_baselines::audit::{AuditReport, Count, ZoneCounts};

use super::{
    cells::right,
    fitted::{Fitted, kept, spare},
    screen::terminal_width,
};

/// The rows of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    /// Each domain.
    Domains,
    /// Each zone.
    Zones,
}

const COUNTS: usize = 6;

/// One row per domain or zone, and one per part with the published counts, to fit the terminal.
pub(crate) fn audit_table(report: &AuditReport, rows: Rows) -> String {
    fitted(report, rows, terminal_width())
}

fn fitted(report: &AuditReport, rows: Rows, width: Option<u16>) -> String {
    let unit = if rows == Rows::Zones { "zone" } else { "domain" };
    let mut table = Fitted::new(vec![
        kept(Cell::new("part")),
        kept(Cell::new(unit)),
        spare(1, "zones"),
        kept(right("images")),
        spare(2, "masks"),
        spare(3, "super-areas"),
        spare(4, "acquisitions"),
        kept(right("published")),
    ]);
    let mut add = |part: &str, name: &str, counts: [String; COUNTS]| {
        table.add_row([Cell::new(part), Cell::new(name)].into_iter().chain(counts.map(right)).collect());
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
    format!("{}\n", table.text(width))
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

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use flair_baselines::{
        audit::{Depth, audit},
        data::{DataPaths, Dataset},
    };

    use super::*;
    use crate::ui::Bars;

    #[test]
    fn the_table_fits_80_columns() {
        let dir = tempfile::tempdir().unwrap();
        let zone = dir.path().join("flair_aerial_train/D004_2021/Z10_AU/img");
        fs::create_dir_all(&zone).unwrap();
        fs::write(zone.join("IMG_000826.tif"), "").unwrap();
        let dataset = Dataset::open(Some(Path::new(dir.path())), &DataPaths::default()).unwrap();
        let report = audit(&dataset, 40, Depth::Headers, &Bars::new());
        for rows in [Rows::Domains, Rows::Zones] {
            let text = fitted(&report, rows, Some(80));
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
            assert!(text.contains("published") && text.contains("D004_2021"), "{text}");
        }
        assert!(fitted(&report, Rows::Domains, None).contains("acquisitions"));
    }
}

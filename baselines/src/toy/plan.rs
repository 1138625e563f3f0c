//! The plan of a toy dataset: domains, zones, and the positions of the patches.

use std::f32::consts::PI;

use flair_scoring::PatchId;

use super::noise::{Noise, Point, cell};
use crate::random::Generator;

/// Side of a patch in metres.
pub(super) const PATCH_M: f32 = 102.4;
/// Side of a pixel of an aerial patch in metres.
pub(super) const AERIAL_M: f32 = 0.2;
/// Side of a pixel of a super-area in metres.
pub(super) const SENTINEL_M: f32 = 10.0;
/// Patches of a zone: two by two, side by side.
const PATCHES_PER_ZONE: usize = 4;

/// First official patch numbers: of trainval, and of the FLAIR #2 test set.
const FIRST_IDS: [u32; 2] = [1, 77_413];

/// Which part of the dataset a domain belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToySplit {
    /// Training and validation.
    Train,
    /// The challenge's test set.
    Test,
}

/// A dominant land use of a zone: a letter of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Urban,
    Agricultural,
    Forest,
    Natural,
}

/// A domain of toy data: an official name and the approximate location.
pub(super) struct Domain {
    pub(super) name: &'static str,
    pub(super) split: ToySplit,
    pub(super) year: u16,
    /// Lambert-93, metres.
    origin: [f64; 2],
    altitude_m: f64,
    /// Approximate number of days with snow on the ground per winter.
    pub(super) snow_days: f32,
    /// Tile of the Sentinel-2 grid.
    pub(super) tile: &'static str,
    /// Relative orbit of the satellites.
    pub(super) orbit: u8,
    camera: &'static str,
}

/// `D004_2021` is in both published validation lists, the other three of trainval in neither.
const DOMAINS: [Domain; 6] = [
    domain("D004_2021", ToySplit::Train, 2021, [952_000.0, 6_332_000.0], (480.0, 0.0), ("T31TGJ", 108), "UCE-M3-f100"),
    domain("D032_2019", ToySplit::Train, 2019, [498_000.0, 6_286_000.0], (190.0, 0.0), ("T31TCJ", 51), "CAMERA#030"),
    domain("D055_2018", ToySplit::Train, 2018, [872_000.0, 6_886_000.0], (260.0, 0.0), ("T31UFQ", 8), "CAMERA#020"),
    domain(
        "D074_2020",
        ToySplit::Train,
        2020,
        [952_000.0, 6_541_000.0],
        (930.0, 75.0),
        ("T31TGM", 108),
        "UCE-M3-f120-s06",
    ),
    domain(
        "D015_2020",
        ToySplit::Test,
        2020,
        [661_000.0, 6_438_000.0],
        (870.0, 60.0),
        ("T31TDK", 8),
        "UCE-M3-f120-s07",
    ),
    domain("D022_2021", ToySplit::Test, 2021, [261_000.0, 6_842_000.0], (110.0, 0.0), ("T30UWU", 37), "CAMERA#034"),
];

const fn domain(
    name: &'static str,
    split: ToySplit,
    year: u16,
    origin: [f64; 2],
    (altitude_m, snow_days): (f64, f32),
    (tile, orbit): (&'static str, u8),
    camera: &'static str,
) -> Domain {
    Domain { name, split, year, origin, altitude_m, snow_days, tile, orbit, camera }
}

/// A super-area and the patches inside it.
pub(super) struct Zone {
    pub(super) domain: &'static Domain,
    pub(super) name: String,
    pub(super) kinds: [Kind; 2],
    /// Size of the super-area: rows, columns.
    pub(super) size: [usize; 2],
    pub(super) patches: Vec<Patch>,
    /// Day of the year of the aerial images.
    pub(super) day: u16,
    /// Time of day of the aerial images, in minutes.
    minute: u16,
}

/// A patch and its position.
pub(super) struct Patch {
    pub(super) id: PatchId,
    /// Its centre, from the super-area's upper left corner.
    pub(super) centre: Point,
}

/// A patch's entry in `flair_aerial_metadata.json`.
#[derive(serde::Serialize)]
pub(super) struct Metadata {
    domain: &'static str,
    zone: String,
    date: String,
    time: String,
    patch_centroid_x: f64,
    patch_centroid_y: f64,
    patch_centroid_z: f64,
    camera: &'static str,
}

/// The zones of a dataset of `patches` patches, a third of them for the test, in the order of the patch numbers.
pub(super) fn zones(seed: u64, patches: usize) -> Vec<Zone> {
    let test = (patches / 3).max(1);
    let mut zones = Vec::new();
    for (split, total) in [(ToySplit::Train, patches - test), (ToySplit::Test, test)] {
        let domains: Vec<_> = (0..).zip(&DOMAINS).filter(|(_, domain)| domain.split == split).collect();
        let mut id = FIRST_IDS[usize::from(split == ToySplit::Test)];
        for (rank, (index, domain)) in domains.iter().enumerate() {
            // The first domains get the remainder.
            let mut left = (total + domains.len() - 1 - rank) / domains.len();
            for number in 0.. {
                if left == 0 {
                    break;
                }
                let count = left.min(PATCHES_PER_ZONE);
                let ids = (id..).map_while(PatchId::new).take(count);
                zones.push(Zone::new(seed, domain, [*index, number], ids));
                id += u32::try_from(count).unwrap_or(0);
                left -= count;
            }
        }
    }
    zones
}

impl Zone {
    fn new(
        seed: u64,
        domain: &'static Domain,
        [index, number]: [usize; 2],
        ids: impl Iterator<Item = PatchId>,
    ) -> Self {
        use Kind::{Agricultural, Forest, Natural, Urban};
        // Two consecutive zones have all four kinds.
        const PAIRS: [[[Kind; 2]; 2]; 3] = [
            [[Urban, Agricultural], [Forest, Natural]],
            [[Agricultural, Forest], [Urban, Natural]],
            [[Agricultural, Natural], [Forest, Urban]],
        ];
        let kinds = PAIRS[(index + number / 2) % 3][number % 2];
        let letters: String = kinds.iter().map(|kind| kind.letter()).collect();
        let mut random = Generator::new(seed, &format!("toy/{}/{number}/plan", domain.name));
        let size = [64 + random.below(5), 64 + random.below(5)];
        let day = 142 + u16::try_from(random.below(38)).unwrap_or(0);
        let minute = 10 * 60 + 20 + u16::try_from(random.below(160)).unwrap_or(0);
        // The common corner of the four patches: their centres are at least 20 pixels from every edge.
        let chance = Noise::new(&mut random);
        let middle = |axis: usize| {
            let margin = 21.0 * SENTINEL_M + PATCH_M / 2.0;
            margin + (size[axis] as f32 * SENTINEL_M - 2.0 * margin) * chance.uniform(i32::from(axis == 1), 0)
        };
        let (south, east) = (middle(0), middle(1));
        let offset = |second: bool| if second { PATCH_M / 2.0 } else { -PATCH_M / 2.0 };
        let patches = ids
            .enumerate()
            .map(|(i, id)| Patch { id, centre: [east + offset(i % 2 == 1), south + offset(i / 2 == 1)] })
            .collect();
        Self { domain, name: format!("Z{}_{letters}", number + 1), kinds, size, patches, day, minute }
    }

    /// Name of its random stream for `purpose`.
    pub(super) fn stream(&self, purpose: &str) -> String {
        format!("toy/{}/{}/{purpose}", self.domain.name, self.name)
    }

    /// Horizontal direction towards the sun.
    pub(super) fn light(&self) -> Point {
        // South at 13:45 (summer time); the azimuth changes by some 20 degrees an hour.
        let azimuth = (f32::from(self.minute) - 825.0) / 60.0 * 20.0 * PI / 180.0;
        [-azimuth.sin(), azimuth.cos()]
    }

    /// `[row, column]` of the pixel of the super-area whose upper left corner is nearest to the patch's centre.
    pub(super) fn centroid(patch: &Patch) -> [usize; 2] {
        let pixel = |metres: f32| usize::try_from(cell(metres / SENTINEL_M + 0.5)).unwrap_or(0);
        [pixel(patch.centre[1]), pixel(patch.centre[0])]
    }

    /// The metadata of a patch whose ground is `relief_m` above the domain's altitude.
    pub(super) fn metadata(&self, patch: &Patch, relief_m: f32) -> Metadata {
        let (month, day) = month_and_day(self.domain.year, self.day);
        // Zones of one domain are 2 km apart.
        let number: f64 =
            self.name.trim_start_matches('Z').split('_').next().and_then(|n| n.parse().ok()).unwrap_or(0.0);
        let round = |metres: f64| (metres * 10.0).round() / 10.0;
        Metadata {
            domain: self.domain.name,
            zone: self.name.clone(),
            date: format!("{}-{month:02}-{day:02}", self.domain.year),
            time: format!("{:02}h{:02}", self.minute / 60, self.minute % 60),
            patch_centroid_x: round(self.domain.origin[0] + 2000.0 * number + f64::from(patch.centre[0])),
            patch_centroid_y: round(self.domain.origin[1] - f64::from(patch.centre[1])),
            patch_centroid_z: round(self.domain.altitude_m + f64::from(relief_m)),
            camera: self.domain.camera,
        }
    }
}

impl Kind {
    fn letter(self) -> char {
        match self {
            Self::Urban => 'U',
            Self::Agricultural => 'A',
            Self::Forest => 'F',
            Self::Natural => 'N',
        }
    }
}

/// Month and day of month of a day of the year, counted from 1.
pub(super) fn month_and_day(year: u16, day: u16) -> (u16, u16) {
    let february = if year.is_multiple_of(4) { 29 } else { 28 };
    let mut left = day;
    for (month, days) in (1..).zip([31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30]) {
        if left <= days {
            return (month, left);
        }
        left -= days;
    }
    (12, left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_are_split_by_thirds_and_keep_from_the_edges() {
        for total in [3, 4, 7, 48, 301] {
            let zones = zones(5, total);
            let of = |split| zones.iter().filter(move |z| z.domain.split == split).flat_map(|z| &z.patches);
            assert_eq!((of(ToySplit::Train).count(), of(ToySplit::Test).count()), (total - total / 3, total / 3));
            assert!(of(ToySplit::Train).all(|p| (1..=61_712).contains(&p.id.number())));
            assert!(of(ToySplit::Test).all(|p| (77_413..=93_462).contains(&p.id.number())));
            for zone in &zones {
                for patch in &zone.patches {
                    let centroid = Zone::centroid(patch);
                    assert!((0..2).all(|axis| centroid[axis] >= 20 && centroid[axis] + 20 <= zone.size[axis]));
                }
            }
        }
    }

    #[test]
    fn days_become_dates() {
        assert_eq!(month_and_day(2021, 1), (1, 1));
        assert_eq!(month_and_day(2021, 60), (3, 1));
        assert_eq!(month_and_day(2020, 60), (2, 29));
        assert_eq!(month_and_day(2020, 366), (12, 31));
    }
}

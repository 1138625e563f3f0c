//! Land covers: label, aerial colours, and spectrum through the year.

/// Number of covers.
pub(super) const COVERS: usize = Cover::ALL.len();

pub(super) use crate::data::sentinel::BANDS;

/// A kind of surface. Several may share a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cover {
    Tiles,
    Slate,
    Metal,
    Gravel,
    Asphalt,
    Soil,
    Water,
    Conifer,
    Broadleaf,
    Heath,
    VineRow,
    VineGap,
    Grass,
    Crop,
    Furrow,
    Pool,
    ClearCut,
    Greenhouse,
    Solar,
}

/// Properties of a cover.
pub(super) struct Traits {
    /// Its value in a mask, `1..=19`.
    pub(super) label: u8,
    /// Red, green, blue and near infrared from the air, digital numbers.
    pub(super) colour: [f32; 4],
    /// Strength of its fine grain, relative to its brightness.
    pub(super) grain: f32,
    /// Strength of the variation between parcels, relative to its brightness.
    pub(super) variety: f32,
    /// Spectrum without vegetation.
    ground: &'static [f32; BANDS],
    /// Spectrum at full greenness.
    canopy: &'static [f32; BANDS],
    greenness: Greenness,
}

/// How green a cover is through the year: `winter` before `up` and after `down`, `summer` between; days of the year.
struct Greenness {
    winter: f32,
    summer: f32,
    up: f32,
    down: f32,
    /// Time scale of each change, in days.
    pace: f32,
}

impl Greenness {
    const fn steady(value: f32) -> Self {
        Self { winter: value, summer: value, up: 100.0, down: 300.0, pace: 10.0 }
    }

    fn on(&self, day: f32) -> f32 {
        let rise = |at: f32| 1.0 / (1.0 + ((at - day) / self.pace).exp());
        self.winter + (self.summer - self.winter) * (rise(self.up) - rise(self.down))
    }
}

// Surface reflectance × 10 000, in the order of `BANDS`; typical of the published spectral libraries.
const SOIL: [f32; BANDS] = [800., 1050., 1350., 1550., 1700., 1850., 2000., 2150., 2700., 2350.];
const OCHRE: [f32; BANDS] = [950., 1350., 2000., 2300., 2450., 2600., 2750., 2900., 3700., 3400.];
const LITTER: [f32; BANDS] = [450., 600., 750., 950., 1150., 1300., 1450., 1600., 2000., 1500.];
const GRAVEL: [f32; BANDS] = [1500., 1700., 1950., 2050., 2150., 2200., 2300., 2350., 2700., 2600.];
const ASPHALT: [f32; BANDS] = [900., 1000., 1100., 1150., 1200., 1250., 1300., 1350., 1500., 1450.];
const TILES: [f32; BANDS] = [900., 1100., 1700., 1900., 2000., 2050., 2150., 2200., 2500., 2400.];
const SLATE: [f32; BANDS] = [850., 880., 900., 920., 950., 980., 1000., 1020., 1150., 1150.];
const METAL: [f32; BANDS] = [2300., 2400., 2450., 2500., 2550., 2600., 2650., 2650., 2500., 2400.];
const WATER: [f32; BANDS] = [500., 450., 300., 220., 170., 150., 130., 120., 60., 40.];
const POOL: [f32; BANDS] = [1900., 1700., 700., 500., 350., 300., 250., 230., 100., 80.];
const GLASS: [f32; BANDS] = [2100., 2200., 2250., 2350., 2700., 2900., 3000., 3050., 2300., 1900.];
const PANEL: [f32; BANDS] = [600., 550., 500., 520., 600., 650., 700., 750., 900., 800.];
const GRASS: [f32; BANDS] = [350., 700., 400., 1050., 2800., 3500., 3700., 3900., 1900., 950.];
const LEAVES: [f32; BANDS] = [250., 550., 280., 850., 2700., 3600., 3800., 4000., 1700., 750.];
const NEEDLES: [f32; BANDS] = [220., 380., 240., 550., 1400., 1800., 1950., 2100., 950., 450.];

impl Cover {
    pub(super) const ALL: [Self; 19] = [
        Self::Tiles,
        Self::Slate,
        Self::Metal,
        Self::Gravel,
        Self::Asphalt,
        Self::Soil,
        Self::Water,
        Self::Conifer,
        Self::Broadleaf,
        Self::Heath,
        Self::VineRow,
        Self::VineGap,
        Self::Grass,
        Self::Crop,
        Self::Furrow,
        Self::Pool,
        Self::ClearCut,
        Self::Greenhouse,
        Self::Solar,
    ];

    /// Its index in [`Cover::ALL`].
    pub(super) const fn index(self) -> usize {
        self as usize
    }

    /// Its reflectance × 10 000 on a day of the year.
    pub(super) fn spectrum(self, day: f32) -> [f32; BANDS] {
        let Traits { ground, canopy, greenness, .. } = self.traits();
        let green = greenness.on(day);
        std::array::from_fn(|band| ground[band] + green * (canopy[band] - ground[band]))
    }

    /// Its properties.
    ///
    /// Grass and crops have the same colours from the air and different seasons. Needles and leaves differ slightly from
    /// the air and strongly in winter.
    #[rustfmt::skip]
    pub(super) fn traits(self) -> &'static Traits {
        const fn dead(label: u8, colour: [f32; 4], grain: f32, variety: f32, ground: &'static [f32; BANDS]) -> Traits {
            Traits { label, colour, grain, variety, ground, canopy: ground, greenness: Greenness::steady(0.0) }
        }
        const fn alive(
            label: u8, colour: [f32; 4], grain: f32, variety: f32,
            ground: &'static [f32; BANDS], canopy: &'static [f32; BANDS], greenness: Greenness,
        ) -> Traits {
            Traits { label, colour, grain, variety, ground, canopy, greenness }
        }
        const FIELD: [f32; 4] = [112., 148., 84., 196.];
        static TABLE: [Traits; COVERS] = [
            dead(1, [186., 106., 82., 122.], 0.05, 0.9, &TILES),
            dead(1, [70., 82., 130., 66.], 0.04, 0.7, &SLATE),
            dead(1, [206., 208., 214., 168.], 0.03, 0.6, &METAL),
            dead(2, [202., 188., 160., 170.], 0.06, 0.5, &GRAVEL),
            dead(3, [128., 128., 134., 104.], 0.04, 0.5, &ASPHALT),
            dead(4, [194., 146., 102., 152.], 0.06, 0.6, &OCHRE),
            dead(5, [44., 72., 84., 18.], 0.05, 0.8, &WATER),
            alive(6, [34., 62., 50., 92.], 0.07, 0.6, &LITTER, &NEEDLES, Greenness::steady(0.95)),
            alive(7, [80., 114., 54., 178.], 0.07, 0.6, &LITTER, &LEAVES,
                Greenness { winter: 0.08, summer: 1.0, up: 112., down: 305., pace: 8. }),
            alive(8, [122., 118., 74., 138.], 0.10, 0.6, &LITTER, &LEAVES,
                Greenness { winter: 0.35, summer: 0.55, up: 120., down: 280., pace: 20. }),
            alive(9, [60., 128., 34., 214.], 0.08, 0.5, &SOIL, &LEAVES,
                Greenness { winter: 0.03, summer: 0.75, up: 150., down: 290., pace: 10. }),
            alive(9, [152., 104., 104., 124.], 0.06, 0.5, &SOIL, &GRASS,
                Greenness { winter: 0.2, summer: 0.05, up: 130., down: 300., pace: 20. }),
            alive(10, FIELD, 0.05, 1.0, &LITTER, &GRASS,
                Greenness { winter: 0.62, summer: 0.85, up: 95., down: 300., pace: 20. }),
            alive(11, FIELD, 0.05, 1.0, &SOIL, &GRASS,
                Greenness { winter: 0.06, summer: 1.0, up: 104., down: 191., pace: 6. }),
            alive(12, [140., 108., 84., 106.], 0.06, 0.6, &SOIL, &GRASS,
                Greenness { winter: 0.6, summer: 0.04, up: 92., down: 298., pace: 8. }),
            dead(13, [76., 190., 218., 36.], 0.03, 0.4, &POOL),
            alive(15, [160., 132., 122., 128.], 0.10, 0.5, &LITTER, &LEAVES,
                Greenness { winter: 0.1, summer: 0.3, up: 130., down: 290., pace: 15. }),
            dead(18, [222., 230., 234., 204.], 0.03, 0.3, &GLASS),
            dead(19, [46., 52., 96., 52.], 0.04, 0.3, &PANEL),
        ];
        &TABLE[self.index()]
    }
}

#[cfg(test)]
mod tests {
    use flair_scoring::RawLabel;

    use super::*;

    #[test]
    fn every_class_has_a_cover_and_every_cover_a_label() {
        let mut seen = [false; flair_scoring::CLASS_COUNT];
        for (index, cover) in Cover::ALL.into_iter().enumerate() {
            assert_eq!(cover.index(), index);
            seen[RawLabel::new(cover.traits().label).unwrap().class().index()] = true;
        }
        assert_eq!(seen, [true; flair_scoring::CLASS_COUNT]);
    }

    /// Normalised difference of near infrared (B8) and red (B4).
    fn ndvi(cover: Cover, day: f32) -> f32 {
        let spectrum = cover.spectrum(day);
        (spectrum[6] - spectrum[2]) / (spectrum[6] + spectrum[2])
    }

    #[test]
    fn pairs_of_equal_colours_differ_in_their_seasons() {
        let bits = |cover: Cover| cover.traits().colour.map(f32::to_bits);
        assert_eq!(bits(Cover::Grass), bits(Cover::Crop));
        assert!((ndvi(Cover::Grass, 160.0) - ndvi(Cover::Crop, 160.0)).abs() < 0.1);
        for day in [20.0, 230.0, 340.0] {
            assert!(ndvi(Cover::Grass, day) > ndvi(Cover::Crop, day) + 0.3, "{day}");
        }
        assert!(ndvi(Cover::Conifer, 30.0) > ndvi(Cover::Broadleaf, 30.0) + 0.3);
        assert!(ndvi(Cover::Furrow, 20.0) > ndvi(Cover::Furrow, 180.0) + 0.3);
    }
}

//! Super-areas: Sentinel-2 series of the zone's ground at 10 m, with clouds and snow.

use super::{
    cover::{BANDS, COVERS, Cover},
    landscape::Landscape,
    noise::{Noise, Point, add_scaled, cell, smoothstep},
    plan::{SENTINEL_M, Zone, month_and_day},
};
use crate::random::Generator;

/// Ground samples per pixel, on each axis.
const SAMPLES: usize = 4;
const SNOW: [f32; BANDS] = [8800., 8900., 8800., 8700., 8600., 8500., 8400., 8200., 1200., 900.];
const CLOUD: [f32; BANDS] = [5600., 5500., 5400., 5500., 5600., 5700., 5700., 5750., 4200., 3600.];

/// A year of acquisitions of a super-area.
pub(super) struct Series {
    /// `[T, 10, H, W]`: reflectance × 10 000; all 0 where an acquisition holds no data.
    pub(super) data: Vec<u16>,
    /// `[T, 2, H, W]`: probability of snow, then of cloud, `0..=100`.
    pub(super) masks: Vec<u8>,
    /// The products' names, in the order of their dates.
    pub(super) products: Vec<String>,
}

/// The weather of an acquisition.
struct Weather {
    /// 0 clear, 1 overcast.
    cloudiness: f32,
    /// Offset of a cloud's shadow from the cloud, in metres.
    shadow: Point,
    /// Snow cover: 0 none, 1 complete.
    snow: f32,
    /// Factor of all reflectances: the residual of the atmospheric correction.
    haze: f32,
}

/// The content of a pixel.
struct Mixture {
    /// Share of each cover.
    shares: [f32; COVERS],
    /// Mean lead of its growth over other parcels, in days.
    ahead: f32,
}

/// Generates the series of a zone.
pub(super) fn series(seed: u64, zone: &Zone, landscape: &Landscape) -> Series {
    let mut random = Generator::new(seed, &zone.stream("sentinel"));
    let noise = Noise::new(&mut random);
    let [rows, columns] = zone.size;
    let mixtures: Vec<_> = (0..rows * columns)
        .map(|pixel| mixture(landscape, [(pixel % columns) as f32 * SENTINEL_M, (pixel / columns) as f32 * SENTINEL_M]))
        .collect();

    let days = days(&mut random);
    // In about half of the zones one acquisition has no data.
    let lost = random.chance(0.5).then(|| random.below(days.len()));
    let mut series = Series { data: Vec::new(), masks: Vec::new(), products: Vec::new() };
    for (index, (day, number)) in days.into_iter().zip(0..).enumerate() {
        series.products.push(product(zone, day));
        let weather = weather(&mut random, noise.layer(number), zone.domain.snow_days, f32::from(day));
        if lost == Some(index) {
            series.data.resize(series.data.len() + BANDS * mixtures.len(), 0);
            series.masks.resize(series.masks.len() + 2 * mixtures.len(), 0);
        } else {
            acquire(&mut series, &mixtures, columns, f32::from(day), &weather, noise.layer(100 + number));
        }
    }
    series
}

/// Days of the year with an acquisition. The satellites pass every five days; some passes are skipped.
fn days(random: &mut Generator) -> Vec<u16> {
    let mut days = Vec::new();
    let mut day = 2 + random.below(5);
    while day <= 363 {
        days.extend(u16::try_from(day));
        day += 5 * (2 + random.below(4));
    }
    days
}

fn product(zone: &Zone, day: u16) -> String {
    let (month, date) = month_and_day(zone.domain.year, day);
    // The two satellites alternate.
    let satellite = if (day / 5).is_multiple_of(2) { 'A' } else { 'B' };
    let (orbit, tile) = (zone.domain.orbit, zone.domain.tile);
    let date = format!("{}{month:02}{date:02}", zone.domain.year);
    format!("S2{satellite}_MSIL2A_{date}T105021_N0300_R{orbit:03}_{tile}_{date}T135921")
}

fn weather(random: &mut Generator, noise: Noise, snow_days: f32, day: f32) -> Weather {
    let kind = random.uniform();
    let chance = |number: i32| noise.uniform(number, 0);
    let cloudiness = if kind < 0.5 {
        0.0
    } else if kind < 0.8 {
        0.15 + 0.35 * chance(0)
    } else {
        0.7 + 0.3 * chance(0)
    };
    // Midwinter is the 15th of January; there is snow for `snow_days` around it, in patches at the ends.
    let from_midwinter = ((day - 15.0 + 182.5).rem_euclid(365.0) - 182.5).abs();
    let snow =
        if snow_days > 0.0 { smoothstep(snow_days / 2.0 + 12.0, snow_days / 2.0 - 12.0, from_midwinter) } else { 0.0 };
    Weather {
        cloudiness,
        shadow: [-60.0 - 40.0 * chance(1), -80.0 - 60.0 * chance(2)],
        snow,
        haze: 0.95 + 0.1 * chance(3),
    }
}

/// Samples the ground in the pixel with this upper left corner.
fn mixture(landscape: &Landscape, corner: Point) -> Mixture {
    let mut mixture = Mixture { shares: [0.0; COVERS], ahead: 0.0 };
    let step = SENTINEL_M / SAMPLES as f32;
    let share = 1.0 / (SAMPLES * SAMPLES) as f32;
    for (down, right) in (0..SAMPLES).flat_map(|down| (0..SAMPLES).map(move |right| (down, right))) {
        let ground =
            landscape.ground([corner[0] + (right as f32 + 0.5) * step, corner[1] + (down as f32 + 0.5) * step]);
        mixture.shares[ground.cover.index()] += share;
        mixture.ahead += share * 7.0 * ground.parcel[1];
    }
    mixture
}

fn acquire(series: &mut Series, mixtures: &[Mixture], columns: usize, day: f32, weather: &Weather, noise: Noise) {
    // The lead of growth is rounded to two days, so that one table of spectra is enough.
    const EARLIEST: i32 = -8;
    let spectra: Vec<[[f32; BANDS]; COVERS]> =
        (EARLIEST..=8).map(|step| Cover::ALL.map(|cover| cover.spectrum(day + 2.0 * step as f32))).collect();
    let cloud_at = |point: Point| {
        let field = 0.5 + 0.5 * noise.fractal(point.map(|metres| metres / 260.0), 4);
        let threshold = 1.0 - weather.cloudiness;
        if weather.cloudiness > 0.0 {
            smoothstep(threshold - 0.08, threshold + 0.10, field + 0.25 * weather.cloudiness)
        } else {
            0.0
        }
    };
    let plane = mixtures.len();
    let (data, masks) = (series.data.len(), series.masks.len());
    series.data.resize(data + BANDS * plane, 0);
    series.masks.resize(masks + 2 * plane, 0);
    for (pixel, mixture) in mixtures.iter().enumerate() {
        let point = [(pixel % columns) as f32 * SENTINEL_M, (pixel / columns) as f32 * SENTINEL_M];
        let cloud = cloud_at(point);
        let shadow = cloud_at(add_scaled(point, -1.0, weather.shadow));
        let patchy = 0.5 + 0.5 * noise.layer(50).fractal(point.map(|metres| metres / 90.0), 2);
        let trees = mixture.shares[Cover::Conifer.index()] + mixture.shares[Cover::Broadleaf.index()];
        let snow = smoothstep(0.9, 1.1, weather.snow + patchy * 0.6) * (1.0 - 0.6 * trees);
        let step = usize::try_from(cell(mixture.ahead / 2.0 + 0.5) - EARLIEST).unwrap_or(0);
        let spectra = &spectra[step.min(spectra.len() - 1)];
        for band in 0..BANDS {
            let bare: f32 = mixture.shares.iter().zip(spectra).map(|(share, spectrum)| share * spectrum[band]).sum();
            let speckle = 0.97 + 0.06 * noise.layer(60).uniform(wide(pixel), wide(band));
            let lit = (bare + snow * (SNOW[band] - bare)) * weather.haze * speckle * (1.0 - 0.55 * shadow);
            series.data[data + band * plane + pixel] = digital(lit + cloud * (CLOUD[band] - lit));
        }
        series.masks[masks + pixel] = percent(snow * (1.0 - cloud));
        series.masks[masks + plane + pixel] = percent(cloud);
    }
}

fn wide(index: usize) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the range first")]
fn percent(share: f32) -> u8 {
    (100.0 * share).round().clamp(0.0, 100.0) as u8
}

/// A reflectance as the products store it; 0 is reserved for "no data".
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the range first")]
fn digital(reflectance: f32) -> u16 {
    reflectance.round().clamp(1.0, 20_000.0) as u16
}

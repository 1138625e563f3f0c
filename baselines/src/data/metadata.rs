//! Encoding of an aerial image's metadata: date, time, position, altitude and camera.

use std::f64::consts::TAU;

use flair_scoring::PatchId;
use serde::Deserialize;

use super::{DataError, Fidelity};

/// Number of encoded values besides the coordinates: altitude (1), camera (2), year (4), month, day and time (2 each).
pub const OTHER_VALUES: usize = 13;

/// Settings of the encoding of metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataSettings {
    /// Number of values that encode a patch's coordinates, a multiple of 4.
    pub geo_enc_size: usize,
    /// Whether to reproduce upstream's encoding of the month.
    pub fidelity: Fidelity,
}

/// The encoded fields of an entry of `flair_aerial_metadata.json`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct AerialMetadata {
    /// `YYYY-MM-DD`.
    pub date: String,
    /// `HHhMM`.
    pub time: String,
    /// The patch's centre: metres east, Lambert-93.
    pub patch_centroid_x: f64,
    /// The patch's centre: metres north, Lambert-93.
    pub patch_centroid_y: f64,
    /// The patch's centre: metres above sea level.
    pub patch_centroid_z: f64,
    /// The camera's name.
    pub camera: String,
}

impl AerialMetadata {
    /// The entry as `geo_enc_size + 13` numbers (45 for 32), in upstream's order: coordinates, altitude, camera, year,
    /// month, day, time of day. Computed in f64 as upstream does (`src/load_data.py:68-123`), then rounded to f32.
    ///
    /// With [`Fidelity::Upstream`] the month's two numbers are constant: upstream writes `month - 1/12` for
    /// `(month - 1) / 12` (line 104), which differs by whole turns of the circle. [`Fidelity::Corrected`] fixes that.
    ///
    /// # Errors
    /// [`DataError::Metadata`] if date or time are malformed, or the year is not one of the dataset's, 2018 to 2021.
    pub fn encode(&self, patch: PatchId, geo_enc_size: usize, fidelity: Fidelity) -> Result<Vec<f32>, DataError> {
        let (year, month, day) = self.date(patch)?;
        let (hour, minute) = self.time(patch)?;
        let mut values = Vec::with_capacity(geo_enc_size + OTHER_VALUES);
        for metres in [self.patch_centroid_x, self.patch_centroid_y] {
            coordinate(metres, geo_enc_size / 2, &mut values);
        }
        // The highest patch of the dataset; the lowest, at -110 m, comes out below 0.
        values.push(self.patch_centroid_z / 3_164.909_912_109_4);
        let is_uce = self.camera.contains("UCE");
        values.extend([is_uce, !is_uce].map(|is| f64::from(u8::from(is))));
        values.extend([2018, 2019, 2020, 2021].map(|known| f64::from(u8::from(known == year))));
        let of_year = match fidelity {
            Fidelity::Upstream => f64::from(month) - 1.0 / 12.0,
            Fidelity::Corrected => (f64::from(month) - 1.0) / 12.0,
        };
        let of_day = f64::from(hour * 3600 + minute * 60) / 86_400.0;
        for turns in [of_year, f64::from(day) / 31.0, of_day] {
            let angle = TAU * turns;
            values.extend([angle.sin(), angle.cos()].map(|v| f64::midpoint(v, 1.0)));
        }
        #[expect(clippy::cast_possible_truncation, reason = "the networks compute in f32")]
        Ok(values.into_iter().map(|value| value as f32).collect())
    }

    fn date(&self, patch: PatchId) -> Result<(u16, u8, u8), DataError> {
        let date = self.date.split_once('-').and_then(|(year, rest)| {
            let (month, day) = rest.split_once('-')?;
            Some((year.parse().ok()?, number(month, 1, 12)?, number(day, 1, 31)?))
        });
        match date {
            Some((2018..=2021, _, _)) => date,
            _ => None,
        }
        .ok_or_else(|| DataError::Metadata {
            patch,
            field: "date",
            value: self.date.clone(),
            expected: "YYYY-MM-DD of 2018 to 2021, the years that the encoding knows",
        })
    }

    fn time(&self, patch: PatchId) -> Result<(u32, u32), DataError> {
        self.time
            .split_once('h')
            .and_then(|(hour, minute)| Some((number(hour, 0, 23)?.into(), number(minute, 0, 59)?.into())))
            .ok_or_else(|| DataError::Metadata { patch, field: "time", value: self.time.clone(), expected: "HHhMM" })
    }
}

fn number(text: &str, least: u8, most: u8) -> Option<u8> {
    text.parse().ok().filter(|number| (least..=most).contains(number))
}

/// Sines and cosines, in turns, of a coordinate at `count / 2` falling frequencies (`src/load_data.py:76-87`).
/// Upstream's
/// `10e7` is 1e8, both as the unit of length and as the base of the frequencies, so that all angles are small.
fn coordinate(metres: f64, count: usize, values: &mut Vec<f64>) {
    for i in 0..count / 2 {
        let angle = metres / 10e7 * (1.0 / 10e7_f64.powf(2.0 * i as f64 / count as f64));
        values.extend([angle.sin(), angle.cos()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> AerialMetadata {
        AerialMetadata {
            date: "2020-04-15".to_owned(),
            time: "06h00".to_owned(),
            patch_centroid_x: 500_000.0,
            patch_centroid_y: 6_500_000.0,
            patch_centroid_z: 316.490_991_210_94,
            camera: "UCE-M3-f120-s06".to_owned(),
        }
    }

    fn encode(entry: &AerialMetadata, fidelity: Fidelity) -> Vec<f32> {
        entry.encode(PatchId::new(7).unwrap(), 32, fidelity).unwrap()
    }

    fn assert_near(values: &[f32], expected: &[f64]) {
        assert_eq!(values.len(), expected.len());
        for (value, expected) in values.iter().zip(expected) {
            assert!((f64::from(*value) - expected).abs() < 1e-7, "{values:?} {expected}");
        }
    }

    #[test]
    fn values_are_in_upstreams_order() {
        let values = encode(&entry(), Fidelity::Upstream);
        assert_eq!(values.len(), 45);
        let x: f64 = 0.005;
        assert_near(&values[..4], &[x.sin(), x.cos(), (x / 10.0).sin(), (x / 10.0).cos()]);
        let y: f64 = 0.065;
        assert_near(&values[16..18], &[y.sin(), y.cos()]);
        assert_near(&values[32..39], &[0.1, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        // Upstream's formula gives every month the same value (`src/load_data.py:104`).
        assert_near(&values[39..41], &[0.25, 0.933_012_701_892_219_3]);
        let day = TAU * 15.0 / 31.0;
        assert_near(&values[41..], &[f64::midpoint(day.sin(), 1.0), f64::midpoint(day.cos(), 1.0), 1.0, 0.5]);
    }

    #[test]
    fn corrected_months_go_round() {
        // April is a quarter of the year after January.
        assert_near(&encode(&entry(), Fidelity::Corrected)[39..41], &[1.0, 0.5]);
        let october = AerialMetadata { date: "2018-10-01".to_owned(), ..entry() };
        assert_near(&encode(&october, Fidelity::Corrected)[39..41], &[0.0, 0.5]);
    }

    #[test]
    fn values_that_cannot_be_encoded_are_errors() {
        let patch = PatchId::new(7).unwrap();
        let wrong = |entry: AerialMetadata| entry.encode(patch, 32, Fidelity::Upstream).unwrap_err().to_string();
        insta::assert_snapshot!(wrong(AerialMetadata { date: "2022-01-01".to_owned(), ..entry() }), @"metadata of patch 000007: `date` is `2022-01-01`, expected YYYY-MM-DD of 2018 to 2021, the years that the encoding knows");
        insta::assert_snapshot!(wrong(AerialMetadata { date: "2021-13-01".to_owned(), ..entry() }), @"metadata of patch 000007: `date` is `2021-13-01`, expected YYYY-MM-DD of 2018 to 2021, the years that the encoding knows");
        insta::assert_snapshot!(wrong(AerialMetadata { time: "25h00".to_owned(), ..entry() }), @"metadata of patch 000007: `time` is `25h00`, expected HHhMM");
    }
}

//! The Sentinel-2 series of a patch, cut out of its super-area.

use std::{ops::Range, path::Path};

use flair_scoring::{Finding, PatchId, files::read_text, text::counted};

use super::{
    DataCode, DataError, SuperAreaPaths, clouds,
    dates::MonthDay,
    months,
    npy::{Dtype, Npy},
};

/// Bands of an acquisition: B2 B3 B4 B5 B6 B7 B8 B8A B11 B12, all at 10 m.
pub const BANDS: usize = 10;
/// Maximum size of a list of products, in bytes: a year has some hundred products of 60 characters each.
const MAX_PRODUCTS: u64 = 1 << 20;

/// Settings of a series.
#[derive(Clone, Copy, Debug)]
pub struct SeriesSettings {
    /// Side of the crop in pixels of 10 m, even.
    pub size: usize,
    /// Whether to exclude acquisitions with clouds or snow.
    pub filter_clouds: bool,
    /// Whether to average the remaining acquisitions by month.
    pub average_month: bool,
    /// The reference date of the positions.
    pub ref_date: MonthDay,
    /// The year that all acquisitions are assigned to.
    pub ref_year: u16,
}

/// The series around a patch, the input of the U-TAE.
#[derive(Clone, Debug, PartialEq)]
pub struct SuperPatch {
    /// Number of acquisitions, or of months, `T`: at least 1.
    pub t: usize,
    /// Number of bands, `C`: 10.
    pub channels: usize,
    /// Height and width, `H` and `W`, in pixels of 10 m.
    pub size: usize,
    /// `[T, C, H, W]`. If averaged by month: means of the stored numbers, unscaled, so reflectance × 10,000. Otherwise
    /// scaled as skimage's `img_as_float` does: uint16 by 1/65535, int16 by 1/32767 and not below -1, floats unchanged.
    /// Upstream has this difference (`src/dataset.py:108-113`); weights trained with one scale are useless with the other.
    pub values: Vec<f32>,
    /// `[T]`: days from the acquisition, or from the 15th of its month, to the reference date.
    pub positions: Vec<f32>,
    /// Indices of the used acquisitions in the super-area.
    pub kept: Vec<usize>,
    /// A finding if no acquisition passed the filter, or all that are used are 0.
    pub finding: Option<Finding>,
}

/// A super-area: the series of a zone, on disk.
#[derive(Debug)]
pub struct SuperArea {
    data: Npy,
    masks: Npy,
    dates: Vec<MonthDay>,
}

impl SuperArea {
    /// Opens the three files of a super-area, without reading pixels.
    ///
    /// # Errors
    /// If a file cannot be read, is not an array `[T, 10, H, W]` or `[T, 2, H, W]`, or the three disagree.
    pub fn open(paths: &SuperAreaPaths) -> Result<Self, DataError> {
        let (data, masks) = (Npy::open(&paths.data)?, Npy::open(&paths.masks)?);
        let dates = read_dates(&paths.products)?;
        let [t, bands, height, width] = data.shape();
        if bands != BANDS {
            return Err(DataError::format(&paths.data, format!("it has {bands} bands, expected {BANDS}")));
        }
        if t == 0 {
            return Err(DataError::format(&paths.data, "it has no acquisitions"));
        }
        if masks.shape() != [t, 2, height, width] {
            let reason =
                format!("its shape is {:?}, expected {:?} as in the data", masks.shape(), [t, 2, height, width]);
            return Err(DataError::format(&paths.masks, reason));
        }
        if dates.len() != t {
            let reason = format!("it lists {}, expected one per acquisition: {t}", counted(dates.len(), "product"));
            return Err(DataError::format(&paths.products, reason));
        }
        Ok(Self { data, masks, dates })
    }

    /// The array of the acquisitions, `[T, 10, H, W]`.
    pub fn data(&self) -> &Npy {
        &self.data
    }

    /// The array of the probabilities of snow and of clouds, `[T, 2, H, W]`, `0..=100`.
    pub fn masks(&self) -> &Npy {
        &self.masks
    }

    /// The acquisitions' days, `[T]`.
    pub fn dates(&self) -> &[MonthDay] {
        &self.dates
    }

    /// The rows and columns of a crop of `size` × `size` pixels whose first row is `row - size / 2`, and whose first
    /// column is `column - size / 2`.
    ///
    /// # Errors
    /// If they extend beyond the super-area. Upstream's slices then wrap around or are too small
    /// (`src/dataset.py:56-59`).
    pub fn window(
        &self,
        patch: PatchId,
        [row, column]: [i64; 2],
        size: usize,
    ) -> Result<(Range<usize>, Range<usize>), DataError> {
        let [_, _, height, width] = self.data.shape();
        let range = |centre: i64, length: usize| {
            let start = usize::try_from(centre).ok()?.checked_sub(size / 2)?;
            start.checked_add(size).filter(|end| *end <= length).map(|end| start..end)
        };
        range(row, height).zip(range(column, width)).ok_or_else(|| DataError::OutsideSuperArea {
            patch,
            path: self.data.path().to_owned(),
            row,
            column,
            size,
            height,
            width,
        })
    }

    /// The series around a patch: cropped, filtered, averaged and scaled by the settings.
    ///
    /// # Errors
    /// As [`SuperArea::window`]; if a file cannot be read, or holds values that are not finite.
    pub fn around(
        &self,
        patch: PatchId,
        centroid: [i64; 2],
        settings: &SeriesSettings,
    ) -> Result<SuperPatch, DataError> {
        let (rows, columns) = self.window(patch, centroid, settings.size)?;
        let crop = |array: &Npy, t: usize, channels: usize| {
            let mut values = Vec::with_capacity(channels * settings.size * settings.size);
            (0..channels).try_for_each(|c| array.read((t, c), rows.clone(), columns.clone(), &mut values))?;
            Ok::<_, DataError>(values)
        };
        let mut kept: Vec<usize> = (0..self.dates.len()).collect();
        let mut finding = None;
        if settings.filter_clouds {
            let masks = kept.iter().map(|t| crop(&self.masks, *t, 2)).collect::<Result<Vec<_>, _>>()?;
            let clear = clouds::clear(masks);
            kept = clear.acquisitions;
            if clear.is_last_resort {
                let message = format!(
                    "clouds or snow cover all {} acquisitions: only the clearest, of {}, is used",
                    self.dates.len(),
                    self.dates[kept[0]]
                );
                tracing::info!(%patch, "{message}");
                finding = Some(DataCode::NoClearAcquisition.finding(format!("IMG_{patch}"), message));
            }
        }
        let position = |day: MonthDay| f64::from(settings.ref_date.days_since(day, settings.ref_year));
        let mut series = SuperPatch {
            t: 0,
            channels: BANDS,
            size: settings.size,
            values: Vec::new(),
            positions: Vec::new(),
            kept,
            finding,
        };
        if settings.average_month {
            let dates: Vec<_> = series.kept.iter().map(|t| self.dates[*t]).collect();
            for (middle, of_month) in months::by_month(&dates) {
                let mut sum = vec![0.0; BANDS * settings.size * settings.size];
                for index in &of_month {
                    let values = crop(&self.data, series.kept[*index], BANDS)?;
                    sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
                }
                let count = of_month.len() as f64;
                series.push(position(middle), sum.into_iter().map(|sum| sum / count));
            }
        } else {
            let dtype = self.data.dtype();
            let (scale, is_signed) = (dtype.unit_scale(), matches!(dtype, Dtype::Signed(_)));
            let scaled = |value: f64| if is_signed { (value * scale).max(-1.0) } else { value * scale };
            for t in series.kept.clone() {
                let values = crop(&self.data, t, BANDS)?;
                series.push(position(self.dates[t]), values.into_iter().map(scaled));
            }
        }
        if let Some(value) = series.values.iter().find(|value| !value.is_finite()) {
            let reason = format!("it has the value {value} around patch {patch}, expected finite numbers");
            return Err(DataError::format(self.data.path(), reason));
        }
        if series.values.iter().all(|value| *value == 0.0) {
            let message = format!(
                "the {} of its series are 0 everywhere: the prediction uses the aerial image alone",
                counted(series.kept.len(), "acquisition")
            );
            series.finding = Some(DataCode::EmptySeries.finding(format!("IMG_{patch}"), message));
        }
        Ok(series)
    }
}

impl SuperPatch {
    #[expect(clippy::cast_possible_truncation, reason = "the networks compute in f32")]
    fn push(&mut self, position: f64, values: impl Iterator<Item = f64>) {
        self.t += 1;
        self.positions.push(position as f32);
        self.values.extend(values.map(|value| value as f32));
    }
}

/// The day of each product: characters 15 to 18 of its name (from 0), such as
/// `S2A_MSIL2A_20210415T105021_N0300_R051_T31UDP_20210415T135921` (upstream `src/dataset.py:62-72`).
fn read_dates(path: &Path) -> Result<Vec<MonthDay>, DataError> {
    let text = read_text(path, MAX_PRODUCTS).map_err(DataError::io(path))?;
    text.lines()
        .enumerate()
        .map(|(index, line)| {
            let day = line.get(15..17).zip(line.get(17..19)).and_then(|(m, d)| format!("{m}-{d}").parse().ok());
            day.ok_or_else(|| {
                DataError::format(path, format!("line {} is not a product name with a date: `{line:.80}`", index + 1))
            })
        })
        .collect()
}

#[cfg(test)]
#[expect(clippy::float_cmp, clippy::cast_possible_truncation, reason = "the values are exact, and computed in f32")]
mod tests {
    use super::*;
    use crate::data::{
        Dataset, Part,
        fixture::{Fixture, Series, id, stored},
        npy::forged::npy,
    };

    const ZONE: &str = "D004_2021/Z1_UA";

    fn settings() -> SeriesSettings {
        let ref_date = "05-15".parse().unwrap();
        SeriesSettings { size: 8, filter_clouds: false, average_month: false, ref_date, ref_year: 2021 }
    }

    /// The files of a super-area of 24 × 24 pixels.
    fn area(fixture: &Fixture, acquisitions: &[(&'static str, u8, u8)]) -> SuperAreaPaths {
        fixture.patch(Part::Train, ZONE, 1).series(
            Part::Train,
            ZONE,
            &Series { side: 24, acquisitions: acquisitions.to_vec() },
        );
        let dataset = Dataset::discover(fixture.root()).unwrap();
        SuperAreaPaths::clone(dataset.patches[&id(1)].sentinel.as_ref().unwrap())
    }

    fn series(acquisitions: &[(&'static str, u8, u8)], settings: &SeriesSettings) -> SuperPatch {
        let fixture = Fixture::new();
        SuperArea::open(&area(&fixture, acquisitions)).unwrap().around(id(1), [10, 15], settings).unwrap()
    }

    /// The mean of the stored numbers over acquisitions, in the order `[C, H, W]`.
    fn expected(of: &[usize], scale: f64) -> Vec<f32> {
        let mut values = Vec::new();
        for c in 0..10 {
            for (row, column) in (6..14).flat_map(|row| (11..19).map(move |column| (row, column))) {
                let sum: f64 = of.iter().map(|t| f64::from(stored(*t, c, row, column))).sum();
                values.push((sum / of.len() as f64 * scale) as f32);
            }
        }
        values
    }

    #[test]
    fn a_plain_series_is_the_crop_scaled() {
        let patch = series(&[("0105", 0, 0), ("0615", 100, 100)], &settings());
        assert_eq!((patch.t, patch.channels, patch.size), (2, 10, 8));
        assert_eq!(patch.values, [expected(&[0], 1.0 / 65_535.0), expected(&[1], 1.0 / 65_535.0)].concat());
        assert_eq!(patch.positions, [130.0, -31.0]);
        assert_eq!((patch.kept, patch.finding), (vec![0, 1], None));
    }

    #[test]
    fn months_are_averaged_unscaled_over_clear_acquisitions() {
        let acquisitions = [("0105", 0, 0), ("0110", 60, 0), ("0120", 59, 59), ("0401", 0, 60), ("1231", 0, 0)];
        let patch = series(&acquisitions, &SeriesSettings { filter_clouds: true, average_month: true, ..settings() });
        assert_eq!(patch.kept, [0, 2, 4]);
        assert_eq!(patch.values, [expected(&[0, 2], 1.0), expected(&[4], 1.0)].concat());
        assert_eq!(patch.positions, [120.0, -214.0]);
    }

    #[test]
    fn an_empty_series_keeps_the_clearest() {
        let clouded = SeriesSettings { filter_clouds: true, ..settings() };
        let patch = series(&[("0105", 100, 100), ("0229", 0, 100), ("0301", 100, 100)], &clouded);
        assert_eq!((patch.kept, patch.t), (vec![1], 1));
        assert_eq!(patch.positions, [76.0]);
        insta::assert_json_snapshot!(patch.finding.unwrap(), @r#"
        {
          "severity": "warning",
          "code": "no-clear-acquisition",
          "subject": "IMG_000001",
          "message": "clouds or snow cover all 3 acquisitions: only the clearest, of 02-29, is used"
        }
        "#);
    }

    #[test]
    fn signed_integers_and_floats_are_scaled_as_skimage_does() {
        let fixture = Fixture::new();
        let paths = area(&fixture, &[("0105", 0, 0)]);
        let write = |descr: &str, number: &[u8]| {
            std::fs::write(&paths.data, npy(descr, &[1, 10, 24, 24], &number.repeat(5760))).unwrap();
            SuperArea::open(&paths).unwrap().around(id(1), [10, 15], &settings()).map(|series| series.values[0])
        };
        let error = write("<f4", &f32::NAN.to_le_bytes()).unwrap_err().to_string();
        assert!(error.ends_with("it has the value NaN around patch 000001, expected finite numbers"), "{error}");
        let write = |descr: &str, number: &[u8]| write(descr, number).unwrap();
        assert_eq!(write("<i2", &i16::MIN.to_le_bytes()), -1.0);
        assert_eq!(write("<i2", &i16::MAX.to_le_bytes()), 1.0);
        assert_eq!(write("<f4", &1234.5_f32.to_le_bytes()), 1234.5);
    }

    #[test]
    fn a_crop_beyond_the_super_area_is_an_error() {
        let fixture = Fixture::new();
        let area = SuperArea::open(&area(&fixture, &[("0105", 0, 0)])).unwrap();
        let fits = |centroid| area.window(id(1), centroid, 8).is_ok();
        assert!(fits([4, 20]) && fits([20, 4]));
        assert!(!fits([3, 10]) && !fits([10, 3]) && !fits([21, 10]) && !fits([10, 21]) && !fits([-1, 10]));
        assert!(!fits([i64::MIN, i64::MAX]));
        let message = area.window(id(1), [3, 10], 8).unwrap_err().to_string();
        insta::assert_snapshot!(message.replace(&fixture.root().display().to_string(), "ROOT"), @"patch 000001 is at row 3, column 10 of `ROOT/flair_sen_train/D004_2021/Z1_UA/sen/SEN2_sp_D004_2021-Z1_UA_data.npy`, which has 24 rows and 24 columns: a crop of 8 pixels does not fit; choose a smaller `sat_patch_size`");
    }

    #[test]
    fn files_that_disagree_are_refused() {
        let fixture = Fixture::new();
        let paths = area(&fixture, &[("0105", 0, 0), ("0106", 0, 0)]);
        let refused = |path: &Path, bytes: &[u8]| {
            let before = std::fs::read(path).unwrap();
            std::fs::write(path, bytes).unwrap();
            let message = SuperArea::open(&paths).unwrap_err().to_string();
            std::fs::write(path, before).unwrap();
            message.split_once(": ").unwrap().1.to_owned()
        };
        insta::assert_snapshot!(refused(&paths.data, &npy("<u2", &[2, 9, 24, 24], &vec![0; 20_736])), @"it has 9 bands, expected 10");
        insta::assert_snapshot!(refused(&paths.data, &npy("<u2", &[0, 10, 24, 24], &[])), @"it has no acquisitions");
        insta::assert_snapshot!(refused(&paths.masks, &npy("|u1", &[2, 2, 24, 23], &[0; 2208])), @"its shape is [2, 2, 24, 23], expected [2, 2, 24, 24] as in the data");
        insta::assert_snapshot!(refused(&paths.products, b"S2A_MSIL2A_20210415T105021\n"), @"it lists 1 product, expected one per acquisition: 2");
        insta::assert_snapshot!(refused(&paths.products, b"S2A_MSIL2A_20210415T105021\nS2A_MSIL2A_20211315T105021\n"), @"line 2 is not a product name with a date: `S2A_MSIL2A_20211315T105021`");
        insta::assert_snapshot!(refused(&paths.products, "S2A_MSIL2A_2021\u{e9}15\n".as_bytes()), @"line 1 is not a product name with a date: `S2A_MSIL2A_2021é15`");
    }
}

//! The Sentinel-2 series of a patch, cut out of its super-area.

use std::{fs, ops::Range, path::Path};

use flair_scoring::{Finding, PatchId};

use super::{DataError, SuperAreaPaths, clouds, dates::MonthDay, months, npy::Npy};
use crate::config::Config;

/// Bands of an acquisition: B2 B3 B4 B5 B6 B7 B8 B8A B11 B12, all at 10 m.
pub const BANDS: usize = 10;
/// Largest list of products that is read, in bytes: a year has some hundred, of 60 letters each.
const MAX_PRODUCTS: u64 = 1 << 20;

/// What is taken of a series.
#[derive(Clone, Copy, Debug)]
pub struct SeriesSettings {
    /// Side of the crop in pixels of 10 m, even.
    pub size: usize,
    /// Whether acquisitions under clouds or snow are left out.
    pub filter_clouds: bool,
    /// Whether the rest is averaged by month.
    pub average_month: bool,
    /// The day from which positions are counted.
    pub ref_date: MonthDay,
    /// The year in which all acquisitions are placed.
    pub ref_year: u16,
}

impl From<&Config> for SeriesSettings {
    fn from(config: &Config) -> Self {
        Self {
            size: config.sat_patch_size,
            filter_clouds: config.filter_clouds,
            average_month: config.average_month,
            ref_date: config.ref_date,
            ref_year: config.ref_year,
        }
    }
}

/// The series around a patch, as the U-TAE takes it.
#[derive(Clone, Debug, PartialEq)]
pub struct SuperPatch {
    /// Number of acquisitions, or of months, `T`: at least 1.
    pub t: usize,
    /// Number of bands, `C`: 10.
    pub channels: usize,
    /// Height and width, `H` and `W`, in pixels of 10 m.
    pub size: usize,
    /// `[T, C, H, W]`. Averaged by month: means of the stored numbers, unscaled, so reflectance × 10,000. Otherwise
    /// scaled as skimage's `img_as_float` does: uint16 by 1/65535, int16 by 1/32767 and not below -1, floats unchanged.
    /// The two differ by upstream's doing (`src/dataset.py:108-113`); weights of the one are useless for the other.
    pub values: Vec<f32>,
    /// `[T]`: days from the acquisition, or from the 15th of its month, to the reference date.
    pub positions: Vec<f32>,
    /// The acquisitions that were used, counted from 0 in the super-area.
    pub kept: Vec<usize>,
    /// That the filter had left nothing, if so.
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
    /// Opens the three files of a super-area; no pixel is read.
    ///
    /// # Errors
    /// Where a file cannot be read, is no array `[T, 10, H, W]` or `[T, 2, H, W]`, or the three disagree.
    pub fn open(paths: &SuperAreaPaths) -> Result<Self, DataError> {
        let (data, masks) = (Npy::open(&paths.data)?, Npy::open(&paths.masks)?);
        let dates = read_dates(&paths.products)?;
        let [t, bands, height, width] = data.shape();
        if bands != BANDS {
            return Err(DataError::format(&paths.data, format!("it has {bands} bands, expected {BANDS}")));
        }
        if t == 0 {
            return Err(DataError::format(&paths.data, "it has no acquisition"));
        }
        if masks.shape() != [t, 2, height, width] {
            let reason =
                format!("its shape is {:?}, expected {:?}, as the data's", masks.shape(), [t, 2, height, width]);
            return Err(DataError::format(&paths.masks, reason));
        }
        if dates.len() != t {
            let reason = format!("it names {} products, expected {t}, as many as acquisitions", dates.len());
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

    /// The rows and columns of a crop around `[row, column]`, `size / 2` before it and as many from it on.
    ///
    /// # Errors
    /// Where they leave the super-area. Upstream's slices then wrap around or come out small (`src/dataset.py:56-59`).
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

    /// The series around a patch: cropped, filtered, averaged and scaled as the settings say.
    ///
    /// # Errors
    /// As [`SuperArea::window`].
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
                    "clouds or snow cover all {} acquisitions: the clearest, of {}, is used alone",
                    self.dates.len(),
                    self.dates[kept[0]]
                );
                tracing::warn!(%patch, "{message}");
                finding = Some(Finding::warning("no-clear-acquisition", format!("IMG_{patch}"), message));
            }
        }
        let position = |day: MonthDay| f64::from(settings.ref_date.days_since(day, settings.ref_year));
        let mut series =
            SuperPatch { t: 0, channels: BANDS, size: settings.size, values: Vec::new(), positions: Vec::new(), kept, finding };
        if settings.average_month {
            let dates: Vec<_> = series.kept.iter().map(|t| self.dates[*t]).collect();
            for (middle, of_month) in months::by_month(&dates) {
                let mut sum = vec![0.0; BANDS * settings.size * settings.size];
                for at in &of_month {
                    let values = crop(&self.data, series.kept[*at], BANDS)?;
                    sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
                }
                let count = of_month.len() as f64;
                series.push(position(middle), sum.into_iter().map(|sum| sum / count));
            }
        } else {
            let scale = self.data.dtype().unit_scale();
            let least = if scale < 1.0 { -1.0 } else { f64::NEG_INFINITY };
            for t in series.kept.clone() {
                let values = crop(&self.data, t, BANDS)?;
                series.push(position(self.dates[t]), values.into_iter().map(|value| (value * scale).max(least)));
            }
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

/// The day of each product: letters 15 to 18 of its name, such as
/// `S2A_MSIL2A_20210415T105021_N0300_R051_T31UDP_20210415T135921` (upstream `src/dataset.py:62-72`).
fn read_dates(path: &Path) -> Result<Vec<MonthDay>, DataError> {
    let size = fs::metadata(path).map_err(DataError::io(path))?.len();
    if size > MAX_PRODUCTS {
        return Err(DataError::TooLarge { path: path.to_owned(), size, limit: MAX_PRODUCTS });
    }
    let text = fs::read_to_string(path).map_err(DataError::io(path))?;
    text.lines()
        .enumerate()
        .map(|(index, line)| {
            let day = line.get(15..17).zip(line.get(17..19)).and_then(|(m, d)| format!("{m}-{d}").parse().ok());
            day.ok_or_else(|| {
                DataError::format(path, format!("line {} is no product with a date: `{line:.80}`", index + 1))
            })
        })
        .collect()
}

//! A raster in memory.

/// A raster of 8-bit samples, band after band: `[C, H, W]`, u8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raster {
    bands: usize,
    height: usize,
    width: usize,
    samples: Vec<u8>,
}

impl Raster {
    /// Maximum number of samples: a classic TIFF can address as many, even if LZW expands them.
    pub const MAX_SAMPLES: usize = 1 << 31;

    /// Maximum number of bands: TIFF counts them in 16 bits.
    pub const MAX_BANDS: usize = 65_535;

    /// A raster of `bands` × `height` × `width` samples; `None` if `samples` has another length, if it is empty, or if
    /// it exceeds [`Raster::MAX_SAMPLES`] or [`Raster::MAX_BANDS`].
    pub fn new(bands: usize, height: usize, width: usize, samples: Vec<u8>) -> Option<Self> {
        let expected = bands.checked_mul(height)?.checked_mul(width)?;
        let fits = (1..=Self::MAX_SAMPLES).contains(&expected) && bands <= Self::MAX_BANDS;
        (fits && expected == samples.len()).then_some(Self { bands, height, width, samples })
    }

    /// Number of bands, `C`.
    pub fn bands(&self) -> usize {
        self.bands
    }

    /// Number of rows, `H`.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Number of columns, `W`.
    pub fn width(&self) -> usize {
        self.width
    }

    /// All samples, `[C, H, W]`.
    pub fn samples(&self) -> &[u8] {
        &self.samples
    }

    /// Returns its samples, `[C, H, W]`, without a copy.
    pub fn into_samples(self) -> Vec<u8> {
        self.samples
    }
}

//! The class of each pixel, and its way from the device.

use candle_core::{D, DType, Device, Result, Tensor};

use super::{Map, arithmetic::wide};
#[cfg(feature = "cuda")]
use super::{cuda, take_on_gpu};

/// Classes of a batch of patches on the way from the device.
pub struct Classes {
    found: Found,
    pixels: usize,
}

/// `[B, 1 + N]` bytes.
enum Found {
    Here(Tensor),
    #[cfg(feature = "cuda")]
    OnTheWay(cuda::Download),
}

impl Classes {
    /// The class with the largest of the logits `[B, K, …]` of each pixel, the first of equal ones. On a GPU nothing is waited
    /// for.
    ///
    /// # Errors
    /// If the device fails.
    pub fn of(logits: &Map) -> Result<Self> {
        if let Some(bytes) = logits.classes() {
            let (batch, _, height, width) = logits.dims4()?;
            let found = Tensor::from_vec(bytes, (batch, 1 + height * width), &Device::Cpu)?;
            return Ok(Self { found: Found::Here(found), pixels: height * width });
        }
        let logits = logits.tensor()?;
        let pixels = logits.dims().iter().skip(2).product();
        #[cfg(feature = "cuda")]
        if take_on_gpu(&logits) {
            let found = Found::OnTheWay(cuda::Download::start(&cuda::largest_logits(&logits)?)?);
            return Ok(Self { found, pixels });
        }
        let logits = logits.to_dtype(wide(logits.dtype()))?;
        // A sum is finite only if all its terms are, and candle's argmax ignores NaN.
        let sums = logits.flatten_from(1)?.sum_keepdim(D::Minus1)?.abs()?;
        let is_broken = sums.lt(f64::INFINITY)?.eq(0u8)?;
        let classes = logits.argmax(1)?.to_dtype(DType::U8)?.flatten_from(1)?;
        Ok(Self { found: Found::Here(Tensor::cat(&[is_broken, classes], 1)?), pixels })
    }

    /// Whether the classes are computed and on this machine, so that reading them waits for nothing.
    pub fn are_here(&self) -> bool {
        matches!(self.found, Found::Here(_))
    }

    /// Waits for the classes: `N` of each patch; `None` if its logits are not all finite.
    ///
    /// # Errors
    /// If the device failed.
    pub fn read(self) -> Result<Vec<Option<Vec<u8>>>> {
        let bytes = match self.found {
            Found::Here(classes) => classes.flatten_all()?.to_vec1::<u8>()?,
            #[cfg(feature = "cuda")]
            Found::OnTheWay(download) => download.finish()?,
        };
        let rows = bytes.chunks_exact(1 + self.pixels);
        Ok(rows.map(|row| row.split_first().and_then(|(&broken, row)| (broken == 0).then(|| row.to_vec()))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_logits_is_the_class_and_broken_patches_have_none() {
        let logits = [[1f32, 3.0, 3.0], [2.0, 2.0, 1.0], [0.0, f32::NAN, 0.0], [f32::INFINITY, 0.0, 1.0]];
        let logits = Tensor::new(&logits, &Device::Cpu).unwrap().reshape((4, 3, 1, 1)).unwrap();
        let classes = Classes::of(&logits.clone().into()).unwrap().read().unwrap();
        assert_eq!(classes, [Some(vec![1]), Some(vec![0]), None, None]);
        let logits = logits.narrow(0, 0, 2).unwrap().reshape((1, 3, 2, 1)).unwrap().to_dtype(DType::F64).unwrap();
        assert_eq!(Classes::of(&logits.clone().into()).unwrap().read().unwrap(), [Some(vec![1, 0])]);
    }
}

//! The arithmetic of a GPU: how numbers are rounded, and whether sums have a fixed order.

use std::{fmt, str::FromStr};

use candle_core::{DType, Device};

/// What the products of a network are computed in. Weights, statistics of norms, softmax, losses and sums are f32 (or f64)
/// in all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// f32.
    #[default]
    F32,
    /// f32, whose factors are rounded to ten bits (TF32).
    Tf32,
    /// bf16: tensors are of half the size, with seven bits.
    Bf16,
}

/// A text that is not the name of a precision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a precision: expected `f32`, `tf32` or `bf16`")]
pub struct InvalidPrecision(String);

impl FromStr for Precision {
    type Err = InvalidPrecision;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "f32" => Ok(Self::F32),
            "tf32" => Ok(Self::Tf32),
            "bf16" => Ok(Self::Bf16),
            other => Err(InvalidPrecision(other.to_owned())),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        })
    }
}

/// The arithmetic of a run. On the CPU there is one: f32, deterministic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arithmetic {
    /// What products are computed in.
    pub precision: Precision,
    /// Whether to choose only algorithms whose sums have a fixed order, on a GPU.
    pub is_deterministic: bool,
}

/// The type of statistics, softmax, losses and sums over tensors of `dtype`: never less than f32.
pub(crate) fn wide(dtype: DType) -> DType {
    if dtype == DType::F64 { DType::F64 } else { DType::F32 }
}

/// A precision that a device does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArithmeticError {
    /// It is for a GPU.
    #[error("the precision {0} is for a GPU (`--device cuda`): the CPU computes in f32")]
    NotOnCpu(Precision),
    /// It is for newer GPUs.
    #[error(
        "the precision {precision} needs compute capability 8.0, this GPU has {capability}: choose `--precision f32`"
    )]
    TooOld {
        /// The precision.
        precision: Precision,
        /// The compute capability, such as `7.5`.
        capability: String,
    },
}

impl Arithmetic {
    /// Chooses it for this process and `device`, before anything is computed.
    ///
    /// # Errors
    /// If the device does not have that precision.
    pub fn choose(self, device: &Device) -> Result<(), ArithmeticError> {
        if device.is_cpu() {
            return match self.precision {
                Precision::F32 => Ok(()),
                precision => Err(ArithmeticError::NotOnCpu(precision)),
            };
        }
        #[cfg(feature = "cuda")]
        {
            let stream = device.as_cuda_device().ok().map(candle_core::CudaDevice::cuda_stream);
            if let Some((major, minor)) = stream.and_then(|stream| stream.context().compute_capability().ok())
                && self.precision != Precision::F32
                && major < 8
            {
                let capability = format!("{major}.{minor}");
                return Err(ArithmeticError::TooOld { precision: self.precision, capability });
            }
            candle_core::cuda_backend::set_gemm_reduced_precision_f32(self.precision == Precision::Tf32);
            super::cuda::set_reproducible(self.is_deterministic);
        }
        Ok(())
    }

    /// The type of the tensors that a network with weights of `dtype` computes.
    pub(crate) fn computed(self, dtype: DType) -> DType {
        if self.precision == Precision::Bf16 { DType::BF16 } else { dtype }
    }
}

/// `f32`, `tf32, deterministic`.
impl fmt::Display for Arithmetic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", self.precision, if self.is_deterministic { ", deterministic" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precisions_are_read_and_refused_on_the_cpu() {
        for precision in [Precision::F32, Precision::Tf32, Precision::Bf16] {
            assert_eq!(precision.to_string().parse(), Ok(precision));
            let chosen = Arithmetic { precision, is_deterministic: true }.choose(&Device::Cpu);
            assert_eq!(chosen.is_ok(), precision == Precision::F32);
        }
        assert!("f16".parse::<Precision>().is_err());
    }
}

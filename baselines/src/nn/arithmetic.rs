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

/// The precision is for a GPU.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the precision {0} is for a GPU (`--device cuda`): the CPU computes in f32")]
pub struct NotOnCpu(Precision);

impl Arithmetic {
    /// Chooses it for this process and `device`, before anything is computed.
    ///
    /// # Errors
    /// If the device is the CPU and the precision is not f32.
    pub fn choose(self, device: &Device) -> Result<(), NotOnCpu> {
        if device.is_cpu() {
            return if self.precision == Precision::F32 { Ok(()) } else { Err(NotOnCpu(self.precision)) };
        }
        #[cfg(feature = "cuda")]
        {
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

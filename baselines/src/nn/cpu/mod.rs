//! Shared parts of the CPU kernels: the two dtypes, their slices, and buffers that a thread keeps.
//!
//! Every kernel divides its work into parts that depend on the shape of one sample only, and computes each part on one
//! thread. So results are bit-identical for any number of threads and any batch.

#![expect(clippy::inline_always, reason = "only what is inlined into a task is compiled for its level's instructions")]

mod blocks;
mod buffers;
mod classes;
mod columns;
mod convolution;
mod direct;
mod group_norm;
mod lanes;
mod pool;
mod product;
mod resize;
mod winograd;

use std::{cell::RefCell, thread::LocalKey};

use candle_core::{CpuStorage, Layout, Result, Storage, Tensor, WithDType, bail};

pub(super) use blocks::{Epilogue, Image, Source, blocks_of, by_blocks, in_blocks, to_blocks, to_planes};
pub(super) use buffers::{Buffer, Buffers};
pub(super) use classes::classes;
pub(super) use columns::Windows;
pub(super) use convolution::{Convolution, InputForm};
pub(super) use group_norm::GroupedNorm;
pub use lanes::at_each_level;
pub(super) use lanes::{BLOCK, Level};
pub(super) use pool::pool;
pub(super) use product::{Adds, Matrix, multiply_add};
pub(super) use resize::add_resized;
pub(super) use winograd::{Edge, Shape, Target, Winograd, gradient_of_weight};

/// f32 or f64.
pub(super) trait Real: WithDType {
    /// Buffer of this thread, kept between calls: fresh pages cost more than the arithmetic on them.
    fn scratch() -> &'static LocalKey<RefCell<[Vec<Self>; 2]>>;
    /// The numbers, if they are f32.
    fn as_f32(values: &[Self]) -> Option<&[f32]>;
    /// Numbers that were computed in f32.
    fn of_f32(values: Vec<f32>) -> Vec<Self>;
    /// The exponential.
    fn exp(self) -> Self;
    /// The natural logarithm.
    fn ln(self) -> Self;
}

macro_rules! of_numbers {
    ($t:ty) => {
        fn scratch() -> &'static LocalKey<RefCell<[Vec<Self>; 2]>> {
            thread_local!(static SCRATCH: RefCell<[Vec<$t>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) });
            &SCRATCH
        }

        fn exp(self) -> Self {
            <$t>::exp(self)
        }

        fn ln(self) -> Self {
            <$t>::ln(self)
        }
    };
}

impl Real for f32 {
    of_numbers!(f32);

    fn as_f32(values: &[Self]) -> Option<&[f32]> {
        Some(values)
    }

    fn of_f32(values: Vec<f32>) -> Vec<Self> {
        values
    }
}

impl Real for f64 {
    of_numbers!(f64);

    fn as_f32(_: &[Self]) -> Option<&[f32]> {
        None
    }

    fn of_f32(values: Vec<f32>) -> Vec<Self> {
        values.into_iter().map(Self::from).collect()
    }
}

/// Runs `body` with `$t` standing for the type of the numbers in `$storage`.
macro_rules! by_type {
    ($storage:expr, $t:ident => $body:expr) => {
        match $storage {
            candle_core::CpuStorage::F32(_) => {
                type $t = f32;
                $body
            }
            candle_core::CpuStorage::F64(_) => {
                type $t = f64;
                $body
            }
            _ => candle_core::bail!("the layers compute in f32 and f64 only"),
        }
    };
}
pub(super) use by_type;

/// Elements per task of an elementwise kernel: few enough for a core's first-level cache.
pub(super) const CHUNK: usize = 4096;

/// The elements of a contiguous tensor.
pub(super) fn values<'a, T: Real>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => match T::cpu_storage_as_slice(storage)?.get(start..end) {
            Some(values) => Ok(values),
            None => bail!("a tensor whose memory was given back"),
        },
        None => bail!("a kernel needs a contiguous tensor"),
    }
}

/// Runs `f` on the numbers of a contiguous tensor in f32 on the CPU.
pub(crate) fn with_values<R>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else { bail!("tensor is not on the CPU") };
    f(values::<f32>(storage, layout)?)
}

/// Runs `f` on two buffers of this thread, of `sizes` elements with arbitrary values.
pub(super) fn with_scratch<T: Real, R>(sizes: [usize; 2], f: impl FnOnce(&mut [T], &mut [T]) -> R) -> R {
    T::scratch().with_borrow_mut(|buffers| {
        for (buffer, &size) in buffers.iter_mut().zip(&sizes) {
            if buffer.len() < size {
                buffer.resize(size, T::zero());
            }
        }
        let [a, b] = buffers;
        f(&mut a[..sizes[0]], &mut b[..sizes[1]])
    })
}

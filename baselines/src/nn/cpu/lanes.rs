//! The vector instructions that the kernels in f32 run on: AVX-512, AVX2 with FMA, or what every processor has.
//!
//! A kernel is a [`Task`], written once for any [`Lanes`]. [`Level::run`] compiles it for each level of instructions, and
//! runs the one that the processor has. All levels compute the same sums in the same order; where there is no fused
//! multiplication and addition, each product is rounded.

use std::{cell::Cell, sync::OnceLock};

#[cfg(target_arch = "x86_64")]
use pulp::{
    NullaryFnOnce, cast,
    x86::{V3, V4},
};

/// Channels of a block: a whole number of vectors at every level.
pub(crate) const BLOCK: usize = 16;

/// 16 channels of a pixel, or 16 output channels' weights of an input.
pub(crate) type Block = [f32; BLOCK];

/// A block of zeros.
pub(crate) const ZEROS: Block = [0.0; BLOCK];

/// Vectors of f32, and blocks of [`BLOCK`] of them. Each method is one instruction for each vector.
pub(crate) trait Lanes: Copy + Send + Sync {
    /// Some numbers in a register.
    type Vector: Copy;
    /// 16 numbers in registers.
    type Registers: Copy;
    /// Numbers of a vector.
    const WIDTH: usize;
    /// Pixels whose sums of a block of channels fit the registers.
    const PIXELS: usize;

    /// The vector of 16 / `WIDTH` that begins at `from` of a block.
    fn load(self, block: &Block, from: usize) -> Self::Vector;
    /// Writes it back.
    fn store(self, block: &mut Block, from: usize, vector: Self::Vector);
    /// The same number everywhere.
    fn splat(self, value: f32) -> Self::Vector;
    /// `a + b`.
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a - b`.
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a · b`.
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a · b + c`.
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// `max(a, 0)`; NaN stays NaN.
    fn rectify(self, a: Self::Vector) -> Self::Vector;
    /// `max(a, b)`, or NaN if one of them is.
    fn larger(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// Zeros.
    fn zeros(self) -> Self::Registers;
    /// Loads a block.
    fn load_block(self, block: &Block) -> Self::Registers;
    /// Stores a block.
    fn store_block(self, block: &mut Block, registers: Self::Registers);
    /// `a · b + c`, with one number for all of `a`.
    fn mul_add_block(self, a: f32, b: Self::Registers, c: Self::Registers) -> Self::Registers;
}

/// Work that is compiled for each level.
pub(crate) trait Task {
    /// Its result.
    type Output;
    /// The work. Implementations are `#[inline(always)]`, as is all that they call for each pixel: only what is inlined
    /// into [`Level::run`] is compiled for the level's instructions.
    fn run<L: Lanes>(self, lanes: L) -> Self::Output;
}

/// A level of vector instructions.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Level {
    /// 16 numbers in a register, 32 registers.
    #[cfg(target_arch = "x86_64")]
    Avx512(V4),
    /// 8 numbers in a register, 16 registers.
    #[cfg(target_arch = "x86_64")]
    Avx2(V3),
    /// What the compiler makes of arrays.
    Portable,
}

thread_local! {
    /// The level of kernels that this thread starts, if it is not the processor's.
    static CHOSEN: Cell<Option<Level>> = const { Cell::new(None) };
}

impl Level {
    /// The best that this processor has; `FLAIR_BENCH_SIMD=avx2` and `portable` mask what is above.
    pub(crate) fn of_this_thread() -> Self {
        static BEST: OnceLock<Level> = OnceLock::new();
        CHOSEN.get().unwrap_or_else(|| {
            *BEST.get_or_init(|| {
                let mask = std::env::var("FLAIR_BENCH_SIMD").unwrap_or_default();
                let levels = Self::all();
                let from = levels.iter().position(|level| level.name() == mask).unwrap_or(0);
                levels[from]
            })
        })
    }

    /// All levels of this processor, the best first.
    pub(crate) fn all() -> Vec<Self> {
        let mut levels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            levels.extend(V4::try_new().map(Self::Avx512));
            levels.extend(V3::try_new().map(Self::Avx2));
        }
        levels.push(Self::Portable);
        levels
    }

    /// `avx512`, `avx2` or `portable`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            Self::Portable => "portable",
        }
    }

    /// Runs `body` with the kernels that this thread starts at this level.
    pub(crate) fn with<R>(self, body: impl FnOnce() -> R) -> R {
        /// Restores the level, also when `body` panics.
        struct Restore(Option<Level>);
        impl Drop for Restore {
            fn drop(&mut self) {
                CHOSEN.set(self.0);
            }
        }
        let _restore = Restore(CHOSEN.replace(Some(self)));
        body()
    }

    /// Runs a task with this level's instructions.
    pub(crate) fn run<T: Task>(self, task: T) -> T::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(lanes) => lanes.vectorize(Bound { task, lanes }),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(lanes) => lanes.vectorize(Bound { task, lanes }),
            Self::Portable => task.run(Portable),
        }
    }
}

/// Runs `body` with the kernels in f32 at each level of vector instructions that this processor has, the best first: with
/// `avx512`, `avx2` and `portable`. For tests.
pub fn at_each_level(mut body: impl FnMut(&str)) {
    for level in Level::all() {
        level.with(|| body(level.name()));
    }
}

/// A task with the lanes that it runs on.
#[cfg(target_arch = "x86_64")]
struct Bound<T, L> {
    task: T,
    lanes: L,
}

#[cfg(target_arch = "x86_64")]
impl<T: Task, L: Lanes> NullaryFnOnce for Bound<T, L> {
    type Output = T::Output;

    #[inline(always)]
    fn call(self) -> T::Output {
        self.task.run(self.lanes)
    }
}

#[cfg(target_arch = "x86_64")]
impl Lanes for V3 {
    type Vector = std::arch::x86_64::__m256;
    type Registers = [std::arch::x86_64::__m256; 2];
    const WIDTH: usize = 8;
    // 12 of 16 registers; the others hold the weights and a pixel.
    const PIXELS: usize = 6;

    #[inline(always)]
    fn load(self, block: &Block, from: usize) -> Self::Vector {
        let (halves, _) = block.as_chunks::<8>();
        cast(halves[from / 8])
    }

    #[inline(always)]
    fn store(self, block: &mut Block, from: usize, vector: Self::Vector) {
        let (halves, _) = block.as_chunks_mut::<8>();
        halves[from / 8] = cast(vector);
    }

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Vector {
        self.avx._mm256_set1_ps(value)
    }

    #[inline(always)]
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        self.avx._mm256_add_ps(a, b)
    }

    #[inline(always)]
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        self.avx._mm256_sub_ps(a, b)
    }

    #[inline(always)]
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        self.avx._mm256_mul_ps(a, b)
    }

    #[inline(always)]
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        self.fma._mm256_fmadd_ps(a, b, c)
    }

    #[inline(always)]
    fn rectify(self, a: Self::Vector) -> Self::Vector {
        // Of a pair with NaN the instruction returns the second.
        self.avx._mm256_max_ps(self.avx._mm256_setzero_ps(), a)
    }

    #[inline(always)]
    fn larger(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        let is_nan = self.avx._mm256_cmp_ps::<{ std::arch::x86_64::_CMP_UNORD_Q }>(a, a);
        self.avx._mm256_blendv_ps(self.avx._mm256_max_ps(a, b), a, is_nan)
    }

    #[inline(always)]
    fn zeros(self) -> Self::Registers {
        [self.avx._mm256_setzero_ps(); 2]
    }

    #[inline(always)]
    fn load_block(self, block: &Block) -> Self::Registers {
        cast(*block)
    }

    #[inline(always)]
    fn store_block(self, block: &mut Block, registers: Self::Registers) {
        *block = cast(registers);
    }

    #[inline(always)]
    fn mul_add_block(self, a: f32, [b0, b1]: Self::Registers, [c0, c1]: Self::Registers) -> Self::Registers {
        let a = self.splat(a);
        [self.mul_add(a, b0, c0), self.mul_add(a, b1, c1)]
    }
}

#[cfg(target_arch = "x86_64")]
impl Lanes for V4 {
    type Vector = std::arch::x86_64::__m512;
    type Registers = std::arch::x86_64::__m512;
    const WIDTH: usize = 16;
    // More would not be faster: each product reads a pixel from the first-level cache, which gives two a cycle.
    const PIXELS: usize = 12;

    #[inline(always)]
    fn load(self, block: &Block, _: usize) -> Self::Vector {
        cast(*block)
    }

    #[inline(always)]
    fn store(self, block: &mut Block, _: usize, vector: Self::Vector) {
        *block = cast(vector);
    }

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Vector {
        self.avx512f._mm512_set1_ps(value)
    }

    #[inline(always)]
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        self.avx512f._mm512_add_ps(a, b)
    }

    #[inline(always)]
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        self.avx512f._mm512_sub_ps(a, b)
    }

    #[inline(always)]
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        self.avx512f._mm512_mul_ps(a, b)
    }

    #[inline(always)]
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        self.avx512f._mm512_fmadd_ps(a, b, c)
    }

    #[inline(always)]
    fn rectify(self, a: Self::Vector) -> Self::Vector {
        // Of a pair with NaN the instruction returns the second.
        self.avx512f._mm512_max_ps(self.avx512f._mm512_setzero_ps(), a)
    }

    #[inline(always)]
    fn larger(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        let is_nan = self.avx512f._mm512_cmp_ps_mask::<{ std::arch::x86_64::_CMP_UNORD_Q }>(a, a);
        self.avx512f._mm512_mask_blend_ps(is_nan, self.avx512f._mm512_max_ps(a, b), a)
    }

    #[inline(always)]
    fn zeros(self) -> Self::Registers {
        self.avx512f._mm512_setzero_ps()
    }

    #[inline(always)]
    fn load_block(self, block: &Block) -> Self::Registers {
        cast(*block)
    }

    #[inline(always)]
    fn store_block(self, block: &mut Block, registers: Self::Registers) {
        *block = cast(registers);
    }

    #[inline(always)]
    fn mul_add_block(self, a: f32, b: Self::Registers, c: Self::Registers) -> Self::Registers {
        self.mul_add(self.splat(a), b, c)
    }
}

/// Arrays of numbers, which the compiler makes vectors of.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl Lanes for Portable {
    type Vector = [f32; 4];
    type Registers = Block;
    const WIDTH: usize = 4;
    // 8 of the 16 registers of four numbers that SSE2 has.
    const PIXELS: usize = 2;

    #[inline(always)]
    fn load(self, block: &Block, from: usize) -> Self::Vector {
        block.as_chunks::<4>().0[from / 4]
    }

    #[inline(always)]
    fn store(self, block: &mut Block, from: usize, vector: Self::Vector) {
        block.as_chunks_mut::<4>().0[from / 4] = vector;
    }

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Vector {
        [value; 4]
    }

    #[inline(always)]
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        std::array::from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        std::array::from_fn(|i| a[i] - b[i])
    }

    #[inline(always)]
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        std::array::from_fn(|i| a[i] * b[i])
    }

    #[inline(always)]
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }

    #[inline(always)]
    fn rectify(self, a: Self::Vector) -> Self::Vector {
        a.map(|a| if a <= 0.0 { 0.0 } else { a })
    }

    #[inline(always)]
    fn larger(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        std::array::from_fn(|i| if b[i] > a[i] || b[i].is_nan() { b[i] } else { a[i] })
    }

    #[inline(always)]
    fn zeros(self) -> Self::Registers {
        ZEROS
    }

    #[inline(always)]
    fn load_block(self, block: &Block) -> Self::Registers {
        *block
    }

    #[inline(always)]
    fn store_block(self, block: &mut Block, registers: Self::Registers) {
        *block = registers;
    }

    #[inline(always)]
    fn mul_add_block(self, a: f32, b: Self::Registers, c: Self::Registers) -> Self::Registers {
        std::array::from_fn(|i| a * b[i] + c[i])
    }
}

/// Work on `P` adjacent pixels (or tiles, or channels) at once.
pub(crate) trait Grouped {
    /// The work on those from `first` on.
    fn run<L: Lanes, const P: usize>(&mut self, lanes: L, first: usize);
}

/// Runs `work` on groups of [`Lanes::PIXELS`] of `count`, and on smaller groups of the rest.
#[inline(always)]
pub(crate) fn in_groups<L: Lanes>(lanes: L, count: usize, work: &mut impl Grouped) {
    let mut first = 0;
    while count - first >= L::PIXELS {
        // The only values of PIXELS are these.
        match L::PIXELS {
            12 => work.run::<L, 12>(lanes, first),
            6 => work.run::<L, 6>(lanes, first),
            _ => work.run::<L, 2>(lanes, first),
        }
        first += L::PIXELS;
    }
    while count - first >= 4 {
        work.run::<L, 4>(lanes, first);
        first += 4;
    }
    for first in first..count {
        work.run::<L, 1>(lanes, first);
    }
}

/// Adds to the sums of `P` pixels the products of `inputs` (of each pixel the same number) and the weights, a block of output
/// channels for each input.
#[inline(always)]
pub(crate) fn accumulate<L: Lanes, const P: usize>(
    lanes: L,
    sums: &mut [L::Registers; P],
    mut inputs: [&[f32]; P],
    weights: &[Block],
) {
    for inputs in &mut inputs {
        *inputs = &inputs[..weights.len()];
    }
    for (k, weights) in weights.iter().enumerate() {
        let weights = lanes.load_block(weights);
        for (sum, inputs) in sums.iter_mut().zip(&inputs) {
            *sum = lanes.mul_add_block(inputs[k], weights, *sum);
        }
    }
}

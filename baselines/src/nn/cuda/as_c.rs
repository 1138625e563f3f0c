//! The GPU's kernels on the CPU: `kernels.cu` compiled as C, against the layers on plain tensors.
#![cfg(unix)]

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    sync::LazyLock,
};

use candle_core::{DType, Device, Tensor, Var};

use crate::nn::{
    gradcheck::{image, image_with_ties},
    max_pool_3x3_s2, nearest,
    norm::composed,
    relu, standardise, with_plain_tensors,
};

/// An argument of a kernel.
#[derive(Clone)]
enum Argument {
    Int(i32),
    Size(usize),
    Real(f64),
    Null,
    Memory(Vec<u8>),
}

use Argument::{Int, Memory, Null, Real, Size};

impl Argument {
    fn written(&self) -> Vec<u8> {
        match self {
            Int(value) => [&b"i"[..], &value.to_le_bytes()].concat(),
            Size(value) => [&b"u"[..], &(*value as u64).to_le_bytes()].concat(),
            Real(value) => [&b"d"[..], &value.to_le_bytes()].concat(),
            Null => b"n".to_vec(),
            Memory(bytes) => [&b"p"[..], &(bytes.len() as u64).to_le_bytes(), bytes].concat(),
        }
    }
}

/// The types that the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    F32,
    F64,
    Bf16,
}

impl Type {
    const ALL: [Self; 3] = [Self::F32, Self::F64, Self::Bf16];

    /// Largest relative error of a result.
    const fn tolerance(self) -> f64 {
        match self {
            Self::F32 => 1e-5,
            Self::F64 => 1e-11,
            Self::Bf16 => 1e-2,
        }
    }

    /// Values as a tensor of this type.
    #[expect(clippy::cast_possible_truncation, reason = "the narrower types")]
    fn memory(self, values: &[f64]) -> Argument {
        Memory(match self {
            Self::F32 => values.iter().flat_map(|&v| (v as f32).to_le_bytes()).collect(),
            Self::F64 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            // Test values are bf16 already.
            Self::Bf16 => {
                values.iter().flat_map(|&v| ((v as f32).to_bits() >> 16).to_le_bytes()[..2].to_vec()).collect()
            }
        })
    }

    /// Values as parameters and statistics.
    fn computed(self, values: &[f64]) -> Argument {
        if self == Self::F64 { self.memory(values) } else { Self::F32.memory(values) }
    }

    fn values(self, bytes: &[u8]) -> Vec<f64> {
        match self {
            Self::F32 => bytes.as_chunks().0.iter().map(|&b| f64::from(f32::from_le_bytes(b))).collect(),
            Self::F64 => bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b)).collect(),
            Self::Bf16 => {
                let wide = |b| f64::from(f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16));
                bytes.as_chunks().0.iter().map(|&b| wide(b)).collect()
            }
        }
    }

    fn computed_values(self, bytes: &[u8]) -> Vec<f64> {
        if self == Self::F64 { self.values(bytes) } else { Self::F32.values(bytes) }
    }

    /// Memory for `count` values.
    fn empty(self, count: usize) -> Argument {
        self.memory(&vec![f64::NAN; count])
    }

    /// The program that runs the kernels of this type.
    fn program(self) -> PathBuf {
        static PROGRAMS: LazyLock<(tempfile::TempDir, [PathBuf; 3])> = LazyLock::new(|| {
            let folder = tempfile::tempdir().unwrap();
            let made = Type::ALL.map(|of| {
                let program = folder.path().join(format!("{of:?}"));
                let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/nn/cuda/as_c.c");
                let name = format!("-D{of:?}").to_uppercase();
                let mut compiler = Command::new("cc");
                compiler.args(["-O1", "-pthread", &name, source, "-lm", "-o"]).arg(&program);
                assert!(compiler.status().unwrap().success());
                program
            });
            (folder, made)
        });
        PROGRAMS.1[self as usize].clone()
    }

    /// Runs a kernel in a grid of blocks of `threads`; returns the memory of its arguments.
    fn run(self, kernel: &str, (grid, threads): ((u32, u32), u32), arguments: &[Argument]) -> Vec<Vec<u8>> {
        let mut input = Vec::new();
        input.extend(u32::try_from(kernel.len()).unwrap().to_le_bytes());
        input.extend(kernel.as_bytes());
        for number in [grid.0, grid.1, threads, u32::try_from(arguments.len()).unwrap()] {
            input.extend(number.to_le_bytes());
        }
        input.extend(arguments.iter().flat_map(Argument::written));
        let mut child = Command::new(self.program()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&input).unwrap();
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "{kernel}: {}", done.status);
        let mut rest = done.stdout.as_slice();
        let sizes = arguments.iter().filter_map(|argument| match argument {
            Memory(bytes) => Some(bytes.len()),
            _ => None,
        });
        let memory = sizes.map(|size| rest.split_off(..size).unwrap().to_vec()).collect();
        assert!(rest.is_empty());
        memory
    }

    /// Runs an elementwise kernel, whose last argument is the number of elements.
    fn each(self, kernel: &str, arguments: &[Argument], count: usize) -> Vec<Vec<u8>> {
        // Fewer threads than elements: they take several.
        self.run(kernel, ((2, 1), 3), &[arguments, &[Size(count)]].concat())
    }

    fn assert_close(self, what: &str, found: &[f64], expected: &Tensor) {
        let expected = expected.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        assert_eq!(found.len(), expected.len(), "{what}");
        let scale = expected.iter().fold(1e-3f64, |scale, v| scale.max(v.abs()));
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let is_same = found.is_nan() && expected.is_nan() || (found - expected).abs() <= self.tolerance() * scale;
            assert!(is_same, "{what} of {self:?}: number {i} is {found}, not {expected}");
        }
    }
}

/// Values that bf16 holds exactly.
fn rounded(x: &Tensor) -> Tensor {
    x.to_dtype(DType::BF16).unwrap().to_dtype(DType::F64).unwrap()
}

fn numbers(x: &Tensor) -> Vec<f64> {
    x.flatten_all().unwrap().to_vec1::<f64>().unwrap()
}

/// The output and the gradients of `of` by plain tensors, where `g` is the gradient of the output.
fn expected(
    inputs: &[&Tensor],
    g: &Tensor,
    of: impl Fn(&[Tensor]) -> candle_core::Result<Tensor>,
) -> (Tensor, Vec<Tensor>) {
    let inputs: Vec<Var> = inputs.iter().map(|x| Var::from_tensor(x).unwrap()).collect();
    let tensors: Vec<Tensor> = inputs.iter().map(|x| x.as_tensor().clone()).collect();
    with_plain_tensors(|| {
        let y = of(&tensors).unwrap();
        let store = (&y * g).unwrap().sum_all().unwrap().backward().unwrap();
        (y.detach(), inputs.iter().map(|x| store.get(x).unwrap().clone()).collect())
    })
}

#[test]
fn rectifiers_and_resizing_are_those_of_plain_tensors() {
    for of in Type::ALL {
        for dims in [[2, 3, 6, 4], [1, 2, 5, 7], [1, 1, 1, 1]] {
            let x = rounded(&image_with_ties(&dims));
            let (height, width) = (dims[2], dims[3]);
            let count = x.elem_count();
            let size = [Int(i32::try_from(height).unwrap()), Int(i32::try_from(width).unwrap())];

            let g = rounded(&image(&dims));
            let (y, gradients) = expected(&[&x], &g, |t| relu(&t[0]));
            let found = of.each("relu", &[of.memory(&numbers(&x)), of.empty(count)], count);
            of.assert_close("relu", &of.values(&found[1]), &y);
            let arguments = [of.memory(&numbers(&g)), of.memory(&numbers(&y)), of.empty(count)];
            let found = of.each("relu_gradient", &arguments, count);
            of.assert_close("its gradient", &of.values(&found[2]), &gradients[0]);

            let pooled = [dims[0], dims[1], height.div_ceil(2), width.div_ceil(2)];
            let g = rounded(&image(&pooled));
            // Ties: the first in row-major order has the whole gradient, as with the kernels of the CPU.
            let y = max_pool_3x3_s2(&x).unwrap();
            let arguments = [&[of.memory(&numbers(&x)), of.empty(y.elem_count())], &size[..]].concat();
            let found = of.each("max_pool", &arguments, y.elem_count());
            of.assert_close("max-pool", &of.values(&found[1]), &y);
            let variable = Var::from_tensor(&x).unwrap();
            let sum = (max_pool_3x3_s2(&variable).unwrap() * &g).unwrap().sum_all().unwrap();
            let gradient = sum.backward().unwrap().remove(&variable).unwrap();
            let arguments = [&[of.memory(&numbers(&g)), of.memory(&numbers(&x)), of.empty(count)], &size[..]].concat();
            let found = of.each("max_pool_gradient", &arguments, count);
            of.assert_close("its gradient", &of.values(&found[2]), &gradient);

            let g = rounded(&image(&[dims[0], dims[1], 2 * height, 2 * width]));
            let (y, gradients) = expected(&[&x], &g, |t| nearest(&t[0], 2 * height, 2 * width));
            let arguments = [&[of.memory(&numbers(&x)), of.empty(4 * count)], &size[..]].concat();
            let found = of.each("twice", &arguments, 4 * count);
            of.assert_close("twice the size", &of.values(&found[1]), &y);
            let arguments = [&[of.memory(&numbers(&g)), of.empty(count)], &size[..]].concat();
            let found = of.each("sum_of_four", &arguments, count);
            of.assert_close("its gradient", &of.values(&found[1]), &gradients[0]);
        }
    }
}

#[test]
fn what_is_no_number_stays_so() {
    for of in Type::ALL {
        let x = [f64::NAN, f64::NEG_INFINITY, f64::INFINITY, -0.0];
        let found = of.values(&of.each("relu", &[of.memory(&x), of.empty(4)], 4)[1]);
        assert!(found[0].is_nan() && found[1..] == [0.0, f64::INFINITY, 0.0], "{found:?}");
        let found = of.each("max_pool", &[of.memory(&x), of.empty(1), Int(2), Int(2)], 1);
        assert!(of.values(&found[1])[0].is_nan());
    }
}

#[test]
fn a_bias_and_a_residual_are_added_in_place() {
    for of in Type::ALL {
        let (y, bias, residual) =
            (rounded(&image(&[2, 3, 2, 2])), rounded(&image(&[3])), rounded(&image(&[2, 3, 2, 2]).neg().unwrap()));
        let sum = y.broadcast_add(&bias.reshape((1, 3, 1, 1)).unwrap()).unwrap();
        for (other, is_rectified) in [(None, 0), (Some(&residual), 1)] {
            let due = other.map_or_else(|| sum.clone(), |other| relu(&(&sum + other).unwrap()).unwrap());
            let other = other.map_or(Null, |other| of.memory(&numbers(other)));
            let arguments =
                [of.memory(&numbers(&y)), of.computed(&numbers(&bias)), other, Int(is_rectified), Int(3), Size(4)];
            of.assert_close("the sum", &of.values(&of.each("epilogue", &arguments, 24)[0]), &due);
        }
    }
}

/// Runs the kernels of a norm over `x [B, C, …]`, forward and backward, in parts as a GPU does.
fn norm(of: Type, x: &Tensor, affine: Option<(&Tensor, &Tensor)>, g: &Tensor) -> [Vec<f64>; 6] {
    const EPSILON: f64 = 1e-5;
    const PARTS: u32 = 3;
    let (channels, count) = (x.dim(1).unwrap(), x.elem_count());
    let (plane, each) = (x.dims()[2..].iter().product::<usize>(), count / channels);
    let blocks = ((u32::try_from(channels).unwrap(), PARTS), 256);
    let c = Int(i32::try_from(channels).unwrap());
    let parts = Type::F64.empty(2 * channels * PARTS as usize);
    let (x, g) = (of.memory(&numbers(x)), of.memory(&numbers(g)));
    let statistics = of.computed(&vec![f64::NAN; channels]);

    let found = of.run("moments", blocks, &[x.clone(), parts.clone(), c.clone(), Size(plane), Size(each)]);
    let arguments = [x.clone(), Memory(found[1].clone()), statistics.clone(), statistics.clone(), statistics.clone()];
    let sizes = [c.clone(), Int(PARTS.cast_signed()), Real(EPSILON), Size(plane), Size(each)];
    let found = of.run("moments_end", ((1, 1), 2), &[&arguments[..], &sizes[..]].concat());
    let (mean, inverse) = (Memory(found[2].clone()), Memory(found[4].clone()));
    let (seen_mean, seen_variance) = (of.computed_values(&found[2]), of.computed_values(&found[3]));

    let [weight, bias] = match affine {
        Some((weight, bias)) => [weight, bias].map(|values| of.computed(&numbers(values))),
        None => [Null, Null],
    };
    let arguments = [x.clone(), mean.clone(), inverse.clone(), weight.clone(), bias, of.empty(count), c.clone()];
    let found = of.each("normalise", &[&arguments[..], &[Size(plane)]].concat(), count);
    let y = of.values(found.last().unwrap());

    let arguments = [g.clone(), x.clone(), mean.clone(), parts, c.clone(), Size(plane), Size(each)];
    let found = of.run("gradient_sums", blocks, &arguments);
    let sums = Memory(found[3].clone());
    let factors = of.computed(&vec![f64::NAN; 3 * channels]);
    let arguments = [sums.clone(), inverse, weight, statistics.clone(), statistics.clone(), factors];
    let sizes = [c.clone(), Int(PARTS.cast_signed()), Size(each)];
    let found = of.run("gradient_sums_end", ((1, 1), 2), &[&arguments[..], &sizes[..]].concat());
    let [of_weight, of_bias, factors] = found.last_chunk::<3>().unwrap().clone();
    // A bias alone.
    let arguments = [sums, Null, Null, Null, statistics, Null];
    let found = of.run("gradient_sums_end", ((1, 1), 2), &[&arguments[..], &sizes[..]].concat());
    assert_eq!(found.last().unwrap(), &of_bias);

    let arguments = [g, x, mean, Memory(factors), of.empty(count), c, Size(plane)];
    let found = of.each("norm_gradient", &arguments, count);
    let of_x = of.values(found.last().unwrap());
    [y, of_x, of.computed_values(&of_weight), of.computed_values(&of_bias), seen_mean, seen_variance]
}

#[test]
fn norms_are_those_of_plain_tensors() {
    for of in Type::ALL {
        for dims in [&[2, 3, 5, 4][..], &[3, 2, 20, 30], &[4, 3, 1]] {
            let (x, g) = (rounded(&image(dims)), rounded(&image(dims).sqr().unwrap()));
            let (weight, bias) = (rounded(&image(&dims[1..2])), rounded(&image(&dims[1..2]).neg().unwrap()));
            let found = norm(of, &x, Some((&weight, &bias)), &g);
            let (y, gradients) = expected(&[&x, &weight, &bias], &g, |t| Ok(composed(&t[0], &t[1], &t[2])?.0));
            of.assert_close("batch norm", &found[0], &y);
            of.assert_close("its gradient", &found[1], &gradients[0]);
            of.assert_close("its weight's gradient", &found[2], &gradients[1]);
            of.assert_close("its bias' gradient", &found[3], &gradients[2]);
            let (_, mean, variance) = composed(&x, &weight, &bias).unwrap();
            of.assert_close("the mean", &found[4], &mean);
            of.assert_close("the variance", &found[5], &variance);
        }
        // Groups are the channels of one sample.
        let x = rounded(&image(&[2, 4, 3, 5]));
        let g = rounded(&image(&[2, 4, 3, 5]).sqr().unwrap());
        let (y, gradients) = expected(&[&x], &g, |t| standardise(&t[0], 2));
        let rows = |t: &Tensor| t.reshape((1, 4, ())).unwrap();
        let found = norm(of, &rows(&x), None, &rows(&g));
        of.assert_close("group norm", &found[0], &y);
        of.assert_close("its gradient", &found[1], &gradients[0]);
    }
}

#[test]
fn large_means_keep_their_digits() {
    let x: Vec<f64> = (0..6000).map(|i| 1000.0 + if i % 2 == 0 { 0.5 } else { -0.5 }).collect();
    let x = Tensor::from_vec(x, (2, 3, 1000), &Device::Cpu).unwrap();
    let [.., mean, variance] = norm(Type::F32, &x, None, &x);
    for (mean, variance) in mean.iter().zip(variance) {
        assert!((mean - 1000.0).abs() < 1e-4 && (variance - 0.25).abs() < 1e-7, "{mean} {variance}");
    }
}

#[test]
fn squares_are_summed_in_parts() {
    for of in Type::ALL {
        let x = rounded(&image(&[1001]));
        let parts =
            of.run("squares", ((3, 1), 256), &[of.memory(&numbers(&x)), Type::F64.empty(3), Size(1001)]).remove(1);
        let sum = of.run("squares_end", ((1, 1), 1), &[Memory(parts), Type::F64.empty(1), Int(3)]).remove(1);
        let due = x.sqr().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap();
        assert!((Type::F64.values(&sum)[0] - due).abs() < 1e-12 * due);
    }
}

#[test]
fn the_first_of_equal_logits_is_the_class() {
    for of in Type::ALL {
        // Two samples of three pixels and four classes.
        let mut logits = vec![
            0.0, -1.0, 5.0, 2.0, -1.0, 5.0, 2.0, -2.0, 5.0, 1.0, -1.0, 4.0, //
            1.0, 0.0, 0.0, 2.0, 0.0, 0.0, 3.0, 0.0, 0.0, 4.0, 0.0, 9.0,
        ];
        let run = |logits: &[f64]| {
            let arguments = [of.memory(logits), Memory(vec![0; 8]), Int(4), Size(3)];
            of.each("largest_logits", &arguments, 6).remove(1)
        };
        assert_eq!(run(&logits), [0, 1, 0, 0, 0, 3, 0, 3]);
        for broken in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            logits[13] = broken;
            assert_eq!([run(&logits)[0], run(&logits)[4]], [0, 1]);
        }
    }
}

#[test]
fn the_loss_is_that_of_plain_tensors() {
    let logits = rounded(&(image(&[2, 3, 4, 2]) * 3.0).unwrap());
    let labels: Vec<u8> = vec![0, 1, 2, 255, 1, 0, 2, 2, 255, 0, 1, 1, 2, 0, 1, 255];
    let weights = [1.0, 0.5, 0.0];
    let target = Tensor::from_vec(labels.clone(), (2, 4, 2), &Device::Cpu).unwrap();
    let variable = Var::from_tensor(&logits).unwrap();
    let loss = crate::train::cross_entropy(&variable, &target, &weights).unwrap();
    let gradient = (&loss * 0.5).unwrap().backward().unwrap().remove(&variable).unwrap();
    for of in Type::ALL {
        let run = |labels: &[u8]| {
            let given = [of.memory(&numbers(&logits)), Memory(labels.to_vec()), Type::F64.memory(&weights)];
            let arguments = [&given[..], &[Type::F64.empty(4), Int(3), Size(8), Size(16)]].concat();
            let parts = of.run("cross_entropy", ((2, 1), 256), &arguments).remove(3);
            let totals =
                of.run("cross_entropy_end", ((1, 1), 1), &[Memory(parts), Type::F64.empty(2), Int(2)]).remove(1);
            let arguments = [&[Type::F64.memory(&[0.5]), Memory(totals.clone())], &given[..], &[of.empty(48)]].concat();
            let found = of.each("cross_entropy_gradient", &[&arguments[..], &[Int(3), Size(8)]].concat(), 16);
            (Type::F64.values(&totals)[0], of.values(&found[5]))
        };
        let (found, of_logits) = run(&labels);
        of.assert_close("the loss", &[found], &loss);
        of.assert_close("its gradient", &of_logits, &gradient);
        // Nothing to learn, and a label that is no class.
        assert_eq!(run(&[255; 16]), (0.0, vec![0.0; 48]));
        assert!(run(&[3; 16]).0.is_nan());
    }
}

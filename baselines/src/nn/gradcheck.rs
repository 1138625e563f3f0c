//! Gradient checks against central differences, and against other implementations of the same function.

use candle_core::{DType, Device, Result, Tensor, Var};

/// Values between -1 and 1 without a pattern and without ties, f64.
pub(super) fn image(dims: &[usize]) -> Tensor {
    let count: usize = dims.iter().product();
    let value = |i: usize| ((i as f64 + 1.0) * 0.754_877_666_246_69).fract() * 2.0 - 1.0;
    Tensor::from_vec((0..count).map(value).collect::<Vec<_>>(), dims, &Device::Cpu).unwrap()
}

/// The same, rounded to few values, so that neighbours often tie and some are 0.
pub(super) fn image_with_ties(dims: &[usize]) -> Tensor {
    ((image(dims) * 1.5).unwrap().round().unwrap() * 0.5).unwrap()
}

/// A weighted sum of all outputs, each with another weight, that also consumes each input a second time: some of
/// candle's operations lose the gradient of one of two consumers.
fn scalar(inputs: &[Tensor], f: &dyn Fn(&[Tensor]) -> Result<Tensor>) -> Result<Tensor> {
    let y = f(inputs)?;
    let weights = (image(y.dims()) + 0.3)?.to_dtype(y.dtype())?;
    inputs.iter().try_fold((y * weights)?.sum_all()?, |sum, x| {
        let weights = (image(x.dims()) - 0.1)?.to_dtype(x.dtype())?;
        sum + (x * weights)?.sum_all()?
    })
}

/// Value and gradients of all inputs.
fn gradients(inputs: &[&Tensor], f: &dyn Fn(&[Tensor]) -> Result<Tensor>) -> (Tensor, Vec<Tensor>) {
    let vars: Vec<Var> = inputs.iter().map(|x| Var::from_tensor(x).unwrap()).collect();
    let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let store = scalar(&tensors, f).unwrap().backward().unwrap();
    (f(&tensors).unwrap().detach(), vars.iter().map(|v| store.get(v).unwrap().clone()).collect())
}

fn numbers(x: &Tensor) -> Vec<f64> {
    x.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Asserts that the gradient of `f` by every one of its inputs (f64) is that of central differences, to 1e-6.
pub(super) fn assert_gradients(inputs: &[&Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    const STEP: f64 = 1e-5;
    let (_, found) = gradients(inputs, &f);
    for (which, (input, found)) in inputs.iter().zip(&found).enumerate() {
        let values = numbers(input);
        for (index, found) in numbers(found).into_iter().enumerate() {
            let moved = |by: f64| {
                let mut values = values.clone();
                values[index] += by;
                let mut inputs: Vec<Tensor> = inputs.iter().map(|&x| x.clone()).collect();
                inputs[which] = Tensor::from_vec(values, input.dims(), &Device::Cpu).unwrap();
                scalar(&inputs, &f).unwrap().to_scalar::<f64>().unwrap()
            };
            let expected = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
            let off = (found - expected).abs() / expected.abs().max(1.0);
            assert!(off <= 1e-6, "input {which} {:?} at {index}: {found}, expected {expected}", input.dims());
        }
    }
}

/// Asserts that `f` and `g` give the same values and gradients: to 1e-11 in f64, and to 1e-4 in f32.
pub(super) fn assert_agree(
    inputs: &[&Tensor],
    f: impl Fn(&[Tensor]) -> Result<Tensor>,
    g: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    for (dtype, tolerance) in [(DType::F64, 1e-11), (DType::F32, 1e-4)] {
        let inputs: Vec<Tensor> = inputs.iter().map(|x| x.to_dtype(dtype).unwrap()).collect();
        let inputs: Vec<&Tensor> = inputs.iter().collect();
        let ((y, found), (z, expected)) = (gradients(&inputs, &f), gradients(&inputs, &g));
        for (what, (a, b)) in std::iter::once((&y, &z)).chain(found.iter().zip(&expected)).enumerate() {
            assert_eq!((a.dims(), a.dtype()), (b.dims(), b.dtype()));
            let (a, b) = (numbers(a), numbers(b));
            let largest = b.iter().fold(1.0f64, |m, v| m.max(v.abs()));
            let worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst <= tolerance * largest, "value or gradient {what} in {dtype:?}: off by {worst} of {largest}");
        }
    }
}

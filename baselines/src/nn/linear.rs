//! The fully connected layer.

use candle_core::{D, Result, Tensor};

use super::{Init, Mode, Parameter, Scope};

/// `x · Wᵀ + b`, `torch.nn.Linear`: `weight [N, M]`, `bias [N]`.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Parameter,
    bias: Parameter,
}

impl Linear {
    /// A layer from `c_in` to `c_out` channels with torch's initialiser.
    ///
    /// # Errors
    /// If the device fails.
    pub fn new(scope: &Scope<'_>, c_in: usize, c_out: usize) -> Result<Self> {
        Self::with_weight_init(scope, c_in, c_out, Init::torch_default(c_in))
    }

    /// The same with another initialiser of the weight; the bias has torch's.
    ///
    /// # Errors
    /// If the device fails.
    pub fn with_weight_init(scope: &Scope<'_>, c_in: usize, c_out: usize, init: Init) -> Result<Self> {
        let weight = scope.weight("weight", (c_out, c_in), init)?;
        let bias = scope.weight("bias", c_out, Init::torch_default(c_in))?;
        Ok(Self { weight, bias })
    }

    /// A `torch.nn.Conv1d` of kernel 1 on the last axis: its `weight [N, M, 1]` has a third axis.
    ///
    /// # Errors
    /// If the device fails.
    pub fn pointwise(scope: &Scope<'_>, c_in: usize, c_out: usize) -> Result<Self> {
        let weight = scope.weight("weight", (c_out, c_in, 1), Init::torch_default(c_in))?;
        Ok(Self { weight, bias: scope.weight("bias", c_out, Init::torch_default(c_in))? })
    }

    /// `[…, M]` to `[…, N]`.
    ///
    /// # Errors
    /// If the last axis is not `M`, or the device fails.
    pub fn forward(&self, x: &Tensor, mode: Mode<'_>) -> Result<Tensor> {
        let c_in = x.dim(D::Minus1)?;
        let weight = self.weight.like(x, mode)?.flatten_from(1)?;
        let mut dims = x.dims().to_vec();
        if let Some(last) = dims.last_mut() {
            *last = weight.dim(0)?;
        }
        // One flat matrix product: a batched one would repeat the weights for each batch item.
        let y = x.reshape(((), c_in))?.matmul(&weight.t()?)?.broadcast_add(&self.bias.like(x, mode)?)?;
        y.reshape(dims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{
        Builder,
        gradcheck::{assert_gradients, image},
    };
    use candle_core::{DType, Device};

    #[test]
    fn gradients_are_right() {
        let builder = Builder::new(DType::F64, &Device::Cpu, 1);
        let layers = [
            Linear::new(&builder.root().at("a"), 3, 5).unwrap(),
            Linear::pointwise(&builder.root().at("b"), 3, 2).unwrap(),
        ];
        for layer in layers {
            for dims in [&[4, 3][..], &[2, 5, 3], &[1, 2, 2, 3]] {
                assert_gradients(&[&image(dims)], |t| layer.forward(&t[0], Mode::TRAIN_WITHOUT_DROPOUT));
            }
            // With respect to the weights, which are changed through their variables.
            let x = image(&[7, 3]);
            let loss = || layer.forward(&x, Mode::TRAIN_WITHOUT_DROPOUT).unwrap().sqr().unwrap().sum_all().unwrap();
            let gradients = loss().backward().unwrap();
            for parameter in [&layer.weight, &layer.bias] {
                let found = gradients.get(parameter.var()).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
                let start = parameter.var().as_detached_tensor().copy().unwrap();
                for (i, found) in found.into_iter().enumerate() {
                    let moved = |by: f64| {
                        let mut values = start.flatten_all().unwrap().to_vec1::<f64>().unwrap();
                        values[i] += by;
                        parameter.var().set(&Tensor::from_vec(values, start.shape(), &Device::Cpu).unwrap()).unwrap();
                        loss().to_scalar::<f64>().unwrap()
                    };
                    let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                    assert!((found - expected).abs() <= 1e-6 * expected.abs().max(1.0), "{found} {expected}");
                }
                parameter.var().set(&start).unwrap();
            }
        }
    }
}

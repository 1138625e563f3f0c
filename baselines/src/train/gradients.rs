//! Gradients by parameter name: accumulation, norm, clipping.

use std::collections::BTreeMap;

use candle_core::{DType, Result, Tensor};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use crate::nn::take_on_gpu;
use crate::nn::{Kind, Parameters};

/// The gradients of a loss. A parameter that the loss does not depend on has none.
#[derive(Clone, Debug, Default)]
pub struct Gradients(BTreeMap<String, Tensor>);

impl Gradients {
    /// The gradients of `loss`, a scalar, with respect to each trainable parameter.
    ///
    /// # Errors
    /// If an operation of the graph has no gradient, or the device fails.
    pub fn of(loss: &Tensor, parameters: &Parameters) -> Result<Self> {
        let mut all = loss.backward()?;
        let trained = parameters.iter().filter(|(_, p)| p.kind() == Kind::Weight);
        Ok(Self(trained.filter_map(|(name, p)| Some((name.to_owned(), all.remove(p.var())?))).collect()))
    }

    /// The gradient of the parameter `name`, of the parameter's shape.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.0.get(name)
    }

    /// Takes the gradient of a parameter.
    pub(super) fn take(&mut self, name: &str) -> Option<Tensor> {
        self.0.remove(name)
    }

    /// Names and gradients, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.0.iter().map(|(name, gradient)| (name.as_str(), gradient))
    }

    /// Accumulates the gradients of another batch. A parameter with a gradient in only one of them keeps that one.
    ///
    /// # Errors
    /// If they belong to another network, or the device fails.
    pub fn add(&mut self, other: Self) -> Result<()> {
        for (name, gradient) in other.0 {
            let sum = match self.0.get(&name) {
                Some(own) => (own + gradient)?,
                None => gradient,
            };
            self.0.insert(name, sum);
        }
        Ok(())
    }

    /// Multiplies all gradients by `factor`.
    ///
    /// # Errors
    /// If the device fails.
    pub fn scale(&mut self, factor: f64) -> Result<()> {
        self.0.values_mut().try_for_each(|gradient| {
            *gradient = (&*gradient * factor)?;
            Ok(())
        })
    }

    /// The values of `scalars`, and the gradients' global L2 norm, summed in f64: one copy from the device, which waits for
    /// everything that it has to compute.
    ///
    /// # Errors
    /// If a tensor is no scalar, or the device fails.
    pub fn norm_with(&self, scalars: &[Tensor]) -> Result<(Vec<f64>, f64)> {
        let square = |g: &Tensor| {
            #[cfg(feature = "cuda")]
            if take_on_gpu(g) {
                return crate::nn::cuda::sum_of_squares(g);
            }
            g.to_dtype(DType::F64)?.sqr()?.sum_all()
        };
        let scalars = scalars.iter().map(|scalar| scalar.to_dtype(DType::F64)).collect::<Result<Vec<_>>>()?;
        let gradients: Vec<_> = self.0.values().collect();
        // On the CPU, each of candle's operations here uses one thread; a GPU is given its work by one.
        let squares: Vec<_> = if gradients.iter().all(|gradient| gradient.device().is_cpu()) {
            gradients.into_par_iter().map(square).collect::<Result<_>>()?
        } else {
            gradients.into_iter().map(square).collect::<Result<_>>()?
        };
        let count = scalars.len();
        let scalars_and_squares = [scalars, squares].concat();
        if scalars_and_squares.is_empty() {
            return Ok((Vec::new(), 0.0));
        }
        let mut values = Tensor::stack(&scalars_and_squares, 0)?.to_vec1::<f64>()?;
        let squares = values.split_off(count);
        Ok((values, squares.iter().sum::<f64>().sqrt()))
    }

    /// Clips the global norm, which is `norm`, to `max_norm`, as `torch.nn.utils.clip_grad_norm_`. If it is not finite, the
    /// gradients are unchanged: no factor repairs them.
    ///
    /// # Errors
    /// If the device fails.
    pub fn clip(&mut self, norm: f64, max_norm: f64) -> Result<()> {
        let factor = max_norm / (norm + 1e-6);
        if norm.is_finite() && factor < 1.0 { self.scale(factor) } else { Ok(()) }
    }
}

impl FromIterator<(String, Tensor)> for Gradients {
    fn from_iter<I: IntoIterator<Item = (String, Tensor)>>(gradients: I) -> Self {
        Self(gradients.into_iter().collect())
    }
}

#[cfg(test)]
pub(super) fn gradients(by_name: impl IntoIterator<Item = (&'static str, Tensor)>) -> Gradients {
    Gradients(by_name.into_iter().map(|(name, gradient)| (name.to_owned(), gradient)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Builder, Init, Mode};
    use candle_core::Device;

    fn norm(gradients: &Gradients) -> f64 {
        gradients.norm_with(&[]).unwrap().1
    }

    fn tensor(values: &[f32]) -> Tensor {
        Tensor::new(values, &Device::Cpu).unwrap()
    }

    #[test]
    fn parameters_outside_the_graph_have_no_gradient() {
        let builder = Builder::new(DType::F64, &Device::Cpu, 0);
        let a = builder.root().weight("a", 2, Init::Constant(3.0)).unwrap();
        builder.root().weight("b", 2, Init::Constant(3.0)).unwrap();
        let running = builder.root().statistic("running", 2, 2.0).unwrap();
        let parameters = builder.finish();
        let mode = Mode::TRAIN_WITHOUT_DROPOUT;
        let loss = (a.value(mode).unwrap() * running.value(mode).unwrap()).unwrap().sqr().unwrap().sum_all().unwrap();
        let found = Gradients::of(&loss, &parameters).unwrap();
        assert_eq!(found.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a"]);
        assert_eq!(found.get("a").unwrap().to_vec1::<f64>().unwrap(), [24.0, 24.0]);
    }

    #[test]
    fn batches_accumulate_and_the_norm_is_global() {
        let mut sum = gradients([("a", tensor(&[1.0, 2.0])), ("b", tensor(&[2.0]))]);
        sum.add(gradients([("a", tensor(&[1.0, 0.0])), ("c", tensor(&[4.0]))])).unwrap();
        assert_eq!(norm(&sum).to_bits(), f64::sqrt(4.0 + 4.0 + 4.0 + 16.0).to_bits());
        let (scalars, _) = sum.norm_with(&[Tensor::new(3f32, &Device::Cpu).unwrap()]).unwrap();
        assert_eq!(scalars, [3.0]);
        assert_eq!(Gradients::default().norm_with(&[]).unwrap(), (vec![], 0.0));
        sum.scale(0.5).unwrap();
        assert_eq!(sum.get("a").unwrap().to_vec1::<f32>().unwrap(), [1.0, 1.0]);
        assert_eq!(sum.get("c").unwrap().to_vec1::<f32>().unwrap(), [2.0]);
    }

    #[test]
    fn the_norm_loses_nothing_in_long_tensors() {
        // Plain f32 sums stop growing at 2^24.
        let many = gradients([("a", Tensor::ones(20_000_000, DType::F32, &Device::Cpu).unwrap())]);
        assert_eq!(norm(&many).to_bits(), 2e7f64.sqrt().to_bits());
    }

    #[test]
    fn clipping_scales_down_and_never_up() {
        let mut both = gradients([("a", tensor(&[3.0])), ("b", tensor(&[4.0]))]);
        assert!((norm(&both) - 5.0).abs() < 1e-12);
        both.clip(norm(&both), 10.0).unwrap();
        assert_eq!(both.get("a").unwrap().to_vec1::<f32>().unwrap(), [3.0]);
        both.clip(norm(&both), 1.0).unwrap();
        assert!((norm(&both) - 1.0).abs() < 1e-6);
        let mut broken = gradients([("a", tensor(&[f32::NAN])), ("b", tensor(&[4.0]))]);
        assert!(norm(&broken).is_nan());
        broken.clip(norm(&broken), 1.0).unwrap();
        assert_eq!(broken.get("b").unwrap().to_vec1::<f32>().unwrap(), [4.0]);
    }
}

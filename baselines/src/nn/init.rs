//! Parameter initialisers of PyTorch, torchvision and `segmentation_models_pytorch` (SMP).

use rayon::prelude::*;

use crate::random::Generator;

/// Number of values that a thread draws at once.
const DRAWN: usize = 1 << 14;

/// Distribution of a parameter's initial values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// A constant.
    Constant(f64),
    /// Uniform in `[-bound, bound)`.
    Uniform {
        /// The bound.
        bound: f64,
    },
    /// Normal with mean 0.
    Normal {
        /// Standard deviation.
        std: f64,
    },
}

impl Init {
    /// Weights and biases of `torch.nn.Linear` and `torch.nn.Conv2d`: U(±1/√`fan_in`).
    pub fn torch_default(fan_in: usize) -> Self {
        Self::Uniform { bound: 1.0 / (fan_in as f64).sqrt() }
    }

    /// `torch.nn.init.kaiming_normal_(mode="fan_out", nonlinearity="relu")`: torchvision's `ResNet`.
    pub fn kaiming_normal(fan_out: usize) -> Self {
        Self::Normal { std: (2.0 / fan_out as f64).sqrt() }
    }

    /// `torch.nn.init.kaiming_uniform_(mode="fan_in", nonlinearity="relu")`: SMP's decoder.
    pub fn kaiming_uniform(fan_in: usize) -> Self {
        Self::Uniform { bound: (6.0 / fan_in as f64).sqrt() }
    }

    /// `torch.nn.init.xavier_uniform_`: SMP's heads.
    pub fn xavier_uniform(fan_in: usize, fan_out: usize) -> Self {
        Self::Uniform { bound: (6.0 / (fan_in + fan_out) as f64).sqrt() }
    }

    /// Draws `count` values, on all threads: each part of them starts where the generator is after those before it.
    pub(crate) fn draw(self, count: usize, generator: &Generator) -> Vec<f64> {
        let uniforms = match self {
            Self::Constant(value) => return vec![value; count],
            Self::Uniform { .. } => 1,
            Self::Normal { .. } => Generator::UNIFORMS_OF_NORMAL,
        };
        let mut values = vec![0.0; count];
        values.par_chunks_mut(DRAWN).enumerate().for_each(|(part, values)| {
            let mut generator = generator.after(part * DRAWN * uniforms);
            match self {
                Self::Uniform { bound } => values.fill_with(|| generator.between(-bound, bound)),
                Self::Normal { std } => values.fill_with(|| std * generator.normal()),
                Self::Constant(_) => {}
            }
        });
        values
    }
}

/// The initialiser of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConvInit {
    /// `torch.nn.Conv2d`'s own.
    Torch,
    /// torchvision's `ResNet` (upstream's encoder).
    ResNet,
    /// SMP `initialize_decoder`.
    SmpDecoder,
    /// SMP `initialize_head`.
    SmpHead,
}

impl ConvInit {
    /// Weight and bias of a convolution of `k` × `k`.
    pub(crate) fn of(self, c_in: usize, c_out: usize, k: usize) -> (Init, Init) {
        let (fan_in, fan_out) = (c_in * k * k, c_out * k * k);
        let zero = Init::Constant(0.0);
        match self {
            Self::Torch => (Init::torch_default(fan_in), Init::torch_default(fan_in)),
            Self::ResNet => (Init::kaiming_normal(fan_out), zero),
            Self::SmpDecoder => (Init::kaiming_uniform(fan_in), zero),
            Self::SmpHead => (Init::xavier_uniform(fan_in, fan_out), zero),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_are_those_of_the_formulas() {
        let std = |init: Init| {
            let values = init.draw(40_000, &Generator::new(1, "init"));
            (values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64).sqrt()
        };
        // A uniform distribution of bound b has the standard deviation b/√3.
        let close = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 0.02, "{a} {b}");
        close(std(ConvInit::Torch.of(5, 64, 7).0), 1.0 / (245.0f64 * 3.0).sqrt());
        close(std(ConvInit::ResNet.of(64, 128, 3).0), (2.0f64 / 1152.0).sqrt());
        close(std(ConvInit::SmpDecoder.of(64, 32, 3).0), (2.0f64 / 576.0).sqrt());
        close(std(ConvInit::SmpHead.of(16, 13, 3).0), (2.0f64 / (9.0 * 29.0)).sqrt());
    }
}

//! The rectifier.

use candle_core::{Result, Tensor};

/// `max(x, 0)`, any shape.
///
/// Its derivative at 0 is 0, as torch has it; candle's own `relu` says 1, which matters wherever whole frames are zero.
///
/// # Errors
/// If the device fails.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    if x.track_op() { x * x.detach().gt(0.0)?.to_dtype(x.dtype())? } else { x.relu() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn the_derivative_at_zero_is_zero() {
        let x = Var::new(&[-1.0f64, 0.0, 2.0], &Device::Cpu).unwrap();
        let y = relu(&x).unwrap();
        assert_eq!(y.to_vec1::<f64>().unwrap(), [0.0, 0.0, 2.0]);
        let gradients = y.sum_all().unwrap().backward().unwrap();
        assert_eq!(gradients.get(&x).unwrap().to_vec1::<f64>().unwrap(), [0.0, 0.0, 1.0]);
        assert_eq!(relu(&x.as_detached_tensor()).unwrap().to_vec1::<f64>().unwrap(), [0.0, 0.0, 2.0]);
    }
}

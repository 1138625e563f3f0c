//! Constant tensors, made and copied to the device once.

use std::{cell::RefCell, collections::HashMap};

use candle_core::{DType, Device, DeviceLocation, Result, Tensor};

/// Number of constants that are kept. A network has some dozens; a program that computes images of every size has more,
/// and begins anew.
const KEPT: usize = 256;

/// What a constant is, the numbers that determine it, its type and device.
type Key = (&'static str, Vec<u64>, DType, Place);

/// A GPU that is opened twice is two devices for candle.
#[derive(PartialEq, Eq, Hash)]
enum Place {
    At(DeviceLocation),
    #[cfg(feature = "cuda")]
    Opened(candle_core::cuda_backend::DeviceId),
}

impl Place {
    fn of(device: &Device) -> Self {
        match device {
            #[cfg(feature = "cuda")]
            Device::Cuda(device) => Self::Opened(device.id()),
            device => Self::At(device.location()),
        }
    }
}

thread_local! {
    static CONSTANTS: RefCell<HashMap<Key, Tensor>> = RefCell::default();
}

/// The constant `what` that `numbers` determine, on `device` in `dtype`. `make` makes it on the CPU in any type, if this
/// thread has not seen it.
///
/// # Errors
/// Those of `make`, or if the device fails.
pub(crate) fn constant(
    what: &'static str,
    numbers: &[u64],
    (dtype, device): (DType, &Device),
    make: impl FnOnce() -> Result<Tensor>,
) -> Result<Tensor> {
    let key = (what, numbers.to_vec(), dtype, Place::of(device));
    if let Some(known) = CONSTANTS.with_borrow(|known| known.get(&key).cloned()) {
        return Ok(known);
    }
    let made = make()?.to_dtype(dtype)?.to_device(device)?;
    CONSTANTS.with_borrow_mut(|known| {
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(key, made.clone());
    });
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_is_made_once_for_its_numbers_type_and_device() {
        let mut made = 0;
        let mut get = |number: u64, dtype| {
            let values = |made: &mut u32| {
                *made += 1;
                Tensor::new(number as f64, &Device::Cpu)
            };
            let tensor = constant("a test", &[number], (dtype, &Device::Cpu), || values(&mut made)).unwrap();
            assert_eq!(tensor.dtype(), dtype);
            assert_eq!(
                tensor.to_dtype(DType::F64).unwrap().to_scalar::<f64>().unwrap().to_bits(),
                (number as f64).to_bits()
            );
        };
        for _ in 0..2 {
            get(1, DType::F32);
            get(1, DType::F64);
            get(2, DType::F64);
        }
        (0..600).for_each(|number| get(number + 10, DType::F32));
        assert!(CONSTANTS.with_borrow(HashMap::len) <= KEPT);
        assert_eq!(made, 603);
    }
}

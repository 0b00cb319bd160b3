//! The values of tensors outside of LibTorch.

use tch::{Device, Kind, Tensor};

/// The values of a tensor as float32, row-major.
pub(crate) fn floats(tensor: &Tensor) -> Vec<f32> {
    let flat = tensor.to_device(Device::Cpu).to_kind(Kind::Float).contiguous().view([-1]);
    let mut values = vec![0f32; flat.numel()];
    let count = values.len();
    flat.copy_data(&mut values, count);
    values
}

/// A tensor's shape, and its values as little-endian float32.
pub(crate) type Bytes = (Vec<usize>, Vec<u8>);

/// A tensor outside of LibTorch.
pub(crate) fn bytes(tensor: &Tensor) -> Bytes {
    let shape = tensor.size().iter().map(|&d| d as usize).collect();
    (shape, floats(tensor).iter().flat_map(|x| x.to_le_bytes()).collect())
}

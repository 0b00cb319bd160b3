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

/// A tensor's shape, and its values as little-endian floats, row-major.
pub(crate) type Bytes = (Vec<usize>, Vec<u8>);

/// A tensor as float32.
pub(crate) fn bytes(tensor: &Tensor) -> Bytes {
    let shape = tensor.size().iter().map(|&d| d as usize).collect();
    (shape, floats(tensor).iter().flat_map(|x| x.to_le_bytes()).collect())
}

/// A tensor as float16.
pub(crate) fn half_bytes(tensor: &Tensor) -> Bytes {
    let shape = tensor.size().iter().map(|&d| d as usize).collect();
    let flat = tensor.to_device(Device::Cpu).to_kind(Kind::Half).contiguous().view([-1]);
    let mut bytes = vec![0u8; flat.numel() * 2];
    flat.copy_data_u8(&mut bytes, flat.numel());
    (shape, bytes)
}

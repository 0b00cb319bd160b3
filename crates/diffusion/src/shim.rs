//! LibTorch from C++, where tch does not reach: `shim/`.
//!
//! On a CPU LibTorch's own `linear` goes through MKL in float32, which reaches about 40 % of oneDNN's rate on AMD
//! processors, and lays the weight out anew on every call in bfloat16. Laid out once, both are fast on every x86-64.
//! Its channels-last group norm is slow where groups are narrow.

use std::ffi::{CStr, c_char, c_void};

use tch::{Device, Kind, Tensor};

use crate::error::Error;

#[expect(unsafe_code, reason = "the shim is C++")]
unsafe extern "C" {
    safe fn retouch_last_error() -> *const c_char;
    fn retouch_pack_linear(weight: *const c_void) -> *mut c_void;
    fn retouch_packed_linear(x: *const c_void, packed: *const c_void, bias: *const c_void) -> *mut c_void;
    fn retouch_group_norm(
        x: *const c_void,
        weight: *const c_void,
        bias: *const c_void,
        groups: i64,
        eps: f64,
        silu: bool,
    ) -> *mut c_void;
}

/// Whether the shim's operations are made for `x`: on a CPU, in float32 or bfloat16, and not in training.
fn suits(x: &Tensor) -> bool {
    x.device() == Device::Cpu && !x.requires_grad() && matches!(x.kind(), Kind::Float | Kind::BFloat16)
}

/// A weight in oneDNN's own layout.
pub(crate) struct PackedWeight(Tensor);

impl PackedWeight {
    /// Lays out `weight [outputs, inputs]`. `None` where that brings nothing or cannot be: not on a CPU, in training, in
    /// float16, or on a processor that oneDNN has no such kernel for.
    pub(crate) fn new(weight: &Tensor) -> Option<Self> {
        if !suits(weight) || !weight.is_contiguous() {
            return None;
        }
        #[expect(unsafe_code, reason = "the shim is C++")]
        // SAFETY: the pointer is a live tensor's; the result is null or a new tensor that is ours to free.
        let packed = unsafe { owned(retouch_pack_linear(weight.as_ptr().cast())) };
        packed
            .inspect_err(|error| tracing::debug!(%error, "a weight stays in its plain layout"))
            .ok()
            .map(Self)
    }

    /// `x [.., inputs]` to `[.., outputs]`; panics with LibTorch's message like tch's own operations.
    pub(crate) fn forward(&self, x: &Tensor, bias: Option<&Tensor>) -> Tensor {
        let bias = bias.map_or(std::ptr::null(), |b| b.as_ptr().cast());
        #[expect(unsafe_code, reason = "the shim is C++")]
        // SAFETY: the pointers are live tensors'; the result is null or a new tensor that is ours to free.
        let result = unsafe { owned(retouch_packed_linear(x.as_ptr().cast(), self.0.as_ptr().cast(), bias)) };
        result.unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Group norm of a channels-last `x [b, c, h, w]`, then SiLU if asked for. `None` where `x` is not what the shim is made
/// for; panics with LibTorch's message like tch's own operations.
pub(crate) fn group_norm(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    groups: i64,
    eps: f64,
    silu: bool,
) -> Option<Tensor> {
    if !suits(x) || weight.requires_grad() || bias.requires_grad() {
        return None;
    }
    let [x, weight, bias] = [x, weight, bias].map(|t| t.as_ptr().cast());
    #[expect(unsafe_code, reason = "the shim is C++")]
    // SAFETY: the pointers are live tensors'; the result is null or a new tensor that is ours to free.
    let result = unsafe { owned(retouch_group_norm(x, weight, bias, groups, eps, silu)) };
    Some(result.unwrap_or_else(|error| panic!("{error}")))
}

/// Takes over a tensor that the shim made, or its error.
#[expect(unsafe_code, reason = "the shim is C++")]
unsafe fn owned(pointer: *mut c_void) -> Result<Tensor, Error> {
    if pointer.is_null() {
        // SAFETY: the message is a C string of this thread that lives until the shim's next failure on it.
        let message = unsafe { CStr::from_ptr(retouch_last_error()) }.to_string_lossy();
        return Err(Error::torch("an operation of the shim", &message));
    }
    // SAFETY: the caller passes a pointer that `new at::Tensor` made and nobody else holds.
    Ok(unsafe { Tensor::from_ptr(pointer.cast()) })
}

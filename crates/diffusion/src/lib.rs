//! The edit engine of retouch: diffusers-layout models, samplers and the step machine on LibTorch.

pub mod samplers;

//! The suite and the detector, as other crates use it.

#[cfg(test)]
mod detector;
#[cfg(test)]
mod questions;
#[cfg(test)]
mod suite;

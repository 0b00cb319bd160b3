//! The built executables, as scripts use them.

#[cfg(all(test, not(feature = "engine")))]
mod bare;
#[cfg(all(test, feature = "engine"))]
mod client;
#[cfg(all(test, feature = "engine"))]
mod edit;
#[cfg(all(test, feature = "engine"))]
mod evaluate;
#[cfg(all(test, feature = "engine"))]
mod failures;
#[cfg(all(test, feature = "engine"))]
mod files;
#[cfg(all(test, feature = "engine"))]
mod linking;
#[cfg(test)]
mod operations;
#[cfg(all(test, feature = "engine"))]
mod parameters;
#[cfg(all(test, feature = "engine"))]
mod place;
#[cfg(all(test, feature = "engine"))]
mod reports;
#[cfg(test)]
mod scenes;
#[cfg(all(test, feature = "engine"))]
mod services;
#[cfg(all(test, feature = "engine"))]
mod terminal;
#[cfg(all(test, feature = "engine"))]
mod training;
#[cfg(all(test, feature = "engine"))]
mod webhooks;

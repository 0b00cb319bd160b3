//! The engine against the reference library and against itself.

#[cfg(test)]
mod clip;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod fuzz_corpus;
#[cfg(test)]
mod gangs;
#[cfg(test)]
mod guidance;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod models;
#[cfg(test)]
mod pipelines;
#[cfg(test)]
mod precision;
#[cfg(test)]
mod samplers;
#[cfg(test)]
mod spatial;
#[cfg(test)]
mod tokenizer;
#[cfg(test)]
mod training;

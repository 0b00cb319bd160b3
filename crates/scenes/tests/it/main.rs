//! Scenes, edits and pictures, as other crates use them.

#[cfg(test)]
mod edits;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod grounding;
#[cfg(test)]
mod pairs;
#[cfg(test)]
mod pictures;
#[cfg(test)]
mod scenes;

//! From what users write to what the store takes.

pub(crate) mod estimate;
pub(crate) mod expand;
pub(crate) mod lines;
pub(crate) mod load;
pub(crate) mod once;
pub(crate) mod row;
pub(crate) mod spec;

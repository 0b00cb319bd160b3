//! The kinds `render` and `pack`: edit pairs of procedural scenes, and shards of them.

use serde::{Deserialize, Serialize};

/// The name of the kind that makes pairs.
pub const RENDER: &str = "render";
/// The name of the kind that packs them.
pub const PACK: &str = "pack";
/// The pool whose workers do both.
pub const POOL: &str = "cpu";
/// The version of [`Render`] and of [`Pack`].
pub const VERSION: u16 = 1;
/// Most pairs of one job that renders.
pub const MAX_RENDERED: u64 = 256;
/// Most pairs of one shard.
pub const MAX_PACKED: u64 = 20_000;
/// Smallest side of a pair's images, in pixels.
pub const MIN_SIZE: u32 = 16;
/// Largest side of a pair's images, in pixels.
pub const MAX_SIZE: u32 = 1024;

/// Pairs to make. Pair number i is made from `seed` + i alone, whoever makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Render {
    /// The name of the set within the batch; a set has one seed and one size.
    pub set: String,
    /// Of pair number 0.
    pub seed: u64,
    /// Number of the first pair.
    pub first: u64,
    /// How many numbers.
    pub count: u64,
    /// Width and height in pixels.
    pub size: u32,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RenderedPairs {
    /// Pairs that were made.
    pub made: u64,
    /// Pairs that an earlier run had made.
    pub kept: u64,
    /// Seeds that give no pair.
    pub skipped: u64,
}

/// A shard to write: the pairs of these numbers that are there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pack {
    /// The name of the set.
    pub set: String,
    /// Number of the first pair.
    pub first: u64,
    /// How many numbers.
    pub count: u64,
    /// The number of the shard, for its name.
    pub shard: u32,
}

/// A shard in the layout of WebDataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackedShard {
    /// Its key in the blob store.
    pub key: String,
    /// Samples in it.
    pub samples: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hexadecimal.
    pub hash: String,
}

impl PackedShard {
    /// The name that it has among the shards of its set: the end of its key.
    pub fn name(&self) -> &str {
        self.key.rsplit('/').next().unwrap_or_default()
    }
}

//! What operators may choose.

use retouch_domain::Pool;
use retouch_imaging::Limits;
use retouch_ports::DispatchRules;
use retouch_ports::live::Limit;

/// The settings of an API.
#[derive(Debug, Clone)]
pub struct Options {
    /// The most bytes of a JSON body.
    pub body_bytes: usize,
    /// The most bytes of an uploaded file that is no image.
    pub file_bytes: u64,
    /// What an uploaded image may be.
    pub image: Limits,
    /// The pool whose workers do edits.
    pub pool: Pool,
    /// The pools whose workers are listed, beside those that have work.
    pub pools: Vec<Pool>,
    /// The model of edits that name none.
    pub model: Option<String>,
    /// How many jobs may wait before submissions are refused.
    pub most_waiting: u64,
    /// How many requests each key may make; `None`: as many as it likes.
    pub requests: Option<Limit>,
    /// How the window of a pool is filled when something was submitted.
    pub dispatch: DispatchRules,
}

impl Options {
    /// Those of an API whose edits this pool does, with what suits most.
    pub fn new(pool: Pool) -> Self {
        Self {
            body_bytes: 4 << 20,
            file_bytes: 512 << 20,
            image: Limits { bytes: 25 << 20, pixels: 40_000_000, ..Limits::default() },
            pools: vec![pool.clone()],
            pool,
            model: None,
            most_waiting: 5_000_000,
            requests: None,
            dispatch: DispatchRules { tickets_per_slot: 4, least_window: 64, share_of: 10, run: 64 },
        }
    }
}

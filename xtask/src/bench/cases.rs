//! What is measured: the cases, their sizes and their aims.

use std::path::Path;

use serde_json::{Value, json};

/// One line of the results.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Case {
    pub(super) model: ModelSize,
    pub(super) dtype: Dtype,
    /// Side of the square image in pixels.
    pub(super) size: u32,
    pub(super) work: Work,
}

/// Which of the models that the peer makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ModelSize {
    Full,
    Tiny,
}

/// Type of weights and forward passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dtype {
    F32,
    Bf16,
}

/// What both sides do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Work {
    /// A new process loads the model; two steps follow, which count for its memory and not for its time.
    Load,
    /// A new process edits one image from start to file.
    Cold {
        steps: u32,
    },
    /// The prompt through tokenizer and text encoder.
    Text {
        repeat: u32,
    },
    VaeEncode {
        repeat: u32,
    },
    VaeDecode {
        repeat: u32,
    },
    /// Steps of three branches for each of `rows`; all but the first of `steps` are timed.
    Step {
        rows: u32,
        steps: u32,
    },
    /// One edit in a process that has the model.
    Edit {
        steps: u32,
    },
}

/// Largest ratios of our numbers to theirs that are good enough.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Aims {
    pub(super) time: Option<f64>,
    pub(super) memory: Option<f64>,
}

impl ModelSize {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Tiny => "tiny",
        }
    }
}

impl Dtype {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

/// Every case, in the order in which they run: those with processes of their own first, while no other model is loaded.
pub(super) fn all() -> Vec<Case> {
    let of = |model, dtype, size| move |work| Case { model, dtype, size, work };
    let full = of(ModelSize::Full, Dtype::F32, 256);
    let full_bf16 = of(ModelSize::Full, Dtype::Bf16, 256);
    let tiny = of(ModelSize::Tiny, Dtype::F32, 64);
    let tiny_bf16 = of(ModelSize::Tiny, Dtype::Bf16, 64);
    vec![
        full(Work::Cold { steps: 4 }),
        full(Work::Load),
        full_bf16(Work::Load),
        full(Work::Text { repeat: 3 }),
        full(Work::VaeEncode { repeat: 2 }),
        full(Work::VaeDecode { repeat: 2 }),
        full(Work::Step { rows: 1, steps: 4 }),
        full(Work::Step { rows: 2, steps: 3 }),
        full(Work::Step { rows: 4, steps: 2 }),
        of(ModelSize::Full, Dtype::F32, 512)(Work::Step { rows: 1, steps: 2 }),
        full(Work::Edit { steps: 20 }),
        full_bf16(Work::Step { rows: 1, steps: 4 }),
        tiny(Work::Cold { steps: 4 }),
        tiny(Work::Load),
        tiny(Work::Text { repeat: 50 }),
        tiny(Work::VaeEncode { repeat: 50 }),
        tiny(Work::VaeDecode { repeat: 50 }),
        tiny(Work::Step { rows: 1, steps: 51 }),
        tiny(Work::Step { rows: 2, steps: 51 }),
        tiny(Work::Step { rows: 4, steps: 51 }),
        tiny(Work::Edit { steps: 20 }),
        tiny_bf16(Work::Step { rows: 1, steps: 21 }),
    ]
}

impl Case {
    /// `model/work-dtype-size`, with the number of rows where there can be several.
    pub(super) fn name(&self) -> String {
        let (model, dtype, size) = (self.model.name(), self.dtype.name(), self.size);
        match self.work {
            Work::Load => format!("{model}/load-{dtype}"),
            Work::Cold { .. } => format!("{model}/cold-edit-{dtype}-{size}"),
            Work::Text { .. } => format!("{model}/text-{dtype}"),
            Work::VaeEncode { .. } => format!("{model}/vae-encode-{dtype}-{size}"),
            Work::VaeDecode { .. } => format!("{model}/vae-decode-{dtype}-{size}"),
            Work::Step { rows, .. } => format!("{model}/step-{dtype}-{size}x{rows}"),
            Work::Edit { .. } => format!("{model}/edit-{dtype}-{size}"),
        }
    }

    /// What the warm-up runs: the same work, less of it.
    pub(super) fn warm_up(&self) -> Self {
        let work = match self.work {
            Work::Load => Work::Load,
            Work::Cold { .. } => Work::Cold { steps: 1 },
            Work::Text { .. } => Work::Text { repeat: 1 },
            Work::VaeEncode { .. } => Work::VaeEncode { repeat: 1 },
            Work::VaeDecode { .. } => Work::VaeDecode { repeat: 1 },
            Work::Step { rows, .. } => Work::Step { rows, steps: 2 },
            Work::Edit { .. } => Work::Edit { steps: 2 },
        };
        Self { work, ..*self }
    }

    pub(super) fn aims(&self) -> Aims {
        match (self.model, self.work) {
            (ModelSize::Full, Work::Step { .. }) => Aims { time: Some(0.95), memory: None },
            (ModelSize::Tiny, Work::Step { .. }) => Aims { time: Some(0.4), memory: None },
            (ModelSize::Full, Work::Edit { .. }) => Aims { time: Some(0.92), memory: None },
            (ModelSize::Full, Work::Cold { .. }) => Aims { time: Some(0.75), memory: Some(0.8) },
            (ModelSize::Full, Work::Load) => Aims { time: None, memory: Some(0.8) },
            _ => Aims::default(),
        }
    }

    /// Largest max|Δ| / max(1, max|ref|) between results of the same work.
    pub(super) fn tolerance(&self) -> f64 {
        match (self.work, self.dtype) {
            // Three of the 255 levels of a pixel.
            (Work::Cold { .. }, _) => 3.0 / 255.0,
            (_, Dtype::F32) => 1e-3,
            // Their latents are bfloat16 too, ours float32. A branch that is left out makes a difference of 0.13 or more.
            (_, Dtype::Bf16) => 0.1,
        }
    }

    /// The command to a worker that has the model; a cold edit has none.
    pub(super) fn command(&self, image: &Path, out: &Path) -> Option<Value> {
        let size = self.size;
        Some(match self.work {
            Work::Cold { .. } => return None,
            Work::Load => {
                json!({ "op": "step", "image": image, "size": size, "rows": 1, "steps": 2, "out": out })
            }
            Work::Text { repeat } => json!({ "op": "text", "repeat": repeat, "out": out }),
            Work::VaeEncode { repeat } => {
                json!({ "op": "vae_encode", "image": image, "size": size, "repeat": repeat, "out": out })
            }
            Work::VaeDecode { repeat } => {
                json!({ "op": "vae_decode", "size": size, "repeat": repeat, "out": out })
            }
            Work::Step { rows, steps } => {
                json!({ "op": "step", "image": image, "size": size, "rows": rows, "steps": steps, "out": out })
            }
            Work::Edit { steps } => {
                json!({ "op": "edit", "image": image, "size": size, "steps": steps, "out": out })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_a_warm_up_keeps_its_case() {
        let mut names: Vec<String> = all().iter().map(Case::name).collect();
        assert!(all().iter().all(|case| case.warm_up().name() == case.name()));
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}

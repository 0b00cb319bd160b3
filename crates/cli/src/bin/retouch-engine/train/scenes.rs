//! Examples rendered as they are needed.

use std::cell::RefCell;

use retouch_diffusion::training::{Example, Examples, Picture};
use retouch_scenes::{Pair, PairOptions, Renderer, Scene};

/// As many training pairs of scenes as anybody asks for.
pub(crate) struct Scenes {
    /// Side of the images in pixels.
    pub(crate) size: u32,
    /// Seed of the pair of number 0; pairs of other numbers have the seeds after it.
    pub(crate) first_seed: u64,
}

thread_local! {
    /// A renderer's buffers serve one image after the other.
    static RENDERER: RefCell<Renderer> = RefCell::new(Renderer::new());
}

impl Examples for Scenes {
    fn len(&self) -> Option<u64> {
        None
    }

    fn get(&self, index: u64) -> Result<Example, String> {
        RENDERER.with_borrow_mut(|renderer| {
            let seed = self.first_seed.wrapping_add(index);
            let pair =
                Pair::sample_with(seed, &PairOptions::default(), renderer).map_err(|e| e.to_string())?;
            let mut render = |scene: &Scene| {
                let rendered = renderer.render(scene, self.size, self.size).map_err(|e| e.to_string())?;
                Ok::<_, String>(Picture { size: self.size, rgb: rendered.image.into_raw() })
            };
            let (before, after) = (render(&pair.before)?, render(&pair.after)?);
            // Both languages, in turn.
            let (caption_before, caption_after) = match index % 2 {
                0 => (pair.captions.before, pair.captions.after),
                _ => (pair.captions.before_vietnamese, pair.captions.after_vietnamese),
            };
            Ok(Example { before, after, instruction: pair.instruction, caption_before, caption_after })
        })
    }
}

//! Text embeddings and cross-attention keys and values, computed once per distinct prompt.

use std::collections::HashMap;
use std::rc::Rc;

use tch::Tensor;

use super::Model;
use crate::error::Result;
use crate::models::unet::TextKv;

/// Bytes of keys and values that are kept for prompts that no row uses.
const CACHE_BYTES: u64 = 256 << 20;

/// Phrases whose embeddings are kept: the names of things repeat over a bulk of edits.
const MAX_PHRASES: usize = 4096;

/// One encoded prompt.
pub(super) struct Prompt {
    /// Distinguishes prompts within one engine.
    pub(super) id: u64,
    /// `[1, n, d]` float32 on the CPU.
    pub(super) embeds: Tensor,
    /// One row for the UNet.
    pub(super) kv: TextKv,
    /// The part of the text that did not fit.
    pub(super) truncated: Option<String>,
}

/// What distinguishes prompts: the text and the text encoder's skipped layers.
type Key = (String, Option<u32>);

/// The prompts of one engine.
#[derive(Default)]
pub(super) struct PromptCache {
    entries: HashMap<Key, (Rc<Prompt>, u64)>,
    clock: u64,
    /// Pooled embeddings of the spatial layer's phrases.
    phrases: HashMap<String, Tensor>,
    /// The last batch's texts, side by side: most steps have the rows of the step before.
    batch: Option<(Vec<u64>, Rc<TextKv>)>,
}

impl PromptCache {
    /// The encoded form of `text`, which is encoded alone so that no other prompt influences it.
    pub(super) fn get(&mut self, model: &Model, text: &str, clip_skip: Option<u32>) -> Result<Rc<Prompt>> {
        self.clock += 1;
        let key = (text.to_owned(), clip_skip);
        if let Some((prompt, used)) = self.entries.get_mut(&key) {
            *used = self.clock;
            return Ok(prompt.clone());
        }
        let encoded = model.tokenizer().encode(text)?;
        let ids = Tensor::from_slice(&encoded.ids).unsqueeze(0);
        let embeds = model.text_encoder().forward(&ids, clip_skip.map(i64::from))?;
        let prompt = Rc::new(Prompt {
            id: self.clock,
            kv: model.unet().text_kv(&embeds),
            embeds: embeds.to_kind(tch::Kind::Float).to_device(tch::Device::Cpu),
            truncated: encoded.truncated,
        });
        self.evict(prompt.kv.bytes());
        self.entries.insert(key, (prompt.clone(), self.clock));
        Ok(prompt)
    }

    /// The pooled embedding of a phrase, `[1, d]` float32.
    pub(super) fn pooled(&mut self, model: &Model, phrase: &str) -> Result<Tensor> {
        if let Some(known) = self.phrases.get(phrase) {
            return Ok(known.shallow_clone());
        }
        let encoded = model.tokenizer().encode(phrase)?;
        let ids = Tensor::from_slice(&encoded.ids).unsqueeze(0);
        let pooled = model.text_encoder().pooled(&ids)?.to_kind(tch::Kind::Float);
        if self.phrases.len() >= MAX_PHRASES {
            self.phrases.clear();
        }
        self.phrases.insert(phrase.to_owned(), pooled.shallow_clone());
        Ok(pooled)
    }

    /// The texts of a batch, one row for each of `prompts`.
    pub(super) fn batch(&mut self, prompts: &[&Prompt]) -> Rc<TextKv> {
        let key: Vec<u64> = prompts.iter().map(|p| p.id).collect();
        if let Some((last, kv)) = &self.batch
            && *last == key
        {
            return kv.clone();
        }
        let kv = Rc::new(TextKv::gather(&prompts.iter().map(|p| &p.kv).collect::<Vec<_>>()));
        self.batch = Some((key, kv.clone()));
        kv
    }

    /// Makes room for `bytes`: forgets what was used longest ago, among the prompts that no row holds.
    fn evict(&mut self, bytes: u64) {
        let mut total: u64 = bytes + self.entries.values().map(|(p, _)| p.kv.bytes()).sum::<u64>();
        while total > CACHE_BYTES {
            let idle = self.entries.iter().filter(|(_, (prompt, _))| Rc::strong_count(prompt) == 1);
            let Some(key) = idle.min_by_key(|(_, (_, used))| *used).map(|(key, _)| key.clone()) else {
                return;
            };
            if let Some((prompt, _)) = self.entries.remove(&key) {
                total -= prompt.kv.bytes();
            }
        }
    }
}

//! The `config.json` of CLIP's text encoder and of the dual encoder.

use std::path::Path;

use serde_json::{Value, json};

use crate::config::ConfigReader;
use crate::error::Result;
use crate::nn::Activation;

/// Most layers of an encoder; the largest published CLIP has 48.
const MAX_LAYERS: i64 = 256;
/// Largest side of a patch; published models have at most 32.
const MAX_PATCH: i64 = 1024;

/// Fields that change no forward pass: provenance, initial values, training, and the settings of text generation that
/// early versions of the reference wrote into every file, CLIP's too.
const IGNORED: &[&str] = &[
    // Provenance.
    "architectures",
    "dtype",
    "finetuning_task",
    "name_or_path",
    "tokenizer_class",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "use_bfloat16",
    // Initial values and training.
    "attention_dropout",
    "dropout",
    "gradient_checkpointing",
    "initializer_factor",
    "initializer_range",
    "logit_scale_init_value",
    "problem_type",
    "tf_legacy_loss",
    // Labels of classifiers.
    "id2label",
    "label2id",
    "num_labels",
    // What a call returns, and parts that CLIP does not have.
    "add_cross_attention",
    "chunk_size_feed_forward",
    "cross_attention_hidden_size",
    "is_decoder",
    "is_encoder_decoder",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "return_dict",
    "return_dict_in_generate",
    "tie_encoder_decoder",
    "tie_word_embeddings",
    "use_cache",
    // Token ids that the tokenizer decides on.
    "bos_token_id",
    "decoder_start_token_id",
    "pad_token_id",
    "prefix",
    "sep_token_id",
    // Text generation.
    "bad_words_ids",
    "begin_suppress_tokens",
    "diversity_penalty",
    "do_sample",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "length_penalty",
    "max_length",
    "min_length",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "remove_invalid_values",
    "repetition_penalty",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "top_k",
    "top_p",
    "typical_p",
];

/// Fields that the text and the vision encoder have in common.
#[derive(Debug, Clone)]
pub(super) struct EncoderConfig {
    pub(super) hidden_size: i64,
    pub(super) intermediate_size: i64,
    pub(super) num_hidden_layers: i64,
    pub(super) num_attention_heads: i64,
    pub(super) layer_norm_eps: f64,
    pub(super) hidden_act: Activation,
}

impl EncoderConfig {
    fn read(r: &mut ConfigReader, width: i64, ffn: i64, heads: i64) -> Result<Self> {
        let config = Self {
            hidden_size: r.size("hidden_size", width)?,
            intermediate_size: r.size("intermediate_size", ffn)?,
            num_hidden_layers: r.size("num_hidden_layers", 12)?,
            num_attention_heads: r.size("num_attention_heads", heads)?,
            layer_norm_eps: r.epsilon("layer_norm_eps", 1e-5)?,
            hidden_act: r.choice("hidden_act", "quick_gelu", &Activation::CLIP)?,
        };
        if config.hidden_size % config.num_attention_heads != 0 {
            let expected = format!("a multiple of num_attention_heads = {}", config.num_attention_heads);
            return Err(r.refuse("hidden_size", &json!(config.hidden_size), expected));
        }
        if config.num_hidden_layers > MAX_LAYERS {
            let expected = format!("at most {MAX_LAYERS}");
            return Err(r.refuse("num_hidden_layers", &json!(config.num_hidden_layers), expected));
        }
        // Heads that were pruned away would change the shapes; a mask over padding would change the result.
        r.only("pruned_heads", &[json!({})])?;
        r.only("use_attention_mask", &[json!(false)])?;
        Ok(config)
    }
}

/// Fields of `text_encoder/config.json` (`CLIPTextConfig`), named as there.
#[derive(Debug, Clone)]
pub struct ClipTextConfig {
    /// Number of token ids.
    pub vocab_size: i64,
    /// Longest sequence.
    pub max_position_embeddings: i64,
    /// Width of the embeddings that come out.
    pub hidden_size: i64,
    /// Transformer layers.
    pub num_hidden_layers: i64,
    /// Width of the projected, pooled output, where there is a projection.
    pub projection_dim: i64,
    /// The token whose position is pooled; 2 stands for "the highest id" as old files have it wrong.
    pub eos_token_id: i64,
    pub(super) encoder: EncoderConfig,
}

impl ClipTextConfig {
    /// Reads the file; an unsupported value or an unknown field is an error that names it.
    pub fn from_file(path: &Path) -> Result<Self> {
        Self::read(ConfigReader::open(path)?)
    }

    fn read(mut r: ConfigReader) -> Result<Self> {
        r.only("model_type", &[json!("clip_text_model")])?;
        let encoder = EncoderConfig::read(&mut r, 512, 2048, 8)?;
        let eos = r.take("eos_token_id").unwrap_or(json!(49407));
        let Some(eos_token_id) = eos.as_u64().filter(|&id| id <= u64::from(u32::MAX)) else {
            return Err(r.refuse("eos_token_id", &eos, "a token id"));
        };
        let config = Self {
            vocab_size: r.size("vocab_size", 49408)?,
            max_position_embeddings: r.size("max_position_embeddings", 77)?,
            hidden_size: encoder.hidden_size,
            num_hidden_layers: encoder.num_hidden_layers,
            projection_dim: r.size("projection_dim", 512)?,
            eos_token_id: eos_token_id as i64,
            encoder,
        };
        r.ignore(IGNORED);
        r.finish()?;
        Ok(config)
    }
}

/// Fields of `vision_config` (`CLIPVisionConfig`), named as there.
#[derive(Debug, Clone)]
pub struct ClipVisionConfig {
    /// Channels of the image.
    pub num_channels: i64,
    /// Height and width of the image.
    pub image_size: i64,
    /// Height and width of a patch.
    pub patch_size: i64,
    /// Width of the transformer.
    pub hidden_size: i64,
    pub(super) encoder: EncoderConfig,
}

impl ClipVisionConfig {
    fn read(mut r: ConfigReader) -> Result<Self> {
        r.only("model_type", &[json!("clip_vision_model")])?;
        let encoder = EncoderConfig::read(&mut r, 768, 3072, 12)?;
        let config = Self {
            num_channels: r.size("num_channels", 3)?,
            image_size: r.size("image_size", 224)?,
            patch_size: r.size("patch_size", 32)?,
            hidden_size: encoder.hidden_size,
            encoder,
        };
        let largest = config.image_size.min(MAX_PATCH);
        if config.patch_size > largest {
            let expected = format!("at most {largest}, by image_size = {}", config.image_size);
            return Err(r.refuse("patch_size", &json!(config.patch_size), expected));
        }
        r.ignore(IGNORED);
        // Of the vision encoder with a projection of its own; here the file's top level decides.
        r.ignore(&["projection_dim"]);
        r.finish()?;
        Ok(config)
    }

    /// Patches along one side of the image.
    pub fn grid(&self) -> i64 {
        self.image_size / self.patch_size
    }
}

/// The `config.json` of the dual encoder (`CLIPConfig`).
#[derive(Debug, Clone)]
pub struct ClipConfig {
    /// Width of the space that images and texts share.
    pub projection_dim: i64,
    /// The text encoder.
    pub text: ClipTextConfig,
    /// The image encoder.
    pub vision: ClipVisionConfig,
}

impl ClipConfig {
    /// Reads the file; an unsupported value or an unknown field is an error that names it.
    pub fn from_file(path: &Path) -> Result<Self> {
        let mut r = ConfigReader::open(path)?;
        r.only("model_type", &[Value::from("clip")])?;
        let text = part(&mut r, "text_config")?;
        let vision = part(&mut r, "vision_config")?;
        let config = Self {
            projection_dim: r.size("projection_dim", 512)?,
            text: ClipTextConfig::read(text)?,
            vision: ClipVisionConfig::read(vision)?,
        };
        r.ignore(IGNORED);
        r.finish()?;
        Ok(config)
    }
}

/// The object `field`. Early files have a `{field}_dict` too: it then decides alone, defaults included, as in the
/// reference.
fn part(r: &mut ConfigReader, field: &str) -> Result<ConfigReader> {
    let legacy = format!("{field}_dict");
    if r.has(&legacy) {
        r.ignore(&[field]);
        return r.nested(&legacy);
    }
    r.nested(field)
}

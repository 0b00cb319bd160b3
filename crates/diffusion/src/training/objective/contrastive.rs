//! CLIP's loss: every image must find its own caption among all of the batch, and every caption its image.
//!
//! Source: Radford et al. 2021, arXiv 2103.00020, figure 3. Hard negatives are a matter of the batch: a scene and its
//! edited self, with captions that differ in one word, stand in the same one.

use tch::{Kind, Tensor};

use crate::error::Result;
use crate::models::clip::{ClipModel, normalize};
use crate::training::run::Losses;

/// The loss of `pixels [b, 3, s, s]`, preprocessed, and their captions `ids [b, n]`. `same [b, b]` is true where another
/// row's caption fits an image as well as its own: such pairs are no negatives.
pub fn contrastive(clip: &ClipModel, pixels: &Tensor, ids: &Tensor, same: &Tensor) -> Result<Losses> {
    let images = normalize(&clip.image_features(pixels)?);
    let texts = normalize(&clip.text_features(ids)?);
    let rows = images.size()[0];
    // As in the paper, the factor stays below 100. In the graph a clamp would hold it there for ever.
    tch::no_grad(|| drop(clip.log_scale().shallow_clone().clamp_max_(100f64.ln())));
    let scale = clip.log_scale().exp();
    let own = Tensor::eye(rows, (Kind::Bool, images.device()));
    let others = same.to_device(images.device()).logical_and(&own.logical_not());
    let logits = (images.matmul(&texts.transpose(0, 1)) * scale).masked_fill(&others, f64::NEG_INFINITY);
    let targets = Tensor::arange(rows, (Kind::Int64, images.device()));
    let image_loss = logits.cross_entropy_for_logits(&targets);
    let text_loss = logits.transpose(0, 1).cross_entropy_for_logits(&targets);
    let hits = logits.argmax(1, false).eq_tensor(&targets).to_kind(Kind::Float).mean(Kind::Float);
    Ok(Losses { total: (image_loss + text_loss) / 2.0, parts: vec![("accuracy", hits)] })
}

"""Goldens of training: three optimizer steps of PyTorch on the fixture's networks, for each kind of loss."""

import argparse
import json
import pathlib

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

from fixture import fill, noise

torch.set_num_threads(1)
HERE = pathlib.Path(__file__).parent
STEPS = 3
TEXT_PREFIX = "" if hasattr(CLIPTextModel(CLIPTextConfig(num_hidden_layers=1)), "text_model") else "text_model."


def network(cls, part: str, prefix: str = ""):
    """The fixture's network `part` of the golden model ip2p, in training."""
    config = json.loads((HERE / "ip2p" / part / "config.json").read_text())
    made = cls(CLIPTextConfig(**config)) if cls is CLIPTextModel else cls.from_config(config)
    return fill(made, prefix).train()


def optimizer(named: list) -> torch.optim.AdamW:
    """Matrices and kernels decay; scales, biases and embeddings do not.

    A bias before a norm, or of attention's keys, has a gradient of zero but for rounding, which Adam would make a step of
    full size: an epsilon above that rounding keeps the comparison about the rest.
    """
    decays = lambda name, p: p.dim() > 1 and not name.endswith("_embedding.weight")
    groups = [
        {"params": [p for name, p in named if decays(name, p)], "weight_decay": 0.01},
        {"params": [p for name, p in named if not decays(name, p)], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), eps=1e-5)


def train(networks: dict, loss, keep: list) -> dict:
    """Losses, gradient norms before clipping to 1, and the tensors `keep` after the last step."""
    named = [(f"{part}.{name}", p) for part, n in networks.items() for name, p in n.named_parameters()]
    adamw = optimizer(named)
    losses, norms = [], []
    for step in range(STEPS):
        adamw.zero_grad()
        value = loss(step)
        value.backward()
        norms.append(torch.nn.utils.clip_grad_norm_([p for _, p in named], 1.0))
        adamw.step()
        losses.append(value.detach())
    after = {name: p.detach().clone() for name, p in named if name in keep}
    assert len(after) == len(keep), sorted(set(keep) - set(after))
    return {"losses": torch.stack(losses), "norms": torch.stack(norms), **after}


def denoiser(prediction: str) -> dict:
    unet = network(UNet2DConditionModel, "unet")
    text = network(CLIPTextModel, "text_encoder", TEXT_PREFIX)
    table = DDPMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type=prediction)
    ids = torch.tensor([[0, 17, 400, 2, 1, 1], [0, 2, 1, 1, 1, 1]])
    timesteps = torch.tensor([20, 700])
    latents, image = noise("latents", 2, 4, 16, 24), noise("image_latents", 2, 4, 16, 24)
    image[1] = 0

    def loss(step: int) -> torch.Tensor:
        drawn = noise(f"noise{step}", 2, 4, 16, 24)
        noised = table.add_noise(latents, drawn, timesteps)
        target = drawn if prediction == "epsilon" else table.get_velocity(latents, drawn, timesteps)
        predicted = unet(torch.cat([noised, image], 1), timesteps, text(ids).last_hidden_state).sample
        snr = table.alphas_cumprod[timesteps] / (1 - table.alphas_cumprod[timesteps])
        weight = snr.clamp(max=5.0) / (snr if prediction == "epsilon" else snr + 1)
        return ((predicted - target).square().mean([1, 2, 3]) * weight).mean()

    return train({"unet": unet, "text_encoder": text}, loss, [
        "unet.conv_in.weight",
        "unet.conv_out.bias",
        "unet.time_embedding.linear_1.weight",
        "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_k.weight",
        "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_v.weight",
        "unet.up_blocks.0.attentions.2.norm.weight",
        "unet.up_blocks.1.resnets.0.conv_shortcut.weight",
        f"text_encoder.{'' if TEXT_PREFIX else 'text_model.'}embeddings.token_embedding.weight",
        f"text_encoder.{'' if TEXT_PREFIX else 'text_model.'}encoder.layers.4.self_attn.q_proj.bias",
    ])


def autoencoder() -> dict:
    vae = network(AutoencoderKL, "vae")
    images = noise("images", 2, 3, 32, 48).clamp(-1, 1)

    def loss(step: int) -> torch.Tensor:
        posterior = vae.encode(images).latent_dist
        decoded = vae.decode(posterior.mean + posterior.std * noise(f"noise{step}", *posterior.mean.shape)).sample
        slopes = lambda x: [x.diff(dim=2), x.diff(dim=3)]
        edges = sum((a - b).abs().mean() for a, b in zip(slopes(decoded), slopes(images)))
        divergence = 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).sum() / images.numel()
        return (decoded - images).abs().mean() + 0.5 * edges + 1e-3 * divergence

    return train({"vae": vae}, loss, [
        "vae.encoder.conv_in.weight",
        "vae.encoder.mid_block.attentions.0.to_q.weight",
        "vae.quant_conv.weight",
        "vae.decoder.up_blocks.0.upsamplers.0.conv.weight",
        "vae.decoder.conv_norm_out.weight",
    ])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    cases = {"epsilon": denoiser("epsilon"), "velocity": denoiser("v_prediction"), "autoencoder": autoencoder()}
    tensors = {}
    for case, made in cases.items():
        for name, tensor in made.items():
            # By the names of published checkpoints.
            name = name.replace("text_encoder.", "text_encoder.text_model.") if TEXT_PREFIX else name
            tensors[f"{case}.{name}"] = tensor.contiguous()
    save_file(tensors, arguments.out / "training.safetensors")

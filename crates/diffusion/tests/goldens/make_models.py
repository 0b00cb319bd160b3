"""Goldens of the networks alone: UNet and VAE forward passes of diffusers on fixture weights."""

import argparse
import pathlib

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor2_0
from safetensors.torch import save_file

from fixture import describe, fill, noise

torch.set_num_threads(1)
torch.set_grad_enabled(False)

TWO_LEVELS = dict(
    sample_size=32,
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
    up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    cross_attention_dim=32,
)

# name: (configuration, rows, height, width, text tokens)
UNETS = {
    "unet_ip2p": (dict(TWO_LEVELS, block_out_channels=(32, 64), layers_per_block=2, in_channels=8), 3, 32, 32, 77),
    "unet_sd1": (
        dict(TWO_LEVELS, block_out_channels=(4, 8), layers_per_block=1, norm_num_groups=2, cross_attention_dim=8,
             attention_head_dim=2, sample_size=16), 2, 16, 24, 7),
    "unet_sd2": (
        dict(TWO_LEVELS, block_out_channels=(32, 64), layers_per_block=2, attention_head_dim=(2, 4),
             use_linear_projection=True, upcast_attention=True), 2, 32, 24, 13),
    # Odd latent sizes, three levels, lists where a number is usual, unusual embeddings and padding.
    "unet_odd": (
        dict(sample_size=(18, 22), down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
             up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"), block_out_channels=(10, 20, 20),
             layers_per_block=(1, 2, 1), norm_num_groups=5, attention_head_dim=(1, 2, 4), cross_attention_dim=12,
             transformer_layers_per_block=(2, 1, 1), flip_sin_to_cos=False, freq_shift=1, downsample_padding=0,
             act_fn="gelu", conv_in_kernel=5, conv_out_kernel=1, center_input_sample=True, norm_eps=1e-4,
             time_embedding_dim=24, out_channels=3), 2, 18, 22, 5),
    "unet_four_levels": (
        dict(sample_size=32, block_out_channels=(8, 16, 24, 24), layers_per_block=2, norm_num_groups=4,
             attention_head_dim=4, cross_attention_dim=16, act_fn="mish",
             down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
             up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3), 1, 40, 32, 77),
}

VAES = {
    "vae_ip2p": (
        dict(block_out_channels=(32, 64), in_channels=3, out_channels=3, latent_channels=4,
             down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2), 1, 32, 32),
    "vae_small": (
        dict(block_out_channels=(2, 4, 4), norm_num_groups=2, layers_per_block=2, in_channels=3, out_channels=3,
             latent_channels=3, sample_size=32, scaling_factor=0.5, down_block_types=("DownEncoderBlock2D",) * 3,
             up_block_types=("UpDecoderBlock2D",) * 3), 2, 32, 48),
    "vae_bare": (
        dict(block_out_channels=(4, 4), norm_num_groups=2, latent_channels=4, sample_size=16, act_fn="relu",
             use_quant_conv=False, use_post_quant_conv=False, mid_block_add_attention=False, force_upcast=False,
             down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2), 1, 16, 16),
}


class CopyPattern(AttnProcessor2_0):
    """Self-attention with the queries and keys of other rows of the batch: `source[i]` lends row i its pattern."""

    def __init__(self, source: list):
        super().__init__()
        self.source = source

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, **kwargs):
        if encoder_hidden_states is not None:
            return super().__call__(attn, hidden_states, encoder_hidden_states, **kwargs)
        heads = lambda x: x.unflatten(2, (attn.heads, -1)).transpose(1, 2)
        q, k = (heads(layer(hidden_states))[self.source] for layer in (attn.to_q, attn.to_k))
        out = torch.softmax(q @ k.transpose(-1, -2) * attn.scale, dim=-1) @ heads(attn.to_v(hidden_states))
        return attn.to_out[0](out.transpose(1, 2).flatten(2))


def unets(out: pathlib.Path) -> None:
    for name, (config, rows, height, width, tokens) in UNETS.items():
        unet = fill(UNet2DConditionModel(**config))
        describe(unet, out / name)
        sample = noise("sample", rows, unet.config.in_channels, height, width)
        text = noise("text", rows, tokens, unet.config.cross_attention_dim)
        timesteps = torch.tensor([981.0, 1.0, 500.25][:rows])
        tensors = {"timesteps": timesteps, "result": unet(sample, timesteps, text).sample}
        if name == "unet_ip2p":
            unet.set_attn_processor(CopyPattern([0, 0, 2]))
            tensors["copied"] = unet(sample, timesteps, text).sample
        save_file(tensors, out / f"{name}.safetensors")


def vaes(out: pathlib.Path) -> None:
    for name, (config, rows, height, width) in VAES.items():
        vae = fill(AutoencoderKL(**config))
        describe(vae, out / name)
        image = noise("image", rows, 3, height, width).clamp(-1, 1)
        posterior = vae.encode(image).latent_dist
        latents = noise("latents", *posterior.mean.shape)
        tensors = {
            "mean": posterior.mean,
            "logvar": posterior.logvar,
            "sample": posterior.mean + posterior.std * latents,
            "decoded": vae.decode(latents).sample,
        }
        if name == "vae_small":
            vae.enable_tiling()
            wide = noise("wide", 1, 3, 56, 72).clamp(-1, 1)
            tensors["tiled_mean"] = vae.encode(wide).latent_dist.mean
            tensors["tiled_decoded"] = vae.decode(noise("wide_latents", 1, 3, 14, 18)).sample
        save_file({k: v.contiguous() for k, v in tensors.items()}, out / f"{name}.safetensors")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    unets(arguments.out)
    vaes(arguments.out)

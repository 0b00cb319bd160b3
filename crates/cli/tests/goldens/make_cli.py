"""Goldens of `retouch engine edit`: what diffusers makes of a real file of an odd size, on the engine's fixture weights."""

import argparse
import pathlib
import sys
import tempfile

import numpy as np
import torch
from diffusers import StableDiffusionInstructPix2PixPipeline
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPTokenizer

ENGINE = pathlib.Path(__file__).parents[3] / "diffusion/tests/goldens"
sys.path.insert(0, str(ENGINE))

from make_pipelines import PROMPT, parts, scheduler  # noqa: E402

STEPS = 6
SEED = 7


def photo() -> Image.Image:
    """Gradients under a disc: smooth areas and an edge, 67x45."""
    y, x = np.mgrid[0:45, 0:67]
    rgb = np.stack([3 * x + 20, 5 * y + 10, 255 - 2 * x - y], axis=-1)
    rgb[(x - 40) ** 2 + (y - 20) ** 2 < 150] = (220, 40, 90)
    return Image.fromarray(rgb.astype(np.uint8))


def main(out: pathlib.Path) -> None:
    photo().save(out / "photo.png")
    image = Image.open(out / "photo.png")
    tokenizer = CLIPTokenizer.from_pretrained(ENGINE / "tokenizer_sd1")
    with tempfile.TemporaryDirectory() as scratch:
        networks = parts(pathlib.Path(scratch), "ip2p", "quick_gelu", len(tokenizer))
        sampler = scheduler(pathlib.Path(scratch), "euler-a")
    pipe = StableDiffusionInstructPix2PixPipeline(
        **networks, tokenizer=tokenizer, scheduler=sampler, safety_checker=None, feature_extractor=None,
        requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)

    def edit(kind: str):
        return pipe(
            prompt=PROMPT, image=image, num_inference_steps=STEPS, guidance_scale=7.5, image_guidance_scale=1.5,
            generator=torch.Generator().manual_seed(SEED), output_type=kind).images

    latents = edit("latent")
    input_latents = pipe.vae.encode(pipe.image_processor.preprocess(image)).latent_dist.mode()
    save_file({
        "text_embeds": pipe._encode_prompt(PROMPT, torch.device("cpu"), 1, False),
        "image_latents": input_latents.contiguous(),
        "latents": latents,
        "image": edit("pt"),
    }, out / "edit.safetensors")
    edit("pil")[0].save(out / "edit.png")

    # The draws behind SEED in diffusers' order: the initial latents, then one tensor for each ancestral step.
    generator = torch.Generator().manual_seed(SEED)
    draw = lambda: torch.randn(latents.shape, generator=generator)
    save_file({"latents": draw(), "steps": torch.stack([draw() for _ in range(STEPS)])}, out / "noise.safetensors")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, required=True)
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    main(parser.parse_args().out)

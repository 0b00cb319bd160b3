"""Goldens of whole pipelines: diffusers' InstructPix2Pix and text-to-image loops on fixture weights, seeds and all."""

import argparse
import json
import pathlib

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionInstructPix2PixPipeline,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from fixture import describe, fill, noise

torch.set_num_threads(1)
torch.set_grad_enabled(False)
HERE = pathlib.Path(__file__).parent
BETAS = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
SAMPLERS = {
    "ddim": (DDIMScheduler, dict(clip_sample=False, set_alpha_to_one=False, steps_offset=1)),
    "pndm": (PNDMScheduler, dict(skip_prk_steps=True, steps_offset=1)),
    "euler": (EulerDiscreteScheduler, dict(steps_offset=1, timestep_spacing="leading")),
    "euler-a": (EulerAncestralDiscreteScheduler, {}),
    "dpmpp-2m": (DPMSolverMultistepScheduler, dict(algorithm_type="dpmsolver++", solver_order=2)),
    "dpmpp-2m-karras": (DPMSolverMultistepScheduler, dict(algorithm_type="dpmsolver++", use_karras_sigmas=True)),
}
# transformers 5 has dropped this level from its modules, though not from its checkpoints; diffusers' `clip_skip` still
# reaches through it.
TEXT_PREFIX = "" if hasattr(CLIPTextModel(CLIPTextConfig(num_hidden_layers=1)), "text_model") else "text_model."
if TEXT_PREFIX:
    CLIPTextModel.text_model = property(lambda self: self)
PROMPT = "make the tie blue"
NEGATIVE = "blurry"


def unet(**overrides) -> UNet2DConditionModel:
    config = dict(
        block_out_channels=(32, 64), layers_per_block=2, sample_size=32, in_channels=8, cross_attention_dim=32,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"))
    return fill(UNet2DConditionModel(**{**config, **overrides}))


def parts(out: pathlib.Path, name: str, hidden_act: str, vocabulary: int, **overrides) -> dict:
    """The networks of the pipeline `name`, described below `out`."""
    text = CLIPTextConfig(
        bos_token_id=0, eos_token_id=2, pad_token_id=1, hidden_size=32, intermediate_size=37, num_attention_heads=4,
        num_hidden_layers=5, vocab_size=vocabulary, hidden_act=hidden_act, max_position_embeddings=77)
    networks = {
        "unet": unet(**overrides),
        "vae": fill(AutoencoderKL(
            block_out_channels=(32, 64), in_channels=3, out_channels=3, latent_channels=4,
            down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2)),
        "text_encoder": fill(CLIPTextModel(text), TEXT_PREFIX),
    }
    for part, network in networks.items():
        describe(network, out / name / part, TEXT_PREFIX if part == "text_encoder" else "")
    return networks


def scheduler(out: pathlib.Path, name: str, **overrides):
    cls, config = SAMPLERS[name]
    made = cls(**BETAS, **{**config, **overrides})
    suffix = "".join(f"-{v}" for v in overrides.values())
    (out / "schedulers").mkdir(parents=True, exist_ok=True)
    (out / "schedulers" / f"{name}{suffix}.json").write_text(made.to_json_string())
    return made


def edits(out: pathlib.Path, tokenizer: CLIPTokenizer) -> None:
    networks = parts(out, "ip2p", "quick_gelu", len(tokenizer))
    image = noise("image", 1, 3, 32, 48).clamp(-1, 1)
    tensors = {}

    def run(name: str, sampler, **arguments):
        pipe = StableDiffusionInstructPix2PixPipeline(
            **networks, tokenizer=tokenizer, scheduler=sampler, safety_checker=None, feature_extractor=None,
            requires_safety_checker=False)
        pipe.set_progress_bar_config(disable=True)
        settings = dict(num_inference_steps=20, guidance_scale=7.5, image_guidance_scale=1.5, negative_prompt="")
        settings.update(arguments)
        call = lambda kind: pipe(
            prompt=PROMPT, image=image / 2 + 0.5, generator=torch.Generator().manual_seed(7), output_type=kind,
            **settings).images
        tensors[f"{name}.latents"] = call("latent")
        if name in ("ddim", "euler-a"):
            tensors[f"{name}.image"] = call("pt")

    for name in SAMPLERS:
        run(name, scheduler(out, name))
    run("v", scheduler(out, "ddim", prediction_type="v_prediction"))
    run("off", SAMPLERS["ddim"][0](**BETAS, **SAMPLERS["ddim"][1]), guidance_scale=1.0)
    run("no-image", SAMPLERS["ddim"][0](**BETAS, **SAMPLERS["ddim"][1]), image_guidance_scale=1.0)
    run("equal", SAMPLERS["ddim"][0](**BETAS, **SAMPLERS["ddim"][1]), guidance_scale=1.5)
    run("negative", SAMPLERS["ddim"][0](**BETAS, **SAMPLERS["ddim"][1]), negative_prompt=NEGATIVE)
    save_file({k: v.contiguous() for k, v in tensors.items()}, out / "ip2p.safetensors")


def generations(out: pathlib.Path, tokenizer: CLIPTokenizer) -> None:
    tensors = {}
    for name, act, sampler, overrides in [
        ("sd1", "quick_gelu", scheduler(out, "pndm"), dict(in_channels=4)),
        ("sd2", "gelu", scheduler(out, "euler", prediction_type="v_prediction"),
         dict(in_channels=4, attention_head_dim=(2, 4), use_linear_projection=True)),
    ]:
        networks = parts(out, name, act, len(tokenizer), **overrides)
        pipe = StableDiffusionPipeline(
            **networks, tokenizer=tokenizer, scheduler=sampler, safety_checker=None, feature_extractor=None,
            requires_safety_checker=False)
        pipe.set_progress_bar_config(disable=True)
        for case, arguments in [("", {}), (".clip_skip", dict(clip_skip=1)), (".off", dict(guidance_scale=1.0))]:
            settings = dict(guidance_scale=7.5, negative_prompt=NEGATIVE)
            settings.update(arguments)
            tensors[f"{name}{case}"] = pipe(
                prompt=PROMPT, height=32, width=48, num_inference_steps=20,
                generator=torch.Generator().manual_seed(7), output_type="latent", **settings).images
    save_file({k: v.contiguous() for k, v in tensors.items()}, out / "generate.safetensors")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    vocabulary = CLIPTokenizer.from_pretrained(HERE / "tokenizer_sd1")
    edits(arguments.out, vocabulary)
    generations(arguments.out, vocabulary)

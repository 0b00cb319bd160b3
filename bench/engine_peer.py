"""The diffusers side of `cargo xtask bench engine`; `crates/diffusion/examples/bench_engine.rs` is the other side.

    make    makes the models of the benchmark where they are missing, and prints where they lie
    worker  answers one JSON command a line on standard input with one JSON line on standard output
    cold    edits one image from process start to file, as a script of a user would
"""

import argparse
import gc
import itertools
import json
import os
import pathlib
import shutil
import sys
import time

# Raised whenever a model or an input is made in another way: what an older version left is not used then.
RECIPE = 1
PROMPT = "make the tie blue"
SEED = 7
GUIDANCE = dict(guidance_scale=7.5, image_guidance_scale=1.5, negative_prompt="")
SIZES = (64, 256, 512)

# The shape of Stable Diffusion 1.5 with the eight input channels of InstructPix2Pix, and the smallest of its kind.
MODELS = {
    "full": dict(
        unet=dict(in_channels=8, cross_attention_dim=768, sample_size=32),
        vae=dict(
            block_out_channels=(128, 256, 512, 512), layers_per_block=2, sample_size=256,
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4),
        text=dict(
            hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, vocab_size=49408)),
    "tiny": dict(
        unet=dict(
            in_channels=8, cross_attention_dim=32, sample_size=32, block_out_channels=(32, 64), layers_per_block=2,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D")),
        vae=dict(
            block_out_channels=(32, 64), sample_size=64,
            down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2),
        text=dict(
            hidden_size=32, intermediate_size=37, num_hidden_layers=5, num_attention_heads=4, vocab_size=1000)),
}


def quiet():
    """Imports diffusers with nothing on standard output or standard error but errors."""
    import diffusers
    import transformers

    diffusers.logging.set_verbosity_error()
    diffusers.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return diffusers


# --- make ---


def build_once(folder: pathlib.Path, build) -> str:
    """Calls `build` for a folder that is not there; one that is there is whole."""
    if not folder.is_dir():
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        build(partial)
        partial.rename(folder)
    return str(folder)


def fill(network, seed: int):
    """Random weights under which activations neither vanish nor blow up: a result depends on every layer."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in network.named_parameters():
            tensor.uniform_(-1, 1, generator=generator)
            if tensor.dim() > 1:
                tensor.mul_((3 / tensor[0].numel()) ** 0.5)
            else:
                tensor.mul_(0.1).add_(1 if name.endswith("weight") else 0)
    return network.eval()


def make_model(name: str, tokenizer: pathlib.Path, folder: pathlib.Path) -> None:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    diffusers = quiet()
    print(f"making the {name} model in {folder}", file=sys.stderr)
    shapes = MODELS[name]
    scheduler = diffusers.DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False,
        steps_offset=1)
    diffusers.StableDiffusionInstructPix2PixPipeline(
        unet=fill(diffusers.UNet2DConditionModel(**shapes["unet"]), 1),
        vae=fill(diffusers.AutoencoderKL(latent_channels=4, scaling_factor=0.18215, **shapes["vae"]), 2),
        text_encoder=fill(CLIPTextModel(CLIPTextConfig(**shapes["text"])), 3),
        tokenizer=CLIPTokenizer.from_pretrained(tokenizer), scheduler=scheduler, safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    ).save_pretrained(folder)


def make_images(folder: pathlib.Path) -> None:
    """Smooth random pictures: `SIZE.png`, and the same as planar float32 in -1..1 in `SIZE.f32`."""
    import numpy as np
    from PIL import Image

    for size in SIZES:
        coarse = np.random.default_rng(SEED).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
        image.save(folder / f"{size}.png")
        (np.asarray(image, np.float32).transpose(2, 0, 1) / 127.5 - 1).tofile(folder / f"{size}.f32")


def make(args) -> None:
    made = {
        name: build_once(args.dir / f"{name}-{RECIPE}", lambda folder: make_model(name, args.tokenizer, folder))
        for name in args.models
    }
    made["images"] = build_once(args.dir / f"images-{RECIPE}", make_images)
    print(json.dumps(made))


# --- worker ---


class Worker:
    """Holds at most one pipeline and times calls into it."""

    def __init__(self, device: str):
        self.device = device
        self.pipe = None

    def now(self) -> float:
        import torch

        if self.device != "cpu":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def timed(self, repeat: int, call):
        """Seconds of each of `repeat` calls, and the last one's result."""
        seconds = []
        for _ in range(repeat):
            start = self.now()
            result = call()
            seconds.append(self.now() - start)
        return seconds, result

    def load(self, model: str, dtype: str):
        self.release()
        seconds, self.pipe = self.timed(1, lambda: load(model, dtype, self.device))
        return seconds, None

    def release(self):
        self.pipe = None
        gc.collect()
        return [], None

    def text(self, repeat: int):
        def encode():
            ids = self.pipe.tokenizer(
                PROMPT, padding="max_length", max_length=self.pipe.tokenizer.model_max_length, truncation=True,
                return_tensors="pt").input_ids
            return self.pipe.text_encoder(ids.to(self.device))[0]

        return self.timed(repeat, encode)

    def vae_encode(self, image: str, size: int, repeat: int):
        image = self.image(image, size).to(self.pipe.vae.dtype)
        return self.timed(repeat, lambda: self.pipe.vae.encode(image.to(self.device)).latent_dist.mode())

    def vae_decode(self, size: int, repeat: int):
        latents = self.noise(size, 1)
        return self.timed(
            repeat, lambda: self.pipe.vae.decode(latents.to(self.device), return_dict=False)[0].float().cpu())

    def step(self, image: str, size: int, rows: int, steps: int):
        """The pipeline's own loop, between the ends of its steps; the first step is not timed."""
        marks = []

        def mark(pipe, index, timestep, tensors):
            marks.append(self.now())
            return {}

        image = self.image(image, size).expand(rows, -1, -1, -1) / 2 + 0.5
        latents = self.pipe(
            prompt=[PROMPT] * rows, image=image, latents=self.noise(size, rows), num_inference_steps=steps,
            output_type="latent", callback_on_step_end=mark,
            **{**GUIDANCE, "negative_prompt": [GUIDANCE["negative_prompt"]] * rows}).images
        return [end - start for start, end in itertools.pairwise(marks)], latents

    def edit(self, image: str, size: int, steps: int):
        image = self.image(image, size) / 2 + 0.5
        noise = self.noise(size, 1)
        return self.timed(1, lambda: self.pipe(
            prompt=PROMPT, image=image, latents=noise, num_inference_steps=steps, output_type="pt",
            **GUIDANCE).images.float().cpu())

    def image(self, path: str, size: int):
        import numpy as np
        import torch

        return torch.from_numpy(np.fromfile(path, np.float32)).view(1, 3, size, size)

    def noise(self, size: int, rows: int):
        """Row i is what seed SEED + i draws, in float32 whatever the type of the weights."""
        import torch

        side = size // self.pipe.vae_scale_factor
        draw = lambda row: torch.randn(1, 4, side, side, generator=torch.Generator().manual_seed(SEED + row))
        return torch.cat([draw(row) for row in range(rows)]).to(self.pipe.unet.dtype)


def load(model: str, dtype: str, device: str):
    import torch

    pipe = quiet().StableDiffusionInstructPix2PixPipeline.from_pretrained(
        model, dtype={"f32": torch.float32, "bf16": torch.bfloat16}[dtype], local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device)


def worker(args) -> None:
    import torch

    # Whatever a library prints must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    torch.set_num_threads(args.threads)
    torch.set_grad_enabled(False)
    diffusers = quiet()
    # diffusers imports its parts on first use, which is no part of loading a model.
    diffusers.StableDiffusionInstructPix2PixPipeline  # noqa: B018
    libraries = {"torch": torch.__version__, "diffusers": diffusers.__version__}
    print(json.dumps({"libraries": libraries, "threads": torch.get_num_threads()}), file=answers)
    state = Worker(args.device)
    for line in sys.stdin:
        command = json.loads(line)
        operation, out = command.pop("op"), command.pop("out", None)
        seconds, result = getattr(state, operation)(**command)
        if out is not None:
            result.float().cpu().contiguous().numpy().tofile(out)
        del result
        print(json.dumps({"seconds": seconds}), file=answers)


# --- cold ---


def cold(args) -> None:
    import torch
    from PIL import Image

    torch.set_num_threads(args.threads)
    pipe = load(args.model, "f32", args.device)
    image = Image.open(args.image).convert("RGB")
    result = pipe(
        prompt=PROMPT, image=image, num_inference_steps=args.steps, generator=torch.Generator().manual_seed(SEED),
        **GUIDANCE).images[0]
    result.save(args.output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)

    command = commands.add_parser("make")
    command.set_defaults(run=make)
    command.add_argument("--dir", type=pathlib.Path, required=True)
    command.add_argument("--tokenizer", type=pathlib.Path, required=True)
    command.add_argument("models", nargs="+", choices=MODELS)

    command = commands.add_parser("worker")
    command.set_defaults(run=worker)
    command.add_argument("--threads", type=int, required=True)
    command.add_argument("--device", required=True)

    command = commands.add_parser("cold")
    command.set_defaults(run=cold)
    for name in ("model", "image", "output", "device"):
        command.add_argument(f"--{name}", required=True)
    for name in ("threads", "steps"):
        command.add_argument(f"--{name}", type=int, required=True)

    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()

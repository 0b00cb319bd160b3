"""Goldens of the samplers: trajectories and schedules of diffusers 0.42.1, and of k-diffusion's formulas in float64.

    python make_samplers.py --out DIR

writes DIR/samplers.safetensors and DIR/samplers.json. Needs torch, diffusers, safetensors and numpy, no network and no
weights: the model is `tanh(0.8 x + 0.3 cos(t / 200))`. The same versions give the same bytes.
"""

import argparse
import json
import logging
import math
import pathlib
import warnings

import diffusers
import numpy as np
import torch
from safetensors.torch import save_file

SHAPE = (2, 4, 4)
SEED = 0
DRAWS = 21
CLASSES = {
    "ddim": diffusers.DDIMScheduler,
    "ddim-inverse": diffusers.DDIMInverseScheduler,
    "pndm": diffusers.PNDMScheduler,
    "euler": diffusers.EulerDiscreteScheduler,
    "euler-a": diffusers.EulerAncestralDiscreteScheduler,
    "dpmpp-2m": diffusers.DPMSolverMultistepScheduler,
    "ddpm": diffusers.DDPMScheduler,
}
KINDS = {cls: kind for kind, cls in CLASSES.items()}
SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
CLIPPING = ("ddim", "ddim-inverse", "ddpm")


def model(x, t):
    return torch.tanh(x * 0.8 + 0.3 * math.cos(t / 200.0))


def generator():
    return torch.Generator().manual_seed(SEED)


class Goldens:
    def __init__(self):
        self.tensors, self.cases, self.schedules, self.sweeps = {}, [], [], []
        draw = generator()
        self.tensors["noise"] = torch.stack([torch.randn(SHAPE, generator=draw) for _ in range(DRAWS)])

    def case(self, name, scheduler, steps, config=None, eta=0.0, first=0):
        """Runs diffusers. `config` is the text that our side reads, by default the scheduler's own."""
        kind = KINDS[type(scheduler)]
        scheduler.set_timesteps(steps)
        if hasattr(scheduler, "set_begin_index"):
            # Else a first timestep that occurs twice begins at its second occurrence and runs past the end.
            scheduler.set_begin_index(first)
        draw = generator()
        start = torch.randn((1, *SHAPE), generator=draw)
        timesteps = scheduler.timesteps[first:]
        if first:
            noise = torch.randn((1, *SHAPE), generator=draw)
            latents = scheduler.add_noise(start, noise, timesteps[:1])
        else:
            latents = start * scheduler.init_noise_sigma
        extra = {}
        if kind in ("ddim", "euler-a", "ddpm"):
            extra["generator"] = draw
        if kind == "ddim":
            extra["eta"] = eta
        trajectory = []
        for t in timesteps:
            output = model(scheduler.scale_model_input(latents, t), float(t))
            latents = scheduler.step(output, t, latents, **extra).prev_sample
            trajectory.append(latents[0])
        self.tensors[f"{name}/trajectory"] = torch.stack(trajectory)
        sigmas = scheduler.sigmas if kind in ("euler", "euler-a", "dpmpp-2m") else None
        self.add_case(name, kind, steps, config or own_config(scheduler), scheduler.timesteps, sigmas, first=first,
                      eta=eta, init=float(scheduler.init_noise_sigma))

    def add_case(self, name, kind, steps, config, timesteps, sigmas, **rest):
        assert all(case["name"] != name for case in self.cases), name
        self.tensors[f"{name}/timesteps"] = timesteps.to(torch.float32)
        if sigmas is not None:
            self.tensors[f"{name}/sigmas"] = sigmas.to(torch.float32)
        case = {"name": name, "kind": kind, "steps": steps, "config": config}
        self.cases.append({**case, "eta": 0.0, "first": 0, "interp": "linear", **rest})

    def save(self, out):
        out.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.contiguous() for name, tensor in sorted(self.tensors.items())}
        save_file(tensors, out / "samplers.safetensors")
        about = {
            "diffusers": diffusers.__version__,
            "cases": self.cases,
            "schedules": self.schedules,
            "sweeps": self.sweeps,
        }
        (out / "samplers.json").write_text(json.dumps(about, indent=0, sort_keys=True) + "\n")


def own_config(scheduler):
    """The text that `save_pretrained` writes, on one line."""
    text = json.loads(scheduler.to_json_string())
    return json.dumps(text, sort_keys=True, separators=(",", ":"))


def usual(kind, **config):
    """A scheduler of this kind with Stable Diffusion's betas and no clipping."""
    config = {**SD, **config}
    if kind in CLIPPING:
        config.setdefault("clip_sample", False)
    if kind == "pndm":
        config.setdefault("skip_prk_steps", True)
    return CLASSES[kind](**config)


def spacings(kind):
    return ["leading", "trailing"] if kind == "ddim-inverse" else ["leading", "trailing", "linspace"]


def every_sampler(goldens):
    for kind in CLASSES:
        for prediction in ("epsilon", "v_prediction"):
            for spacing in spacings(kind):
                offset = int(spacing == "leading")
                scheduler = usual(kind, prediction_type=prediction, timestep_spacing=spacing, steps_offset=offset)
                goldens.case(f"{kind}-{prediction[:1]}-{spacing}", scheduler, 10)
        for steps in (1, 2, 3):
            goldens.case(f"{kind}-{steps}-steps", usual(kind), steps)
        goldens.case(f"{kind}-cosine", CLASSES[kind](beta_schedule="squaredcos_cap_v2"), 10)
        betas = [round(0.001 + 0.0004 * i, 6) for i in range(50)]
        goldens.case(f"{kind}-trained-betas", usual(kind, num_train_timesteps=50, trained_betas=betas), 7)
        if kind not in ("pndm", "euler-a"):
            goldens.case(f"{kind}-sample", usual(kind, prediction_type="sample", set_alpha_to_one=False)
                         if kind == "ddim-inverse" else usual(kind, prediction_type="sample"), 10)
        if kind != "pndm":
            zero = {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction", "timestep_spacing": "trailing"}
            goldens.case(f"{kind}-zero-snr", usual(kind, **zero), 10)


def own_options(goldens):
    add = goldens.case
    for kind in CLIPPING:
        add(f"{kind}-clip", CLASSES[kind](), 10)
        add(f"{kind}-clip-range", CLASSES[kind](clip_sample_range=0.7), 10)
    for kind in ("ddim", "ddpm", "dpmpp-2m"):
        for most in (0.5, 1.5):
            config = {"thresholding": True, "dynamic_thresholding_ratio": 0.87, "sample_max_value": most}
            add(f"{kind}-threshold-{most}", usual(kind, **config), 10)
    for eta in (0.5, 1.0):
        add(f"ddim-eta-{eta}", usual("ddim", set_alpha_to_one=False, steps_offset=1), 10, eta=eta)
    for kind in ("ddim", "ddim-inverse", "pndm"):
        for one in (True, False):
            add(f"{kind}-alpha-one-{one}".lower(), usual(kind, beta_start=0.01, set_alpha_to_one=one), 10)
    for prediction in ("epsilon", "v_prediction"):
        for spacing in spacings("pndm"):
            config = {"skip_prk_steps": False, "prediction_type": prediction, "timestep_spacing": spacing}
            add(f"pndm-prk-{prediction[:1]}-{spacing}", usual("pndm", **config), 10)
    add("pndm-prk-4", usual("pndm", skip_prk_steps=False), 4)
    add("pndm-20", usual("pndm", steps_offset=1), 20)
    for variance in ("fixed_small", "fixed_small_log", "fixed_large"):
        add(f"ddpm-{variance}", usual("ddpm", variance_type=variance), 10)
    add("ddpm-20", usual("ddpm"), 20)


def sigma_options(goldens):
    add = goldens.case
    for kind in ("euler", "dpmpp-2m"):
        for prediction in ("epsilon", "v_prediction"):
            add(f"{kind}-karras-{prediction[:1]}", usual(kind, use_karras_sigmas=True, prediction_type=prediction), 10)
        add(f"{kind}-karras-leading", usual(kind, use_karras_sigmas=True, timestep_spacing="leading", steps_offset=1), 10)
        add(f"{kind}-karras-cosine", usual(kind, use_karras_sigmas=True, beta_schedule="squaredcos_cap_v2"), 10)
        add(f"{kind}-final-sigma-min", usual(kind, final_sigmas_type="sigma_min"), 10)
    add("euler-karras-range", usual("euler", use_karras_sigmas=True, sigma_min=0.02, sigma_max=700.0), 10)
    for last in ("zero", "sigma_min"):
        add(f"euler-log-linear-{last}", usual("euler", interpolation_type="log_linear", final_sigmas_type=last), 10)
    add("euler-log-linear-karras", usual("euler", interpolation_type="log_linear", use_karras_sigmas=True), 10)
    for steps in (10, 20):
        for lower in (True, False):
            for last in ("zero", "sigma_min"):
                config = {"lower_order_final": lower, "final_sigmas_type": last}
                add(f"dpmpp-2m-{steps}-{lower}-{last}".lower(), usual("dpmpp-2m", **config), steps)
    add("dpmpp-2m-euler-at-final", usual("dpmpp-2m", euler_at_final=True, final_sigmas_type="sigma_min"), 20)
    add("dpmpp-2m-order-1", usual("dpmpp-2m", solver_order=1), 10)
    for prediction in ("epsilon", "v_prediction"):
        add(f"dpmpp-2m-heun-{prediction[:1]}", usual("dpmpp-2m", solver_type="heun", prediction_type=prediction), 20)
    for spacing in spacings("dpmpp-2m"):
        config = {"beta_schedule": "squaredcos_cap_v2", "lambda_min_clipped": -5.1, "timestep_spacing": spacing}
        add(f"dpmpp-2m-clipped-{spacing}", usual("dpmpp-2m", **config), 10)


def other_classes(goldens):
    """Configs as they stand in model folders, read by every class: `from_config`."""
    sd15 = {"_class_name": "PNDMScheduler", "_diffusers_version": "0.6.0", **SD, "num_train_timesteps": 1000,
            "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1, "trained_betas": None,
            "clip_sample": False}
    sd21 = {**sd15, "_class_name": "DDIMScheduler", "prediction_type": "v_prediction"}
    dpm = json.loads(usual("dpmpp-2m", use_karras_sigmas=True, steps_offset=1, solver_order=1).to_json_string())
    zero = {"_class_name": "DDIMScheduler", **SD, "clip_sample": False, "prediction_type": "v_prediction",
            "rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "set_alpha_to_one": False}
    bounds = json.loads(usual("euler", sigma_min=0.05, sigma_max=10.0, use_karras_sigmas=True).to_json_string())
    unipc = json.loads(diffusers.UniPCMultistepScheduler(**SD).to_json_string())
    memory = dict(usual("ddim", steps_offset=1).config)
    memory["_use_default_values"] = sorted(memory["_use_default_values"])
    sources = {"sd15": sd15, "sd21": sd21, "dpm": dpm, "zero": zero, "bounds": bounds, "unipc": unipc, "memory": memory}
    for source, config in sources.items():
        text = json.dumps(config, sort_keys=True, separators=(",", ":"))
        for kind, cls in CLASSES.items():
            scheduler = cls.from_config(json.loads(text))
            if kind == "ddim-inverse" and scheduler.config.timestep_spacing == "linspace":
                continue  # its class has no such spacing
            goldens.case(f"from-{source}-{kind}", scheduler, 6, config=text)


def later_starts(goldens):
    for kind, first in (("ddim", 8), ("euler", 6), ("euler-a", 8), ("dpmpp-2m", 5), ("ddpm", 7)):
        goldens.case(f"{kind}-from-{first}", usual(kind), 10, first=first)


def k_diffusion_levels(alphas, steps, karras):
    """σ of a run and the timesteps the model gets: log σ is linear between training timesteps."""
    table = np.sqrt((1 - alphas) / alphas).astype(np.float64)
    logs = np.log(table)
    places = np.arange(len(table), dtype=np.float64)
    if karras:
        ramp = np.linspace(0, 1, steps)
        sigmas = (table[-1] ** (1 / 7) + ramp * (table[0] ** (1 / 7) - table[-1] ** (1 / 7))) ** 7
    else:
        sigmas = np.exp(np.interp(np.linspace(len(table) - 1, 0, steps), places, logs))
    sigmas = sigmas.astype(np.float32)
    timesteps = np.interp(np.log(sigmas.astype(np.float64)), logs, places)
    return np.append(sigmas, np.float32(0)).astype(np.float64), timesteps


def k_diffusion_steps(kind, v, sigmas, timesteps, noise):
    """The published samplers in float64, with latents x = x0 + σ·noise."""
    x, before = noise[0] * sigmas[0], None
    for i, (sigma, to) in enumerate(zip(sigmas[:-1], sigmas[1:])):
        shrink = 1 / math.sqrt(sigma**2 + 1)
        output = np.tanh(0.8 * (x * shrink) + 0.3 * math.cos(timesteps[i] / 200.0))
        x0 = output * (-sigma * shrink) + x * shrink**2 if v else x - sigma * output
        if kind == "dpmpp-2m":
            h = math.inf if to == 0 else math.log(sigma) - math.log(to)
            slope = 0.0
            if before is not None and to > 0:
                ratio = (math.log(sigmas[i - 1]) - math.log(sigma)) / h
                slope = (x0 - before) / (2 * ratio)
            x, before = (to / sigma) * x - math.expm1(-h) * (x0 + slope), x0
        else:
            up = math.sqrt(to**2 * (sigma**2 - to**2) / sigma**2) if kind == "euler-a" else 0.0
            down = math.sqrt(max(to**2 - up**2, 0.0))
            x = x + (x - x0) / sigma * (down - sigma) + noise[i + 1] * up
        # DPM-Solver's latents are kept at variance 1.
        yield x / math.sqrt(to**2 + 1) if kind == "dpmpp-2m" else x


def k_diffusion(goldens):
    noise = goldens.tensors["noise"].numpy().astype(np.float64)
    for kind in ("euler", "euler-a", "dpmpp-2m"):
        for v in (False, True):
            for karras in (False, True):
                scheduler = usual(kind, prediction_type="v_prediction" if v else "epsilon", timestep_spacing="leading")
                alphas = scheduler.alphas_cumprod.numpy()
                for steps in (1, 10):
                    sigmas, timesteps = k_diffusion_levels(alphas, steps, karras)
                    name = f"log-{kind}-{'v' if v else 'e'}-{'karras' if karras else 'even'}-{steps}"
                    path = np.stack(list(k_diffusion_steps(kind, v, sigmas, timesteps, noise)))
                    goldens.tensors[f"{name}/trajectory"] = torch.from_numpy(path).to(torch.float32)
                    init = sigmas[0] if kind != "dpmpp-2m" else sigmas[0] / math.sqrt(sigmas[0] ** 2 + 1)
                    goldens.add_case(name, kind, steps, own_config(scheduler), torch.from_numpy(timesteps),
                                     torch.from_numpy(sigmas), interp="log", karras=karras, init=float(init))


def schedules(goldens):
    for schedule, config in (("linear", {}), ("scaled", SD), ("cosine", {"beta_schedule": "squaredcos_cap_v2"})):
        for zero in (False, True):
            for kind in ("ddim", "euler") if zero else ("ddim",):
                scheduler = CLASSES[kind](**config, rescale_betas_zero_snr=zero)
                name = f"alphas/{schedule}-{'zero' if zero else 'plain'}-{kind}"
                goldens.tensors[name] = scheduler.alphas_cumprod
                goldens.schedules.append({"name": name, "config": own_config(scheduler)})


def checksum(timesteps):
    """Σ (i+1)·t_i. Rounding gives diffusers a last timestep of -1 for some step counts, which we leave out."""
    kept = timesteps[timesteps >= 0].to(torch.int64)
    return int((torch.arange(1, len(kept) + 1) * kept).sum())


def sweeps(goldens):
    """Whole timesteps for every number of steps, as checksums."""
    for kind in ("ddim", "dpmpp-2m"):
        for spacing in spacings(kind):
            sweep(goldens, f"sweep/{kind}-{spacing}", usual(kind, timestep_spacing=spacing), range(1, 1001))
    sweep(goldens, "sweep/dpmpp-2m-karras", usual("dpmpp-2m", use_karras_sigmas=True), range(1, 101))
    ragged = {"timestep_spacing": "trailing", "num_train_timesteps": 1100}
    sweep(goldens, "sweep/ddim-trailing-1100", usual("ddim", **ragged), range(1, 1101))


def sweep(goldens, name, scheduler, counts):
    sums = []
    for steps in counts:
        scheduler.set_timesteps(steps)
        sums.append(checksum(scheduler.timesteps))
    goldens.tensors[name] = torch.tensor(sums, dtype=torch.int64)
    goldens.sweeps.append({"name": name, "config": own_config(scheduler)})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    out = parser.parse_args().out
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    goldens = Goldens()
    for part in (every_sampler, own_options, sigma_options, other_classes, later_starts, k_diffusion, schedules, sweeps):
        part(goldens)
    goldens.save(out)


if __name__ == "__main__":
    main()

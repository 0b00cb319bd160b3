"""Goldens of dynamic guidance, in float64 from the formulas of its sources, each in the source's own form.

    python make_guidance.py --out DIR

writes DIR/guidance.json. Needs numpy and torch (for `fixture`), no network and no weights: latents and predictions are
the fixture's noise. Sources: FBG_using_edm2@0049f95 `generate_images_FBG.py` (EDM form: denoisers and sigmas),
Dynamic-Negative-Guidance@9bd4838 `utils/Generate_Batch_pretrained.py` (discrete form: noise predictions and alphas).
"""

import argparse
import json
import pathlib

import numpy as np
from fixture import noise

SHAPE = (1, 4, 6, 8)


def field(name):
    return noise(name, *SHAPE).numpy().astype(np.float64)


def feedback_parameters(sigmas, pi, t0, t1):
    """Offset and temperature from t0 and t1, without the source's rounding to four decimals."""
    count = len(sigmas)
    offset = np.log((1 - pi) * 3.0 / (3.0 - 1.0)) / ((1 - t0) * count)
    variance = np.zeros(count)
    for i, (cur, nxt) in enumerate(zip(sigmas[:-1], sigmas[1:])):
        variance[count - i - 1] = (cur**2 - nxt**2) * nxt**2 / cur**2
    low = int(np.floor(t1 * count))
    part = t1 * count - low
    at_t1 = (1 - part) * variance[low] + part * variance[low + 1]
    return offset, abs(2 * at_t1 / 10.0 * offset)


def feedback(constant, biggest, pi=0.999, t0=0.556, t1=0.429, steps=8):
    """Feedback guidance with a constant part, in EDM form over Karras' noise levels."""
    low, high, rho = 0.05, 12.0, 7
    ramp = np.arange(steps) / (steps - 1)
    sigmas = (high ** (1 / rho) + ramp * (low ** (1 / rho) - high ** (1 / rho))) ** rho
    offset, temperature = feedback_parameters(sigmas, pi, t0, t1)
    floor = np.log((1 - pi) * (biggest - constant + 1) / (biggest - constant))
    posterior, out = 0.0, []
    for i, (cur, nxt) in enumerate(zip(sigmas[:-1], sigmas[1:])):
        scale = np.exp(posterior) / (np.exp(posterior) - (1 - pi)) + constant - 1
        out.append({"log_ratio": posterior, "scale": scale})
        x = cur * field(f"x{i}")
        # Close to each other, so that the posterior moves and does not only touch its limits.
        without = field(f"without{i}")
        text = without + 0.3 * field(f"difference{i}")
        guided = without + scale * (text - without)
        x_next = x + (nxt - cur) * (x - guided) / cur + 0.2 * nxt * field(f"fresh{i}")
        variance = (cur**2 - nxt**2) * nxt**2 / cur**2
        mean = lambda d: nxt**2 / cur**2 * x + (cur**2 - nxt**2) / cur**2 * d
        difference = ((x_next - mean(text)) ** 2).sum() - ((x_next - mean(without)) ** 2).sum()

        # The same in the discrete form of a variance-preserving process, whose latents are sqrt(a) (x0 + sigma noise).
        a, a_next = 1 / (1 + cur**2), 1 / (1 + nxt**2)
        z, z_next, alpha = np.sqrt(a) * x, np.sqrt(a_next) * x_next, a / a_next
        noise_of = lambda d: (z - np.sqrt(a) * d) / np.sqrt(1 - a)
        discrete = lambda d: (z - (1 - alpha) / np.sqrt(1 - a) * noise_of(d)) / np.sqrt(alpha)
        discrete_variance = (1 - a_next) / (1 - a) * (1 - alpha)
        discrete_difference = ((z_next - discrete(text)) ** 2).sum() - ((z_next - discrete(without)) ** 2).sum()
        np.testing.assert_allclose(discrete_difference / discrete_variance, difference / variance, rtol=1e-9)

        posterior = posterior - temperature / (2 * variance) * difference + offset
        posterior = float(np.clip(posterior, floor, 3.0))
    return {
        "constant": constant, "biggest": biggest, "pi": pi, "t0": t0, "t1": t1, "sigmas": list(sigmas),
        "offset": float(offset), "temperature": float(temperature), "steps": out, "final": posterior,
    }  # fmt: skip


def negative(scale=5.0, prior=0.01, temperature=0.2, offset=2e-4, biggest=0.8, count=10):
    """Dynamic negative guidance in discrete form over every timestep of a DDPM process with linear betas."""
    betas = np.linspace(0.01, 0.3, count)
    alphas = 1 - betas
    bars = np.cumprod(alphas)
    p, out = prior, []
    x = field("z")
    for t in reversed(range(1, count)):
        a, bar, before = alphas[t], bars[t], bars[t - 1]
        without = field(f"noise{t}")
        bad = without + 0.5 * field(f"bad{t}")
        weight = scale * p / (1 - p)
        guided = without - weight * (bad - without)
        new = (x - betas[t] / np.sqrt(1 - bar) * guided) / np.sqrt(1 - betas[t])
        # Drawn to the negative prediction, so that the posterior rises before it falls.
        pull = 1.0 if t > count // 2 else -1.0
        new = new - pull * 0.4 * betas[t] * field(f"bad{t}") + np.sqrt(betas[t]) * 0.3 * field(f"step{t}")
        out.append({"t": t, "posterior": p, "weight": weight})
        variance = (1 - before) / (1 - bar) * (1 - a)
        mean = lambda e: (x - (1 - a) / np.sqrt(1 - bar) * e) / np.sqrt(a)
        difference = ((new - mean(bad)) ** 2).sum() - ((new - mean(without)) ** 2).sum()
        p = p * np.exp((-temperature * difference + offset) / (2 * variance))
        p = float(np.clip(p, 1e-6, biggest))
        x = new
    return {
        "scale": scale, "prior": prior, "temperature": temperature, "offset": offset, "biggest": biggest,
        "betas": list(betas), "steps": out, "final": p,
    }  # fmt: skip


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, required=True)
    out = parser.parse_args().out
    goldens = {
        "feedback": [feedback(1.0, 10.0), feedback(3.0, 10.0), feedback(2.0, 6.0, pi=0.95, t0=0.5, t1=0.4, steps=12)],
        "negative": [negative(), negative(temperature=1.0, prior=0.2, count=16)],
    }
    (out / "guidance.json").write_text(json.dumps(goldens, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Goldens of the spatial layer's gated attention.

    python make_spatial.py --out DIR

writes DIR/spatial.safetensors. `plain` is diffusers' own `GatedSelfAttentionDense` with its feed-forward gated off, which is
what the layer is without a geometry; `moved` is the same attention in float64 with squared distances as a bias, for rows
whose content moved to the right by a quarter of the image. Weights and inputs are the fixture's.
"""

import argparse
import math
import pathlib

import torch
from diffusers.models.attention import GatedSelfAttentionDense
from fixture import noise, values
from safetensors.torch import save_file

WIDTH, HEADS, TOKEN, SIDE = 16, 2, 12, 4
GATE, FOCUS, BASE = 0.7, 0.3, 32.0
SHAPES = {
    "norm.weight": (WIDTH,), "norm.bias": (WIDTH,), "tokens.weight": (WIDTH, TOKEN), "tokens.bias": (WIDTH,),
    "to_q.weight": (WIDTH, WIDTH), "to_k.weight": (WIDTH, WIDTH), "to_v.weight": (WIDTH, WIDTH),
    "to_out.0.weight": (WIDTH, WIDTH), "to_out.0.bias": (WIDTH,),
}  # fmt: skip
THEIRS = {"norm": "norm1", "tokens": "linear", "to_q": "attn.to_q", "to_k": "attn.to_k", "to_v": "attn.to_v", "to_out": "attn.to_out"}


def reference(weights):
    layer = GatedSelfAttentionDense(WIDTH, TOKEN, HEADS, WIDTH // HEADS)
    state = layer.state_dict()
    for name, tensor in weights.items():
        head, rest = name.split(".", 1)
        state[f"{THEIRS[head]}.{rest}"] = tensor
    state["alpha_attn"], state["alpha_dense"] = torch.tensor(GATE), torch.tensor(0.0)
    layer.load_state_dict(state)
    return layer.eval()


def moved(weights, x, tokens):
    """Attention with the bias, written out; every other head looks near where a pixel's content comes from."""
    weights = {name: tensor.double() for name, tensor in weights.items()}
    x, tokens = x.double(), tokens.double()
    linear = lambda value, name: torch.nn.functional.linear(value, weights[f"{name}.weight"], weights.get(f"{name}.bias"))
    joined = torch.cat([x, linear(tokens, "tokens")], 1)
    joined = torch.nn.functional.layer_norm(joined, (WIDTH,), weights["norm.weight"], weights["norm.bias"], 1e-5)
    bias = torch.zeros(HEADS, SIDE * SIDE, joined.shape[1], dtype=torch.float64)
    centre = lambda i: (2 * i + 1) / SIDE - 1
    for to in range(SIDE * SIDE):
        for place in range(SIDE * SIDE):
            across = (centre(to % SIDE) - 0.5) - centre(place % SIDE)
            down = centre(to // SIDE) - centre(place // SIDE)
            bias[::2, to, place] = -BASE * math.exp(FOCUS) * (across**2 + down**2)
    heads = lambda value: value.unflatten(2, (HEADS, -1)).transpose(1, 2)
    q, k, v = (heads(linear(joined, name)) for name in ("to_q", "to_k", "to_v"))
    logits = q[:, :, : SIDE * SIDE] @ k.transpose(-1, -2) / math.sqrt(WIDTH // HEADS) + bias
    attended = (logits.softmax(-1) @ v).transpose(1, 2).flatten(2)
    return (x + math.tanh(GATE) * linear(attended, "to_out.0")).float()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, required=True)
    out = parser.parse_args().out
    weights = {name: torch.from_numpy(values(name, shape).copy()) for name, shape in SHAPES.items()}
    x, tokens = noise("x", 2, SIDE * SIDE, WIDTH), noise("tokens", 2, 8, TOKEN)
    with torch.no_grad():
        plain = reference(weights)(x, tokens)
        save_file({"plain": plain.contiguous(), "moved": moved(weights, x, tokens).contiguous()}, out / "spatial.safetensors")


if __name__ == "__main__":
    main()

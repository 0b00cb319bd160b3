"""Weights that Python and Rust both compute: nothing large is committed.

Value i of tensor `name` is uniform in -1..1, from splitmix64 of (FNV-1a of the name) + i; the other half is
`crates/testkit/src/models.rs`. Matrices and kernels are scaled to keep the variance of their input, norms are near 1,
biases near 0.
"""

import json
import pathlib

import numpy as np
import torch

M64 = (1 << 64) - 1


def uniform(name: str, count: int) -> np.ndarray:
    """`count` float32 values in -1..1, multiples of 2^-23."""
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & M64
    with np.errstate(over="ignore"):
        z = np.uint64(h) + (np.arange(count, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return ((z >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-23)) - np.float32(1)


def values(name: str, shape: tuple) -> np.ndarray:
    """The fixture's tensor `name`."""
    count = int(np.prod(shape, dtype=np.int64))
    u = uniform(name, count).reshape(shape)
    if len(shape) == 1:
        return (np.float32(1) + np.float32(0.1) * u) if name.endswith("weight") else np.float32(0.1) * u
    fan_in = int(np.prod(shape[1:], dtype=np.int64))
    return u * np.float32(np.sqrt(np.float32(3.0) / np.float32(fan_in)))


def noise(name: str, *shape: int) -> torch.Tensor:
    """Inputs: uniform values of unit variance."""
    u = uniform(name, int(np.prod(shape))).reshape(shape)
    return torch.from_numpy(u * np.float32(np.sqrt(3.0)))


def fill(model: torch.nn.Module, prefix: str = "") -> torch.nn.Module:
    """Gives every parameter of `model` its fixture value; `prefix` leads its name in checkpoints."""
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            tensor.copy_(torch.from_numpy(np.ascontiguousarray(values(prefix + name, tuple(tensor.shape)))))
    return model.eval()


def describe(model: torch.nn.Module, folder: pathlib.Path, prefix: str = "") -> None:
    """Writes `config.json` and the names and shapes of the tensors into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    config = model.config.to_json_string() if hasattr(model.config, "to_json_string") else model.to_json_string()
    (folder / "config.json").write_text(config)
    shapes = {prefix + name: list(tensor.shape) for name, tensor in model.named_parameters()}
    (folder / "tensors.json").write_text(json.dumps(shapes, separators=(",", ":"), sort_keys=True) + "\n")

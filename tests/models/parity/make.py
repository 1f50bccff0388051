"""Makes the parity files: sampled outputs of our fp32 networks on seeded weights and a seeded picture.

They hold the networks to themselves: a change that moves an output is found in a clone that has
nothing else to compare with. Run this only after an intended change, with the goldens passing:

    python tests/models/parity/make.py
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
SIZE = (70, 101)  # odd on purpose: the pyramid's levels do not divide evenly
SAMPLES = 2000


def seeded(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Float32 values in [-1, 1) that depend on ``name`` and nothing else; PCG64's raw stream is stable in NumPy."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    raw = np.random.PCG64(seed).random_raw(int(np.prod(shape, dtype=np.int64)))
    return ((raw >> np.uint64(40)).astype(np.float64) / 2.0**23 - 1.0).astype(np.float32).reshape(shape)


def seeded_weights(model: str, shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """A state dict whose activations neither vanish nor explode."""
    weights = {}
    for key, shape in shapes.items():
        values = seeded(f"{model}:{key}", shape)
        if key.endswith("num_batches_tracked"):
            weights[key] = np.array(1, np.int64)
        elif key.endswith("running_var"):
            weights[key] = 1.5 + 0.5 * values
        elif len(shape) > 1:
            weights[key] = values * np.float32(np.sqrt(6.0 / np.prod(shape[1:])))
        elif key.endswith("weight"):
            # The last norm of a residual branch is small, or a deep network's sum grows without bound.
            weights[key] = (0.8 + 0.2 * values) * (0.25 if key.endswith("bn3.weight") else 1.0)
        else:
            weights[key] = 0.1 * values
    return weights


def seeded_image() -> np.ndarray:
    """The network's input, float32 [1, 3, H, W]."""
    return 2.0 * seeded("image", (1, 3, *SIZE))


def sample_index(name: str, count: int) -> np.ndarray:
    """Which flat positions of an output with ``count`` values are kept."""
    return np.unique((seeded(f"index:{name}", (SAMPLES,)).astype(np.float64) + 1.0) / 2.0 * count).astype(np.int64)


def network_outputs(model: str) -> dict[str, np.ndarray]:
    """Outputs of the network of ``model`` with the seeded weights."""
    import torch
    from vidgraph.models.registry import find_model

    torch.set_grad_enabled(False)
    row = find_model(model)
    network = row.family().network(row.name)
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    network.load_state_dict({key: torch.from_numpy(array) for key, array in seeded_weights(model, shapes).items()})
    names = row.family().graph_shape(row.name, SIZE, 1).outputs
    return {name: out.numpy() for name, out in zip(names, network(torch.from_numpy(seeded_image())), strict=True)}


def main() -> None:
    from vidgraph.models.registry import MODELS

    for model in MODELS:
        kept = {}
        for name, array in network_outputs(model).items():
            kept[name] = array.reshape(-1)[sample_index(name, array.size)]
            kept[f"{name}_shape"] = np.array(array.shape)
            print(model, name, array.shape, f"max {np.abs(array).max():.3g} std {array.std():.3g}")
        np.savez_compressed(FOLDER / f"{model}.npz", **kept)


if __name__ == "__main__":
    main()

"""Makes the parity files: sampled outputs of fp32 networks on seeded weights and a seeded picture.

Where a file names its ``source``, the outputs in ``recorded`` were computed by that code (on a CPU, its missing
imports replaced, with the weights and the picture of this module; logits before their softmax), and hold ours to it;
they stay as they are. The others hold our networks to themselves: a change that moves an output is found. Beside each
output stands ``…_rounding``: how far what was recorded in float32 lies from our network in float64 (largest difference
over largest magnitude). Float64 gives that figure on every processor, float32 sums in as many orders as there are
processors. Run this only after an intended change, with the goldens passing:

    python tests/models/parity/make.py
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
SIZE = (70, 101)  # odd on purpose: the pyramid's levels do not divide evenly
SAMPLES = 2000
LARGEST = 262139  # values drawn for one tensor, a prime: larger tensors repeat them, and no two rows are alike


def seeded(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Float32 values in [-1, 1) that depend on ``name`` and nothing else; PCG64's raw stream is stable in NumPy."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    raw = np.random.PCG64(seed).random_raw(min(int(np.prod(shape, dtype=np.int64)), LARGEST))
    return np.resize(((raw >> np.uint64(40)).astype(np.float64) / 2.0**23 - 1.0).astype(np.float32), shape)


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


def graph_inputs(model: str, graph: str) -> dict[str, np.ndarray]:
    """Seeded inputs of a graph: the picture, and for non-key frames the state."""
    from vidgraph.models.registry import find_model

    shapes = find_model(model).family().graph_shape(model, SIZE, 1, graph).inputs
    return {name: seeded_image() if name == "image" else seeded(name, shape) for name, shape in shapes.items()}


def network_outputs(model: str, dtype: str = "float32") -> dict[str, np.ndarray]:
    """Outputs of every graph of ``model`` with the seeded weights, as ``output`` or ``graph.output``, in ``dtype``."""
    import torch
    from vidgraph.models.registry import find_model

    torch.set_grad_enabled(False)
    family = find_model(model).family()
    network = family.network(model)
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    network.load_state_dict({key: torch.from_numpy(array) for key, array in seeded_weights(model, shapes).items()})
    network.to(getattr(torch, dtype))
    outputs = {}
    for graph in family.graphs(model):
        shape = family.graph_shape(model, SIZE, 1, graph)
        given = [*graph_inputs(model, graph).values(), *shape.tables.values()]
        tensors = [torch.from_numpy(array if array.dtype.kind == "i" else array.astype(dtype)) for array in given]
        results = family.traced(network, graph)(*tensors)
        for name, out in zip(shape.outputs, results, strict=True):
            outputs[f"{graph}.{name}" if graph else name] = out.numpy()
    return outputs


def sampled(name: str, array: np.ndarray) -> np.ndarray:
    """The values of an output that parity files keep, in one row."""
    return array.reshape(-1)[sample_index(name, array.size)]


def distance(got: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference over the largest magnitude of ``expected``."""
    return float(np.abs(got.astype(np.float64) - expected).max() / np.abs(expected).max())


def official_outputs(file: Path) -> dict[str, np.ndarray]:
    """What official code computed of a parity file, with ``source`` and ``recorded``; empty: nothing."""
    with np.load(file) as stored:
        if "source" not in stored:
            return {}
        names = [str(name) for name in stored["recorded"]]
        return {key: stored[key] for name in names for key in (name, f"{name}_shape")} | {
            key: stored[key] for key in ("source", "recorded")
        }


def main() -> None:
    from vidgraph.models.registry import implemented

    for model in (row.name for row in implemented()):
        file = FOLDER / f"{model}.npz"
        kept = official_outputs(file) if file.exists() else {}
        exact = network_outputs(model, "float64")
        for name, array in network_outputs(model).items():
            if name not in kept:
                kept[name] = sampled(name, array)
                kept[f"{name}_shape"] = np.array(array.shape)
            kept[f"{name}_rounding"] = np.array(distance(sampled(name, exact[name]), kept[name]))
            print(model, name, array.shape, f"max {np.abs(array).max():.3g} rounding {kept[f'{name}_rounding']:.2g}")
        np.savez_compressed(file, **kept)


if __name__ == "__main__":
    main()

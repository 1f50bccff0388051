"""Small networks whose arithmetic in fp16 is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

Node = tuple[str, list[str], list[str], dict[str, Any]]
SHAPE = (1, 4, 8, 8)


def model_of(
    nodes: Sequence[Node],
    constants: Mapping[str, Any],
    outputs: Mapping[str, tuple[int, ...]],
    inputs: Mapping[str, tuple[int, ...]] | None = None,
    opset: int = 17,
) -> Any:
    """An ONNX model; nodes are called as their first output, in capitals."""
    helper = onnx.helper

    def value(name: str, shape: tuple[int, ...]) -> Any:
        return helper.make_tensor_value_info(name, 1, shape)

    graph = helper.make_graph(
        [helper.make_node(kind, ins, outs, name=outs[0].upper(), **more) for kind, ins, outs, more in nodes],
        "net",
        [value(*each) for each in (inputs or {"x": SHAPE}).items()],
        [value(*each) for each in outputs.items()],
        [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def overflowing() -> Any:
    """``y = relu(conv(x)) * 1e5 / 1e5``: an intermediate of about 1e5 that no output shows in fp32."""
    weight = np.random.default_rng(0).normal(0, 0.3, (4, 4, 3, 3)).astype(np.float32)
    nodes: list[Node] = [
        ("Conv", ["x", "weight"], ["sums"], {"pads": [1, 1, 1, 1]}),
        ("Relu", ["sums"], ["kept"], {}),
        ("Mul", ["kept", "large"], ["huge"], {}),
        ("Mul", ["huge", "small"], ["scaled"], {}),
        ("Conv", ["scaled", "weight"], ["y"], {"pads": [1, 1, 1, 1]}),
    ]
    constants = {"weight": weight, "large": np.float32(6e4), "small": np.float32(1 / 6e4)}
    return model_of(nodes, constants, {"y": SHAPE})


def cancelling() -> Any:
    """``y = (x + 3000) - 3000``: nothing is too large, and fp16 has steps of 2 there."""
    nodes: list[Node] = [
        ("Relu", ["x"], ["r"], {}),
        ("Add", ["r", "much"], ["far"], {}),
        ("Sub", ["far", "much"], ["back"], {}),
        ("Mul", ["back", "two"], ["y"], {}),
        *(("Mul", ["x", "two"], [f"o{index}"], {}) for index in range(12)),
    ]
    constants = {"much": np.float32(3000), "two": np.float32(2)}
    return model_of(nodes, constants, {"y": SHAPE, **{f"o{index}": SHAPE for index in range(12)}})


def saved(model: Any, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def picture(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)

"""ONNX files that give the same outputs whatever they see, and how their inputs lie in frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

Place = tuple[tuple[float, float], tuple[float, float]]
"""frame = scale * input + offset, each (x, y)."""
LANDSCAPE, PORTRAIT, ODD = (108, 192), (190, 110), (133, 77)
FRAMES = [LANDSCAPE, PORTRAIT, ODD, (51, 263)]


def write_network(
    path: Path,
    outputs: dict[str, np.ndarray],
    *,
    size: tuple[int, int],
    dtype: str = "float32",
    metadata: dict[str, str] | None = None,
    toml: str = "",
    sizes_input: bool = False,
) -> Path:
    """Write it.

    Args:
        outputs: those of whole numbers stay int64, others have the precision of ``dtype`` (float32 of uint8).
        size: (height, width) of its input ``images``.
        dtype: of that input.
        toml: what stands in the TOML beside the file.
        sizes_input: a second input, ``orig_target_sizes``, multiplies ``boxes``: they are given relative to it.
    """
    helper, types, from_array = onnx.helper, onnx.TensorProto, onnx.numpy_helper.from_array
    made = np.float16 if dtype == "float16" else np.float32
    kinds = {"float32": types.FLOAT, "float16": types.FLOAT16, "uint8": types.UINT8, "int64": types.INT64}
    nodes = [
        helper.make_node("Cast", ["images"], ["numbers"], to=kinds["float32"]),
        helper.make_node("ReduceMax", ["numbers"], ["numbers.highest"], keepdims=0),
        helper.make_node("Mul", ["numbers.highest", "zero"], ["nothing"]),
        helper.make_node("Cast", ["nothing"], ["nothing.float"], to=kinds[np.dtype(made).name]),
        helper.make_node("Cast", ["nothing"], ["nothing.int"], to=types.INT64),
    ]
    constants, infos = [from_array(np.zeros((), np.float32), "zero")], []
    inputs = [helper.make_tensor_value_info("images", kinds[dtype], [1, 3, *size])]
    for name, array in outputs.items():
        whole = array.dtype.kind == "i"
        constants.append(from_array(np.ascontiguousarray(array, np.int64 if whole else made), f"{name}.planted"))
        scaled = sizes_input and name == "boxes"
        added = f"{name}.relative" if scaled else name
        nodes.append(helper.make_node("Add", [f"{name}.planted", "nothing.int" if whole else "nothing.float"], [added]))
        if scaled:
            inputs.append(helper.make_tensor_value_info("orig_target_sizes", types.INT64, ["N", 2]))
            nodes += [
                helper.make_node("Cast", ["orig_target_sizes"], ["sizes"], to=kinds[np.dtype(made).name]),
                helper.make_node("Concat", ["sizes", "sizes"], ["sizes.twice"], axis=1),
                helper.make_node("Mul", [added, "sizes.twice"], [name]),
            ]
        infos.append(
            helper.make_tensor_value_info(name, types.INT64 if whole else kinds[np.dtype(made).name], array.shape)
        )
    graph = helper.make_graph(nodes, "planted", inputs, infos, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, metadata or {})
    onnx.save(model, path)
    if toml:
        path.with_suffix(".toml").write_text(toml)
    return path


def stretched(size: tuple[int, int], frame: tuple[int, int]) -> Place:
    """The frame fills the input."""
    return (frame[1] / size[1], frame[0] / size[0]), (0.0, 0.0)


def letterboxed(size: tuple[int, int], frame: tuple[int, int]) -> Place:
    """Resized to whole pixels, in the middle; an odd pixel of padding at the right or bottom."""
    ratio = min(size[0] / frame[0], size[1] / frame[1])
    resized = [round(length * ratio) for length in frame]
    first = [round((whole - part) / 2 - 0.1) for whole, part in zip(size, resized, strict=True)]
    scale = (frame[1] / resized[1], frame[0] / resized[0])
    return scale, (-first[1] * scale[0], -first[0] * scale[1])


def padded(size: tuple[int, int], frame: tuple[int, int]) -> Place:
    """The aspect is kept, the frame lies at the top left."""
    scale = max(frame[0] / size[0], frame[1] / size[1])
    return (scale, scale), (0.0, 0.0)


PLACES = {"letterbox": letterboxed, "stretch": stretched, "pad": padded}


def in_frame(boxes: np.ndarray, place: Place, frame: tuple[int, int] | None = None) -> np.ndarray:
    """Boxes [N, 4] in input pixels as boxes in frame pixels, in double precision; clipped where ``frame`` is given."""
    scale, offset = place
    moved: np.ndarray = boxes.astype(np.float64) * (scale * 2) + offset * 2
    return moved if frame is None else np.clip(moved, 0, (frame[1], frame[0]) * 2)


def picture(frame: tuple[int, int], seed: int = 0) -> Any:
    """Random pixels, RGB."""
    return np.random.default_rng(seed).integers(0, 256, (*frame, 3)).astype(np.uint8)


def precision_of(engine: str) -> str:
    """Asked for where results are compared: fp32, which ONNX Runtime has only of files of that precision."""
    if engine == "onnxruntime":
        pytest.importorskip("onnxruntime", reason="needs onnxruntime (the extra of that name)")
    return "auto" if engine == "onnxruntime" else "fp32"

"""ONNX files of networks that make another picture of what they are given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx


def write_picture_net(
    path: Path,
    *,
    times: int = 1,
    channels: int = 3,
    last: bool = False,
    size: Sequence[int | str] = ("height", "width"),
    negative: bool = False,
    toml: str = "",
    name: str = "output",
    halvings: int = 0,
) -> Path:
    """A network whose output is its input, each pixel ``times`` by ``times`` times, or (``negative``) 1 less it.

    ``halvings``: before, it is made half as large (channels first) so often, and after it as much larger.
    """
    helper, types = onnx.helper, onnx.TensorProto

    def shape(rows: Any, columns: Any) -> list[Any]:
        return [1, rows, columns, channels] if last else [1, channels, rows, columns]

    inputs = [helper.make_tensor_value_info("image", types.FLOAT, shape(*size))]
    large = ["h", "w"] if isinstance(size[0], str) else [times * int(length) for length in size]
    outputs = [helper.make_tensor_value_info(name, types.FLOAT, shape(*large))]
    scales = np.array(shape(times * 2**halvings, times * 2**halvings), np.float32)
    scales[[0, 3 if last else 1]] = 1
    constants = [
        onnx.numpy_helper.from_array(scales, "scales"),
        onnx.numpy_helper.from_array(np.ones((), np.float32), "one"),
    ]
    nodes = [
        *(
            helper.make_node("MaxPool", [f"half{n}" if n else "image"], [f"half{n + 1}"], kernel_shape=[2, 2],
                             strides=[2, 2], ceil_mode=1)
            for n in range(halvings)
        ),
        helper.make_node("Resize", [f"half{halvings}" if halvings else "image", "", "scales"], ["enlarged"],
                         mode="nearest", nearest_mode="floor",
                         coordinate_transformation_mode="asymmetric"),
        helper.make_node("Sub", ["one", "enlarged"], [name]) if negative
        else helper.make_node("Identity", ["enlarged"], [name]),
    ]  # fmt: skip
    graph = helper.make_graph(nodes, "picture", inputs, outputs, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    if toml:
        path.with_suffix(".toml").write_text(toml)
    return path

"""Small networks of random weights that end as YOLOX and NanoDet-Plus do, decoded in the graph or not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx

STRIDES = (8, 16, 32)


def write_rows(
    path: Path,
    *,
    size: tuple[int, int],
    pieces: tuple[tuple[str, int], ...],
    decoding: bool = False,
    split: str = "",
    strides: tuple[int, ...] = STRIDES,
    output: str = "output",
    between: str = "",
    toml: str = "",
    channels_last: bool = True,
) -> Path:
    """Write one.

    Args:
        pieces: (activation, channels) of each convolution of a map.
        decoding: boxes of the first four columns are decoded, as YOLOX's exporter does where it is asked to.
        split: the pieces are split off one convolution, by an ``attribute``, ``constant`` or ``initializer``.
        between: an operator behind everything else, which passes all numbers.
        channels_last: [1, A, columns]; else [1, columns, A].
    """
    random, helper = np.random.default_rng(0), onnx.helper
    nodes, weights, flat = [], [], []

    def weight(name: str, array: np.ndarray) -> str:
        weights.append(onnx.numpy_helper.from_array(array, name))
        return name

    def convolution(name: str, stride: int, count: int) -> str:
        kernel = weight(f"{name}.w", random.normal(size=(count, 3, stride, stride)).astype(np.float32) * 0.1)
        bias = weight(f"{name}.b", random.normal(size=count).astype(np.float32))
        nodes.append(helper.make_node("Conv", ["images", kernel, bias], [name], strides=[stride, stride]))
        return name

    for stride in strides:
        if split:
            whole = convolution(f"all{stride}", stride, sum(count for _, count in pieces))
            names, parts = [f"c{stride}.{at}" for at in range(len(pieces))], [count for _, count in pieces]
            if split == "attribute":
                nodes.append(helper.make_node("Split", [whole], names, axis=1, split=parts))
            else:
                given = onnx.numpy_helper.from_array(np.array(parts, np.int64), f"parts{stride}")
                if split == "constant":
                    nodes.append(helper.make_node("Constant", [], [given.name], value=given))
                else:
                    weights.append(given)
                nodes.append(helper.make_node("Split", [whole, given.name], names, axis=1))
        else:
            names = [convolution(f"c{stride}.{at}", stride, count) for at, (_, count) in enumerate(pieces)]
        for at, (activation, _) in enumerate(pieces):
            if activation:
                nodes.append(helper.make_node(activation.capitalize(), [names[at]], [f"{names[at]}.on"]))
                names[at] += ".on"
        nodes.append(helper.make_node("Concat", names, [f"map{stride}"], axis=1))
        shape = weight(f"shape{stride}", np.array([1, sum(count for _, count in pieces), -1], np.int64))
        nodes.append(helper.make_node("Reshape", [f"map{stride}", shape], [f"flat{stride}"]))
        flat.append(f"flat{stride}")
    nodes.append(helper.make_node("Concat", flat, ["columns"], axis=2))
    name = "columns"
    if channels_last:
        nodes.append(helper.make_node("Transpose", [name], ["rows"], perm=[0, 2, 1]))
        name = "rows"
    if decoding:
        name = _decoded(name, nodes, weight, size, strides)
    if between:
        nodes.append(helper.make_node(between, [name], ["passed"]))
        name = "passed"
    nodes[-1].output[0] = output
    count = sum(-(-size[0] // stride) * -(-size[1] // stride) for stride in strides)
    columns = sum(count for _, count in pieces)
    lengths = [1, count, columns] if channels_last else [1, columns, count]
    graph = helper.make_graph(
        nodes, "rows", [helper.make_tensor_value_info("images", 1, [1, 3, *size])],
        [helper.make_tensor_value_info(output, 1, lengths)], weights,
    )  # fmt: skip
    opset = 11 if split == "attribute" else 17
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    if toml:
        path.with_suffix(".toml").write_text(toml)
    return path


def _decoded(
    name: str,
    nodes: list[onnx.NodeProto],
    weight: Callable[[str, np.ndarray], str],
    size: tuple[int, int],
    strides: tuple[int, ...],
) -> str:
    """The nodes of YOLOX's decoding behind ``name``."""
    cells, units = [], []
    for stride in strides:
        y, x = np.mgrid[: size[0] // stride, : size[1] // stride].astype(np.float32)
        cells.append(np.stack([x, y], axis=-1).reshape(-1, 2))
        units.append(np.full((len(cells[-1]), 1), stride, np.float32))
    grid, unit = weight("grid", np.concatenate(cells)[None]), weight("unit", np.concatenate(units)[None])
    make = onnx.helper.make_node
    for at, (first, last) in enumerate(((0, 2), (2, 4), (4, 10000))):
        ends = [weight(f"{what}{at}", np.array([value], np.int64)) for what, value in
                (("first", first), ("last", last), ("axis", 2))]  # fmt: skip
        nodes.append(make("Slice", [name, *ends], [f"part{at}"]))
    nodes += [
        make("Add", ["part0", grid], ["moved"]), make("Mul", ["moved", unit], ["centre"]),
        make("Exp", ["part1"], ["sides"]), make("Mul", ["sides", unit], ["sizes"]),
        make("Concat", ["centre", "sizes", "part2"], ["decoded"], axis=2),
    ]  # fmt: skip
    return "decoded"

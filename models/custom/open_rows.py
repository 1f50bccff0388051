"""Detectors that give as many rows as they find: made a fixed number, with rows of zeros behind those that are found.

Only where the outputs are those of a head whose rows of score 0 are none: ``dets`` with ``labels`` or ``keypoints``
(MMDeploy), or boxes [N, 4] with what belongs to them (torchvision, Detectron2). Such graphs have their best rows first.

Source: the operators Slice, Shape, Pad and Reshape of ONNX.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ...pipeline.types.picture import Size

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

MOST, MOST_WITH_MAPS = 300, 100
"""Rows that are kept; where each has a map as large as the input, as many as COCO's detectors give at most."""
DETECTION_COLUMNS, MOST_DETECTIONS = 6, 4096
"""Of PaddleDetection's rows of detections, whose suppression leaves 100 to 300 as it is configured."""
_OPSET = 11  # from which on it may be computed how much is padded
Lengths = tuple[int | None, ...] | None


def hold_rows(model: ModelProto, shapes: Mapping[str, Lengths], size: Size, batch: int) -> bool:
    """Give the outputs of such a detector a fixed number of rows; True where the graph was changed.

    Args:
        model: the network.
        shapes: of its outputs, as far as they are known.
        size: (height, width) of its input, which maps of unknown sides have too.
        batch: of its input.
    """
    opset = max((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=0)
    axis = _axis_of_rows(shapes)
    if axis is None or opset < _OPSET:
        return False
    maps = [shape[2:] for shape in shapes.values() if shape is not None and len(shape) == 4]
    most = MOST_WITH_MAPS if {size, (None, None)} & set(maps) else MOST
    targets: dict[str, tuple[int, ...]] = {}
    for name, shape in shapes.items():
        if shape is None or None not in shape:
            continue
        lengths = list(shape)
        lengths[axis] = most
        if axis == 1:
            lengths[0] = batch
        elif len(lengths) == 4:
            lengths[1] = 1
        if len(lengths) == 4 and lengths[2:] == [None, None]:
            lengths[2:] = size
        targets[name] = tuple(length for length in lengths if length is not None)
        if len(targets[name]) != len(lengths):
            return False
    for name, target in targets.items():
        _hold(model.graph, name, target, axis)
    return True


def hold_detections(graph: GraphProto) -> None:
    """Give every output of detections, float32 [?, 6], ``MOST_DETECTIONS`` rows: zeros follow those that are found."""
    from onnx import TensorProto, helper, numpy_helper

    for value in graph.output:
        tensor = value.type.tensor_type
        lengths = [each.dim_value for each in tensor.shape.dim]
        if lengths != [0, DETECTION_COLUMNS] or tensor.elem_type != TensorProto.FLOAT:
            continue
        name, found, longer = value.name, f"{value.name}.found", f"{value.name}.longer"
        for node in graph.node:
            node.output[:] = [found if each == name else each for each in node.output]
            node.input[:] = [found if each == name else each for each in node.input]
        zeros = numpy_helper.from_array(np.zeros((MOST_DETECTIONS, DETECTION_COLUMNS), np.float32), f"{name}.zeros")
        first = numpy_helper.from_array(np.arange(MOST_DETECTIONS), f"{name}.first")
        graph.initializer.extend([zeros, first])
        graph.node.extend(
            [
                helper.make_node("Concat", [found, zeros.name], [longer], axis=0),
                helper.make_node("Gather", [longer, first.name], [name], axis=0),
            ]
        )


def _axis_of_rows(shapes: Mapping[str, Lengths]) -> int | None:
    """Which axis of all outputs of unknown shape counts the rows; None: it is another network's."""
    unknown = {name: shape for name, shape in shapes.items() if shape is None or None in shape}
    if any(shape is None for shape in unknown.values()):
        return None
    ranks = [len(shape) for shape in unknown.values() if shape is not None]
    if "dets" in unknown and {"labels", "keypoints"} & set(unknown):
        return 1 if min(ranks) > 1 else None
    boxes = [shape for shape in unknown.values() if shape == (None, 4)]
    firsts = [shape[0] for shape in unknown.values() if shape is not None]
    return 0 if len(boxes) == 1 and len(unknown) > 1 and set(firsts) == {None} else None


def _hold(graph: GraphProto, name: str, target: tuple[int, ...], axis: int) -> None:
    """Make an output ``target`` long: cut along ``axis``, and filled with zeros."""
    from onnx import helper, numpy_helper

    def constant(what: str, values: list[int]) -> str:
        graph.initializer.append(numpy_helper.from_array(np.array(values, np.int64), f"{name}.{what}"))
        return f"{name}.{what}"

    found = f"{name}.found"
    for node in graph.node:
        node.output[:] = [found if each == name else each for each in node.output]
        node.input[:] = [found if each == name else each for each in node.input]
    only = [int(each == axis) for each in range(len(target))]
    window = [constant("first", [0]), constant("most", [target[axis]]), constant("axis", [axis])]
    whole = constant("target", list(target))
    before = constant("before", [0] * len(target))
    graph.node.extend([
        helper.make_node("Slice", [found, *window], [f"{name}.kept"]),
        helper.make_node("Shape", [f"{name}.kept"], [f"{name}.shape"]),
        helper.make_node("Sub", [whole, f"{name}.shape"], [f"{name}.shorter"]),
        helper.make_node("Mul", [f"{name}.shorter", constant("only", only)], [f"{name}.missing"]),
        helper.make_node("Concat", [before, f"{name}.missing"], [f"{name}.pads"], axis=0),
        helper.make_node("Pad", [f"{name}.kept", f"{name}.pads"], [f"{name}.padded"]),
        helper.make_node("Reshape", [f"{name}.padded", whole], [name]),
    ])  # fmt: skip

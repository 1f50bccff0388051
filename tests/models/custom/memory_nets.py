"""Networks with memory, of random weights: one as matting networks are, two of two frames, one that carries queries.

And the loop that they are meant for, in ONNX Runtime alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from vidgraph.models.model import Model
from vidgraph.pipeline.packet import TENSORS, Frame, Packet
from vidgraph.pipeline.stage import Stage
from vidgraph.pipeline.types.picture import Picture

SIZE = (16, 24)
"""(height, width) of all inputs for pictures, where they are not open."""
FLOAT, HALF, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.INT64
Lengths = Sequence[int | str]
Arrays = dict[str, np.ndarray]

node, tensor = onnx.helper.make_node, onnx.helper.make_tensor_value_info


def _constant(name: str, values: Any, dtype: Any = np.float32) -> Any:
    return onnx.numpy_helper.from_array(np.asarray(values, dtype), name)


def _weights(name: str, *shape: int) -> Any:
    seed = sum(map(ord, name))
    return _constant(name, np.random.default_rng(seed).normal(0, 0.5, shape))


def save(
    path: Path, nodes: Sequence[Any], inputs: Sequence[Any], outputs: Sequence[Any], weights: Sequence[Any]
) -> Path:
    graph = onnx.helper.make_graph(nodes, path.stem, inputs, outputs, weights)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def matting(path: Path, *, sides: Lengths = SIZE, batch: int | str = 1, ratio: bool = False, toml: str = "") -> Path:
    """``src`` and ``r1i``, ``r2i`` of open shapes; ``fgr``, ``pha`` and ``r1o``, ``r2o``: two states of two sizes.

    A state is spread over the shape of the features, so that the first may be zeros [1, 1, 1, 1].

    Args:
        ratio: an input ``downsample_ratio`` [1] scales what the states are of, and they with it.
    """
    scaled = "small" if ratio else "src"
    nodes = [
        node("AveragePool", [scaled], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["pooled", "w1"], ["f1"]),
        node("Shape", ["f1"], ["f1.shape"]),
        node("Expand", ["r1i", "f1.shape"], ["h1"]),
        node("Mul", ["h1", "decay"], ["h1.kept"]),
        node("Add", ["f1", "h1.kept"], ["h1.new"]),
        node("Tanh", ["h1.new"], ["r1o"]),
        node("AveragePool", ["r1o"], ["pooled.again"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["pooled.again", "w2"], ["f2"]),
        node("Shape", ["f2"], ["f2.shape"]),
        node("Expand", ["r2i", "f2.shape"], ["h2"]),
        node("Mul", ["h2", "decay"], ["h2.kept"]),
        node("Sub", ["f2", "h2.kept"], ["h2.new"]),
        node("Sigmoid", ["h2.new"], ["r2o"]),
        node("Conv", ["r2o", "w3"], ["alpha"]),
        node("Shape", ["src"], ["src.shape"]),
        node("Slice", ["src.shape", "two", "four"], ["src.sides"]),
        node("Shape", ["alpha"], ["alpha.shape"]),
        node("Slice", ["alpha.shape", "zero", "two"], ["alpha.planes"]),
        node("Concat", ["alpha.planes", "src.sides"], ["alpha.full"], axis=0),
        node("Resize", ["alpha", "", "", "alpha.full"], ["alpha.large"], mode="nearest",
             coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
        node("Sigmoid", ["alpha.large"], ["pha"]),
        node("Mul", ["src", "pha"], ["fgr"]),
    ]  # fmt: skip
    weights = [
        _weights("w1", 4, 3, 1, 1), _weights("w2", 5, 4, 1, 1), _weights("w3", 1, 5, 1, 1), _constant("decay", 0.75),
        *(_constant(name, [value], np.int64) for name, value in (("zero", 0), ("two", 2), ("four", 4))),
    ]  # fmt: skip
    inputs = [tensor("src", FLOAT, [batch, 3, *sides])]
    inputs += [tensor(f"r{n}i", FLOAT, ["batch", f"channels{n}", f"height{n}", f"width{n}"]) for n in (1, 2)]
    if ratio:
        inputs.append(tensor("downsample_ratio", FLOAT, [1]))
        weights.append(_constant("ones", [1, 1]))
        nodes[:0] = [
            node("Concat", ["ones", "downsample_ratio", "downsample_ratio"], ["scales"], axis=0),
            node("Resize", ["src", "", "scales"], ["small"], mode="nearest",
                 coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
        ]  # fmt: skip
    outputs = [tensor(f"r{n}o", FLOAT, [batch, c, f"height{n}", f"width{n}"]) for n, c in ((1, 4), (2, 5))]
    outputs = [tensor("fgr", FLOAT, [batch, 3, *sides]), tensor("pha", FLOAT, [batch, 1, *sides]), *outputs]
    if toml:
        path.with_suffix(".toml").write_text(toml)
    return save(path, nodes, inputs, outputs, weights)


def flow(path: Path, *, toml: str = '[input]\nprevious = "image1"\n') -> Path:
    """``image1``, ``image2``; ``flow`` [1, 2, H, W]."""
    nodes = [
        node("Concat", ["image1", "image2"], ["both"], axis=1),
        node("Conv", ["both", "w"], ["flow"], pads=[1, 1, 1, 1]),
    ]
    inputs = [tensor(name, FLOAT, [1, 3, *SIZE]) for name in ("image1", "image2")]
    if toml:
        path.with_suffix(".toml").write_text(toml)
    return save(path, nodes, inputs, [tensor("flow", FLOAT, [1, 2, *SIZE])], [_weights("w", 2, 6, 3, 3)])


QUERIES = (3, 4)
QUERIES_TOML = """
head = "classify"
scores = "given"
classes = ["a", "b", "c"]

[state]
queries = { output = "queries.next", first = "learned.npy" }
seen = { output = "seen.next", first = "ones" }
"""


def queries(path: Path, *, toml: str = QUERIES_TOML) -> Path:
    """``pixel_values``, ``queries`` [1, 3, 4] and ``seen`` int64 [1]; ``probabilities`` [1, 3] and both of the next.

    The scores of the classes are the means of the queries, whose first values are in ``learned.npy``; ``seen`` counts
    frames and divides what is new.
    """
    nodes = [
        node("GlobalAveragePool", ["pixel_values"], ["mean"]),
        node("Reshape", ["mean", "column"], ["colours"]),
        node("Cast", ["seen"], ["divisor"], to=FLOAT),
        node("Div", ["colours", "divisor"], ["new"]),
        node("Add", ["queries", "new"], ["turned"]),
        node("MatMul", ["turned", "w"], ["mixed"]),
        node("Tanh", ["mixed"], ["queries.next"]),
        node("ReduceMean", ["queries.next"], ["scores"], axes=[2], keepdims=0),
        node("Sigmoid", ["scores"], ["probabilities"]),
        node("Add", ["seen", "one"], ["seen.next"]),
    ]
    learned = np.random.default_rng(7).normal(0, 1, (1, *QUERIES)).astype(np.float32)
    np.save(path.parent / "learned.npy", learned[0])  # spread over the batch
    weights = [_weights("w", 4, 4), _constant("column", [1, 3, 1], np.int64), _constant("one", [1], np.int64)]
    inputs = [
        tensor("pixel_values", FLOAT, [1, 3, *SIZE]), tensor("queries", FLOAT, [1, *QUERIES]),
        tensor("seen", INT64, [1]),
    ]  # fmt: skip
    outputs = [
        tensor("probabilities", FLOAT, [1, 3]), tensor("queries.next", FLOAT, [1, *QUERIES]),
        tensor("seen.next", INT64, [1]),
    ]  # fmt: skip
    path.with_suffix(".toml").write_text(toml)
    return save(path, nodes, inputs, outputs, weights)


def pictures(count: int, seed: int = 0, size: tuple[int, int] = (32, 48)) -> list[np.ndarray]:
    """RGB pictures of noise, uint8 [H, W, 3]."""
    chance = np.random.default_rng(seed)
    return [chance.integers(0, 256, (*size, 3)).astype(np.uint8) for _ in range(count)]


def frame(picture: np.ndarray, index: int, *, stream: str = "a", epoch: int = 0) -> Frame:
    return Frame(stream, index, epoch, index * 40_000_000, 40_000_000, Picture.from_rgb(picture))


def inputs_of(model: Model, frames: Iterable[Frame]) -> list[np.ndarray]:
    """What the network is given of each picture, as the stage before it makes it."""
    stage, found = model.preprocess(), []
    for one in frames:
        (packet,) = stage.process(Packet(one))
        (given,) = packet.items.values()
        found.append(np.array(given.tensor))
    return found


class Loop:
    """A network with memory in ONNX Runtime, frame by frame: the reference.

    Args:
        path: the file, of open axes or fixed ones.
        picture: its input for pictures.
        state: input -> output.
        first: input -> first value.
        previous: its input for the picture before.
        fed: what other inputs are given.
    """

    def __init__(
        self,
        path: Path,
        picture: str,
        state: Mapping[str, str],
        first: Arrays,
        *,
        previous: str | None = None,
        fed: Arrays | None = None,
    ) -> None:
        import onnxruntime as ort

        self.session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        self.names = [each.name for each in self.session.get_outputs()]
        self.picture, self.state, self.first, self.previous, self.fed = picture, state, first, previous, fed or {}

    def __call__(self, images: Iterable[np.ndarray]) -> list[Arrays]:
        """All outputs of the frames of one epoch."""
        held, before, found = dict(self.first), None, []
        for image in images:
            feeds = {self.picture: image, **held, **self.fed}
            if self.previous is not None:
                feeds[self.previous] = image if before is None else before
            answer = dict(zip(self.names, self.session.run(None, feeds), strict=True))
            held, before = {name: answer[output] for name, output in self.state.items()}, image
            found.append(answer)
        return found


def matting_loop(path: Path, **fed: np.ndarray) -> Loop:
    """As matting networks are run: the first states are zeros [1, 1, 1, 1]."""
    first = {f"r{n}i": np.zeros((1, 1, 1, 1), np.float32) for n in (1, 2)}
    return Loop(path, "src", {"r1i": "r1o", "r2i": "r2o"}, first, fed=dict(fed))


def given_by(stages: Sequence[Stage], packets: Iterable[Packet]) -> list[Packet]:
    """Everything that comes out."""
    out = list(packets)
    for stage in stages:
        out = [given for packet in out for given in stage.process(packet)]
    return out


def tensors_of(packet: Packet) -> Mapping[str, Any]:
    return packet[TENSORS].arrays


def check_equal(got: Iterable[Mapping[str, Any]], want: Iterable[Arrays], names: Sequence[str]) -> None:
    """Frame by frame, bit for bit."""
    for ours, theirs in zip(got, want, strict=True):
        assert list(ours) == list(names)
        for name in names:
            np.testing.assert_array_equal(ours[name], theirs[name])


Made = Callable[..., Path]

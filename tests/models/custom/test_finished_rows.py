"""Heads of detections that the graph has suppressed: counted ones, and rows of image, class, score and box."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from vidgraph import DETECTIONS
from vidgraph.engines.spec import TensorSpec
from vidgraph.models import load_model
from vidgraph.models.custom.description import Description
from vidgraph.models.custom.detect_head import recognise
from vidgraph.models.custom.heads import fitting
from vidgraph.models.custom.inspect import inspect_model
from vidgraph.models.options import PostprocessOptions
from vidgraph.pipeline.errors import EngineError, UsageError
from vidgraph.pipeline.types.affine import Affine
from vidgraph.pipeline.types.detections import Detections
from vidgraph.stages.inference.infer import RawOutputs

from .planted import FRAMES, LANDSCAPE, PLACES, in_frame, picture, precision_of, stretched, write_network

SIZE = (64, 96)
CLASSES = ("cat", "dog", "cup")
IDS, SCORES = np.array([1, 0, 2]), np.array([0.9375, 0.75, 0.625], np.float32)
PIXELS = np.array([[8, 4, 32, 28], [40, 16, 72, 56], [10, 30, 30, 60]], np.float32)
RELATIVE = (PIXELS / (SIZE[1], SIZE[0], SIZE[1], SIZE[0])).astype(np.float32)
ROWS, ORDER = 20, [2, 0, 1]
"""Of an output; where the objects are in it."""
PLACE = stretched(SIZE, LANDSCAPE)


def counted(names: tuple[str, ...] = ("num_dets", "det_boxes", "det_scores", "det_classes")) -> dict[str, np.ndarray]:
    """Behind the detections stands another that is none."""
    boxes, scores, labels = np.zeros((1, ROWS, 4)), np.zeros((1, ROWS)), np.zeros((1, ROWS), np.int64)
    boxes[0, ORDER], scores[0, ORDER], labels[0, ORDER] = PIXELS, SCORES, IDS
    boxes[0, 3], scores[0, 3] = (1, 2, 50, 60), 0.9
    values = (np.array([[3]]), boxes.astype(np.float32), scores.astype(np.float32), labels)
    return dict(zip(names, values, strict=True))


def images(first: int = 1) -> dict[str, np.ndarray]:
    """[1, 1, N, 7], labels from ``first`` on; behind the end stands another that is none."""
    table = np.zeros((ROWS, 7), np.float32)
    table[ORDER, 1], table[ORDER, 2], table[ORDER, 3:] = IDS + first, SCORES, RELATIVE
    table[3, 0] = -1
    table[4, 1:] = (1, 0.9, 0.1, 0.1, 0.9, 0.9)
    return {"detection_out": table[None, None]}


def paddle(count: int | None = None) -> dict[str, np.ndarray]:
    """[N, 6]; where they are counted, another that is none stands behind."""
    table = np.zeros((ROWS, 6), np.float32)
    table[ORDER, 0], table[ORDER, 1], table[ORDER, 2:] = IDS, SCORES, PIXELS
    table[3:, 0] = -1
    if count is None:
        return {"tile_3.tmp_0": table}
    table[4] = (1, 0.9, 1, 2, 50, 60)
    return {"tile_3.tmp_0": table, "tile_4.tmp_0": np.array([count])}


NAMED = f"classes = {list(CLASSES)}\n"
INPUT = "mean = [0, 0, 0]\nstd = [255, 255, 255]\n"
KINDS: dict[str, tuple[str, dict[str, np.ndarray], str]] = {
    "efficient-nms": ("efficient-nms", counted(), ""),
    "detection-output": ("detection-output", images(), ""),
    "detection-output, from 0": ("detection-output", images(0), 'background = "none"\n'),
    "paddle": ("paddle", paddle(), 'head = "paddle"\n'),
    "paddle, counted": ("paddle", paddle(3), 'head = "paddle"\n'),
}


def check(found: Detections, place: Any, frame: tuple[int, int] = LANDSCAPE, rows: Any = slice(None)) -> None:
    boxes = in_frame(PIXELS, place, frame)
    seen = [row for row in np.arange(3)[rows] if (boxes[row, 2:] > boxes[row, :2]).all()]
    np.testing.assert_allclose(found.boxes, boxes[seen], atol=2e-3)
    np.testing.assert_array_equal(found.scores, SCORES[seen])
    assert found.class_ids.tolist() == IDS[seen].tolist()


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("fit", PLACES)
@pytest.mark.parametrize("kind", KINDS)
def test_planted_objects_come_out_of_a_file(kind: str, fit: str, engine: str, tmp_path: Path) -> None:
    head, outputs, said = KINDS[kind]
    toml = f'{NAMED}{said}[input]\nfit = "{fit}"\n{INPUT}'
    path = write_network(tmp_path / "own.onnx", outputs, size=SIZE, toml=toml)
    with load_model(str(path), engine=engine, precision=precision_of(engine)) as model:
        for frame in FRAMES:
            check(model(picture(frame)).detections, PLACES[fit](SIZE, frame), frame)
    assert inspect_model(path).head.kind == head


def write_paddle(path: Path, *, count: bool, toml: str) -> Path:
    """A network with Paddle's three inputs that suppresses boxes of 3 classes, so that the number of its rows is open.

    Boxes are in pixels of the input, divided by ``scale_factor``, moved by what ``im_shape`` differs from the input.
    """
    boxes = np.concatenate([PIXELS[ORDER], PIXELS[ORDER] + 1, np.zeros((2, 4), np.float32)])
    scores = np.zeros((3, len(boxes)), np.float32)
    scores[IDS[ORDER], [0, 1, 2]] = SCORES[ORDER]
    scores[IDS[ORDER], [3, 4, 5]] = SCORES[ORDER] - 0.125
    make, constants = onnx.helper.make_node, {
        "boxes": boxes[None], "scores": scores[None], "most": np.array(50), "overlap": np.float32(0.5),
        "least": np.float32(0.1), "shape": np.array([SIZE], np.float32), "zero": np.zeros((), np.float32),
        "one": np.array(1), "two": np.array(2), "axis": np.array([1]), "none": np.array([0]),
    }  # fmt: skip
    nodes = [
        make("ReduceMax", ["image"], ["brightest"], keepdims=0),
        make("Mul", ["brightest", "zero"], ["nothing"]),
        make("Add", ["scores", "nothing"], ["seen"]),
        make("NonMaxSuppression", ["boxes", "seen", "most", "overlap", "least"], ["picked"]),
        make("Gather", ["picked", "one"], ["class"], axis=1),
        make("Gather", ["picked", "two"], ["row"], axis=1),
        make("Squeeze", ["boxes", "none"], ["flat"]),
        make("Gather", ["flat", "row"], ["chosen"], axis=0),
        make("Sub", ["im_shape", "shape"], ["moved"]),
        make("Concat", ["moved", "moved"], ["moved.twice"], axis=1),
        make("Concat", ["scale_factor", "scale_factor"], ["scale"], axis=1),
        make("Div", ["chosen", "scale"], ["scaled"]),
        make("Add", ["scaled", "moved.twice"], ["placed"]),
        make("Concat", ["picked.class", "picked.row"], ["pairs"], axis=1),
        make("Squeeze", ["seen", "none"], ["table"]),
        make("GatherND", ["table", "pairs"], ["score"]),
        make("Unsqueeze", ["score", "axis"], ["score.column"]),
        make("Cast", ["picked.class"], ["class.column"], to=1),
        make("Concat", ["class.column", "score.column", "placed"], ["rows"], axis=1),
    ]
    for at, name in ((1, "picked.class"), (2, "picked.row")):
        ends = [f"first{at}", f"last{at}", "axis"]
        constants |= {ends[0]: np.array([at]), ends[1]: np.array([at + 1])}
        nodes.insert(4, make("Slice", ["picked", *ends], [name]))
    info = onnx.helper.make_tensor_value_info
    outputs = [info("rows", 1, ["n", 6])]
    if count:
        nodes += [make("Shape", ["rows"], ["size"]), make("Gather", ["size", "none"], ["length"], axis=0)]
        outputs.append(info("length", 7, [1]))
    graph = onnx.helper.make_graph(
        nodes, "paddle",
        [info("im_shape", 1, ["b", 2]), info("image", 1, ["b", 3, *SIZE]), info("scale_factor", 1, ["b", 2])],
        outputs, [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), path)
    path.with_suffix(".toml").write_text(toml)
    return path


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("count", [False, True])
def test_a_paddle_network_with_its_three_inputs_and_an_open_number_of_rows(
    count: bool, engine: str, tmp_path: Path
) -> None:
    path = write_paddle(tmp_path / "ppyoloe.onnx", count=count, toml=f"{NAMED}[input]\n{INPUT}")
    custom = inspect_model(path)
    assert (custom.head.kind, custom.about.input.fit) == ("paddle", "stretch")
    with load_model(str(path), engine=engine, precision=precision_of(engine)) as model:
        for frame in FRAMES:
            check(model(picture(frame)).detections, stretched(SIZE, frame), frame)


def test_a_paddle_network_says_nothing_of_its_picture(tmp_path: Path) -> None:
    path = write_paddle(tmp_path / "ppyoloe.onnx", count=False, toml=NAMED)
    with pytest.raises(
        UsageError, match=r"paddle networks differ: say mean .*, std .* under \[input\] in ppyoloe.toml"
    ):
        inspect_model(path)


def specs(outputs: dict[str, np.ndarray]) -> list[TensorSpec]:
    return [TensorSpec(name, array.dtype, array.shape) for name, array in outputs.items()]


def decoded(
    kind: str,
    outputs: dict[str, np.ndarray],
    choices: PostprocessOptions = PostprocessOptions(),  # noqa: B008, frozen
) -> Detections:
    """What comes out of a stretched frame; the outputs are overwritten in between, as those of an engine may be."""
    name, _, said = KINDS[kind]
    about = Description(head=name, classes=CLASSES, background="none" if "background" in said else None)
    head: Any = fitting(name)(specs(outputs), about, SIZE)
    assert not isinstance(head, str), head
    assert head.reads == set(outputs)
    lease = {name: array.copy() for name, array in outputs.items()}
    arrays = head.select_outputs(choices)(lease)
    for array in lease.values():
        array.fill(0)
    raw = RawOutputs(arrays, SIZE, Affine(*stretched(SIZE, LANDSCAPE)))
    found: Detections = head.decode(raw, LANDSCAPE, choices, CLASSES)[DETECTIONS]
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_choices_and_numbers_that_are_none(kind: str) -> None:
    outputs = {name: array.copy() for name, array in KINDS[kind][1].items()}
    check(decoded(kind, outputs, PostprocessOptions(classes=(1,))), PLACE, rows=[0])
    check(decoded(kind, outputs, PostprocessOptions(max_detections=2)), PLACE, rows=slice(2))
    check(decoded(kind, outputs, PostprocessOptions(min_score=0.75)), PLACE, rows=slice(1))
    assert len(decoded(kind, outputs, PostprocessOptions(min_score=0.95))) == 0
    numbers = max((array for array in outputs.values() if array.dtype.kind == "f"), key=np.size)
    for bad in (np.nan, np.inf, -np.inf):
        table = numbers.reshape(-1, numbers.shape[-1])
        table[ORDER[0], -2] = bad
        check(decoded(kind, outputs), PLACE, rows=slice(1, None))
    broken = {name: array * (np.nan if array.dtype.kind == "f" else 1) for name, array in outputs.items()}
    if kind.startswith("detection-output"):
        assert len(decoded(kind, broken)) == 0  # no image, no row
    else:
        with pytest.raises(EngineError, match="has no finite number"):
            decoded(kind, broken)


@pytest.mark.parametrize("count", [0, -1, 10**9])
def test_a_count_of_none_or_too_many(count: int) -> None:
    outputs = counted()
    outputs["num_dets"][:] = count
    outputs["det_scores"][0, 3] = 0
    assert len(decoded("efficient-nms", outputs)) == (3 if count > 0 else 0)
    assert len(decoded("paddle, counted", paddle(count))) == (4 if count > 0 else 0)


def test_a_label_beyond_the_classes_is_an_error() -> None:
    outputs = images()
    outputs["detection_out"][0, 0, 0, 1] = 4
    with pytest.raises(EngineError, match=r"'detection_out' has label 4, but 3 classes are named"):
        decoded("detection-output", outputs)


def test_recognised_by_their_outputs() -> None:
    named = Description(classes=CLASSES)
    assert recognise(specs(counted()), named, SIZE).kind == "efficient-nms"
    assert recognise(specs(images()), named, SIZE).kind == "detection-output"
    assert recognise(specs(images()), Description(classes=("person",)), SIZE).kind == "detection-output"
    assert recognise(specs(images()), Description(), SIZE).class_count is None
    for source in ("im_shape", "scale_factor"):
        about = Description(boxes_unit="pixels", sources={"boxes_unit": f"the input {source!r}"})
        assert recognise(specs(paddle()), about, SIZE).kind == "paddle"
    with pytest.raises(UsageError, match="no head fits"):
        recognise(specs(paddle()), named, SIZE)


def spec(name: str, *shape: int, dtype: type = np.float32) -> TensorSpec:
    return TensorSpec(name, np.dtype(dtype), shape)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (spec("det_boxes", 1, 20, 5), r"'det_boxes' float32 \[1, 20, 5\] must be boxes float32 \[1, N, 4\]"),
        (spec("det_scores", 1, 21), r"'det_scores' .* must be float32 \[1, 20\], one for each box"),
        (spec("det_classes", 1, 20), r"'det_classes' .* must be whole numbers \[1, 20\]"),
        (spec("num_dets", 1, 2, dtype=np.int64), r"'num_dets' .* must be a whole number \[1, 1\]"),
    ],
)
def test_counted_outputs_of_other_shapes_are_refused(changed: TensorSpec, why: str) -> None:
    outputs = [changed if each.name == changed.name else each for each in specs(counted())]
    with pytest.raises(UsageError, match=why):
        recognise(outputs, Description(classes=CLASSES), SIZE)


@pytest.mark.parametrize(
    ("outputs", "head"),
    [
        ([spec("a", 1, 1, 20, 6)], "detection-output"),
        ([*specs(images()), spec("more", 1, 8)], "detection-output"),
        ([spec("a", 20, 7)], "paddle"),
        (
            [*specs(paddle()), spec("masks", 20, 28, 28), spec("n", 1, dtype=np.int64), spec("m", 1, dtype=np.int64)],
            "paddle",
        ),
        ([spec("num_dets", 1, 1, dtype=np.int64), spec("det_boxes", 1, 20, 4)], "efficient-nms"),
    ],
)
def test_other_outputs_are_not_theirs(outputs: list[TensorSpec], head: str) -> None:
    assert not hasattr(fitting(head)(outputs, Description(head=head, classes=CLASSES), SIZE), "decode")
    with pytest.raises(UsageError, match=f"is not {head} .that reads"):
        recognise(outputs, Description(head=head, classes=CLASSES), SIZE)

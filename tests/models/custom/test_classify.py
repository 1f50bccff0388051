"""Head classify: the best classes of the whole picture, drawn so that each can be read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from vidgraph import DETECTIONS
from vidgraph.engines.spec import TensorSpec
from vidgraph.models import load_model
from vidgraph.models.custom.description import Description
from vidgraph.models.custom.heads import fitting
from vidgraph.models.options import PostprocessOptions
from vidgraph.pipeline.errors import EngineError, UsageError
from vidgraph.pipeline.types.affine import Affine
from vidgraph.pipeline.types.detections import Detections
from vidgraph.stages.inference.infer import RawOutputs

from .planted import FRAMES, LANDSCAPE, picture, precision_of, stretched, write_network

SIZE = (64, 64)
CLASSES = ("cat", "dog", "cup", "car", "kite")
LOGITS = np.array([[-1.5, 3.0, 0.25, 2.5, -4.0]], np.float32)
ORDER = [1, 3, 2, 0, 4]
SAID = f"classes = {list(CLASSES)}\n"


def shares(logits: np.ndarray = LOGITS) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64))
    return np.asarray(powers / powers.sum())


SCORES = {
    "softmax": shares()[0],
    "sigmoid": 1 / (1 + np.exp(-LOGITS[0].astype(np.float64))),
    "given": shares()[0],
}
OUTPUTS = {"softmax": LOGITS, "sigmoid": LOGITS, "given": shares().astype(np.float32)}


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("kind", OUTPUTS)
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
@pytest.mark.parametrize("fit", ["crop", "stretch", "letterbox"])
def test_the_best_classes_of_a_file(kind: str, engine: str, dtype: str, fit: str, tmp_path: Path) -> None:
    toml = SAID + f'scores = "{kind}"\n[input]\nfit = "{fit}"\n'
    path = write_network(tmp_path / "own.onnx", {"logits": OUTPUTS[kind]}, size=SIZE, dtype=dtype, toml=toml)
    with load_model(str(path), engine=engine, precision=precision_of(engine), max_detections=3) as model:
        assert model.class_names == CLASSES
        for frame in FRAMES:
            found = model(picture(frame)).detections
            assert found.class_ids.tolist() == ORDER[:3]
            np.testing.assert_allclose(found.scores, SCORES[kind][ORDER[:3]], rtol=2e-3 if dtype == "float16" else 1e-5)
            np.testing.assert_array_equal(found.boxes, [[0, 0, frame[1], frame[0]]] * 3)


def decoded(
    output: np.ndarray,
    about: Description,
    choices: PostprocessOptions = PostprocessOptions(),  # noqa: B008, frozen
) -> Detections:
    head: Any = fitting("classify")([TensorSpec("out", output.dtype, output.shape)], about, SIZE)
    assert not isinstance(head, str), head
    lease = {"out": output.copy()}
    arrays = head.select_outputs(choices)(lease)
    lease["out"].fill(0)
    raw = RawOutputs(arrays, SIZE, Affine(*stretched(SIZE, LANDSCAPE)))
    found: Detections = head.decode(raw, LANDSCAPE, choices, CLASSES)[DETECTIONS]
    return found


ABOUT = Description(classes=CLASSES)


@pytest.mark.parametrize("output", [LOGITS, shares().astype(np.float32), LOGITS[:, :, None, None]])
def test_numbers_show_whether_they_are_probabilities(output: np.ndarray) -> None:
    found = decoded(output, ABOUT, PostprocessOptions(max_detections=5))
    assert found.class_ids.tolist() == ORDER
    np.testing.assert_allclose(found.scores, shares()[0, ORDER], rtol=1e-5)


def test_one_class_unless_more_are_asked_for() -> None:
    assert decoded(LOGITS, ABOUT).class_ids.tolist() == [1]
    assert decoded(LOGITS, ABOUT, PostprocessOptions(max_detections=5, min_score=0.1)).class_ids.tolist() == [1, 3]
    assert decoded(LOGITS, ABOUT, PostprocessOptions(max_detections=2, classes=(0, 2, 4))).class_ids.tolist() == [2, 0]
    assert len(decoded(LOGITS, ABOUT, PostprocessOptions(min_score=1.0))) == 0


def test_a_column_of_background_is_no_class() -> None:
    with_background = np.concatenate([[[9.0]], LOGITS], axis=1).astype(np.float32)
    found = decoded(with_background, Description(classes=CLASSES, background="first"))
    assert found.class_ids.tolist() == [1]
    np.testing.assert_allclose(found.scores, shares(with_background)[0, 2], rtol=1e-5)


def test_numbers_that_are_none() -> None:
    some = LOGITS.copy()
    some[0, 1] = np.nan
    assert decoded(some, Description(classes=CLASSES, scores="sigmoid")).class_ids.tolist() == [3]
    with pytest.raises(EngineError, match="output 'out' has no finite number"):
        decoded(np.full_like(LOGITS, np.nan), ABOUT)


def test_an_overlap_means_nothing_here() -> None:
    with pytest.raises(UsageError, match="nms_iou cannot be given"):
        decoded(LOGITS, ABOUT, PostprocessOptions(nms_iou=0.5))


def spec(name: str, *shape: int) -> TensorSpec:
    return TensorSpec(name, np.dtype(np.float32), shape)


@pytest.mark.parametrize(
    ("outputs", "about", "why"),
    [
        ([spec("out", 1, 1000)], ABOUT, "speaks of 1000 classes, but 5 are named"),
        ([spec("out", 1, 1)], Description(head="classify"), "is one score; say whether `scores` are given, or need"),
        (
            [spec("out", 1, 512)],
            Description(),
            "may be features of the picture .an embedding., or scores of 512 classes; .*of features, say head = .embed",
        ),
        (
            [spec("out", 1, 5, 1, 1)],
            Description(background="last"),
            r"name them \(--labels, or `classes`\), or say head",
        ),
        ([spec("a", 1, 5), spec("b", 1, 5)], ABOUT, "'a' .* 'b' .* may each be scores of classes; say which"),
    ],
)
def test_refused(outputs: list[TensorSpec], about: Description, why: str) -> None:
    answer = fitting("classify")(outputs, about, SIZE)
    assert isinstance(answer, str)
    assert re.search(why, answer), answer
    assert "\n" not in answer


@pytest.mark.parametrize(
    "said", [{"classes": CLASSES}, {"head": "classify"}, {"task": "classify"}, {"scores": "given"},
             {"outputs": {"logits": "out"}}],
)  # fmt: skip
def test_what_says_that_a_row_is_of_scores(said: dict[str, Any]) -> None:
    head: Any = fitting("classify")([spec("out", 1, 5)], Description(**said), SIZE)
    assert (head.kind, head.class_count, head.reads) == ("classify", 5, {"out"})


def with_end(path: Path, *operators: str) -> Path:
    """The file with these operators behind its output."""
    model = onnx.load(path)
    name = model.graph.output[0].name
    for node in model.graph.node:
        node.output[:] = [f"{name}.0" if each == name else each for each in node.output]
    for index, operator in enumerate(operators):
        end = name if index == len(operators) - 1 else f"{name}.{index + 1}"
        model.graph.node.append(onnx.helper.make_node(operator, [f"{name}.{index}"], [end]))
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("operators", [("Softmax",), ("Flatten", "Softmax"), ("Softmax", "Identity", "Flatten")])
def test_a_softmax_at_the_end_says_that_they_are_scores(operators: tuple[str, ...], tmp_path: Path) -> None:
    path = with_end(write_network(tmp_path / "own.onnx", {"out": LOGITS}, size=SIZE), *operators)
    with load_model(str(path), precision="fp32") as model:
        found = model(picture(LANDSCAPE)).detections
    assert found.class_ids.tolist() == [1]
    np.testing.assert_allclose(found.scores, shares()[0, [1]], rtol=1e-5)


@pytest.mark.parametrize("operators", [("Sigmoid",), ("Softmax", "Neg"), ("Identity",)])
def test_without_a_softmax_or_names_they_may_be_features(operators: tuple[str, ...], tmp_path: Path) -> None:
    path = with_end(write_network(tmp_path / "own.onnx", {"out": LOGITS}, size=SIZE), *operators)
    with pytest.raises(
        UsageError, match=r"may be features .* own.toml .*; its outputs are out .*; its inputs are images"
    ):
        load_model(str(path))
    with load_model(str(path), labels=CLASSES) as model:
        assert model.class_names == CLASSES


def test_the_output_that_counts_and_what_the_head_says() -> None:
    both = [spec("features", 1, 512), spec("classes", 1, 5)]
    head: Any = fitting("classify")(both, Description(classes=CLASSES, outputs={"scores": "classes"}), SIZE)
    assert (head.output, head.kind, head.class_count, head.point_names) == ("classes", "classify", 5, ())
    assert set(head.gives) == {DETECTIONS}
    for outputs in ([spec("out", 1, 84, 8400)], [spec("out", 1, 21, 48, 80)], [spec("a", 1, 5), spec("b", 1, 5, 4)]):
        assert fitting("classify")(outputs, ABOUT, SIZE) is None


def test_labels_of_several_classes_stand_below_each_other(tmp_path: Path) -> None:
    path = write_network(tmp_path / "own.onnx", {"logits": LOGITS}, size=SIZE, toml=SAID)
    black: Any = np.zeros((200, 320, 3), np.uint8)
    with load_model(str(path), max_detections=1) as one, load_model(str(path), max_detections=3) as three:
        single, several = one(black).draw(), three(black).draw()
    height = int(np.flatnonzero(~single[:, 6].any(axis=1))[0])  # of a label, in the upper left corner
    assert 10 <= height < 40
    np.testing.assert_array_equal(single[1:height, 1:20], several[1:height, 1:20])
    assert several[: 3 * height, 6].any(axis=1).all()
    assert not several[3 * height : 190, 6].any()
    assert len({tuple(several[row * height + 1, 6]) for row in range(3)}) == 3

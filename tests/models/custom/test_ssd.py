"""Head ssd: offsets to priors, decoded boxes and suppressed ones come out in frame pixels, each class by itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph import DETECTIONS
from vidgraph.engines.spec import TensorSpec
from vidgraph.kernels import ssd_priors
from vidgraph.models import load_model
from vidgraph.models.custom.description import Description
from vidgraph.models.custom.heads import fitting
from vidgraph.models.options import PostprocessOptions
from vidgraph.pipeline.errors import EngineError, UsageError
from vidgraph.pipeline.types.affine import Affine
from vidgraph.pipeline.types.detections import Detections
from vidgraph.stages.inference.infer import RawOutputs

from .planted import FRAMES, LANDSCAPE, PLACES, in_frame, picture, precision_of, stretched, write_network

SIZE = (64, 96)
CLASSES = ("cat", "dog", "cup")
STRIDES, SIDES = (16, 32), ((16, 24), (40,))
PRIORS = ssd_priors(SIZE, strides=STRIDES, min_sizes=SIDES)
AT, IDS, SCORES = [3, 20, 11, 40], [1, 0, 1, 2], [0.9375, 0.875, 0.75, 0.625]
"""The place, class and score of each planted object, best first; the second and the last overlap, in two classes."""
PIXELS = np.array([[8, 4, 32, 28], [40, 16, 72, 56], [10, 30, 30, 60], [44, 16, 72, 56]], np.float32)
RELATIVE = PIXELS / (SIZE[1], SIZE[0], SIZE[1], SIZE[0])
INPUT = 'mean = [104, 117, 123]\nstd = [1, 1, 1]\ncolor = "bgr"\n'
GRID = f"prior_strides = {list(STRIDES)}\nprior_sizes = {[list(sides) for sides in SIDES]}\n"
HEAD = f'head = "ssd"\nclasses = {list(CLASSES)}\n'


def offsets(boxes: np.ndarray, priors: np.ndarray, variances: tuple[float, float] = (0.1, 0.2)) -> np.ndarray:
    """What a network gives for relative boxes, by the formula of the SSD turned around."""
    centres, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    moved = (centres - priors[:, :2]) / priors[:, 2:] / variances[0]
    return np.concatenate([moved, np.log(sizes / priors[:, 2:]) / variances[1]], axis=1).astype(np.float32)


def tables(columns: int = 4, *, activation: str = "given") -> dict[str, np.ndarray]:
    """Relative boxes [1, P, 4], and scores [1, P, C] in which column 0 of 4 is background; two copies to suppress."""
    random = np.random.default_rng(3)
    boxes = random.uniform(0.1, 0.4, (len(PRIORS), 4))
    boxes[:, 2:] += boxes[:, :2]
    scores = random.uniform(0.01, 0.2, (len(PRIORS), columns))
    if columns == 4:
        scores[:, 0] = 0.9375
    for at, number, score, box in zip(AT, IDS, SCORES, RELATIVE, strict=True):
        for copy in (0, 1):
            boxes[at + copy] = box + copy * 0.02
            scores[at + copy, number + columns - 3] = score - copy * 0.0625
    if activation == "sigmoid":
        scores = np.log(scores / (1 - scores))
    return {"boxes": boxes[None].astype(np.float32), "scores": scores[None].astype(np.float32)}


def with_offsets(outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return outputs | {"boxes": offsets(outputs["boxes"][0], PRIORS)[None]}


def finished(first: int = 1) -> dict[str, np.ndarray]:
    """As the graph's own suppression gives them; labels begin at ``first``."""
    labels, scores, boxes = np.zeros((1, 6), np.int64), np.zeros((1, 6), np.float32), np.zeros((1, 6, 4), np.float32)
    labels[0, :4], scores[0, :4], boxes[0, :4] = np.array(IDS) + first, SCORES, RELATIVE
    return {"bboxes": boxes, "labels": labels, "scores": scores}


def check(
    found: Detections, place: Any, rows: Any = slice(None), atol: float = 2e-3, frame: tuple[int, int] = LANDSCAPE
) -> None:
    np.testing.assert_allclose(found.boxes, in_frame(PIXELS[rows], place, frame), atol=atol)
    assert found.class_ids.tolist() == np.array(IDS)[rows].tolist()
    np.testing.assert_allclose(found.scores, np.array(SCORES)[rows], rtol=1e-5 if atol < 1e-2 else 2e-3)


KINDS: dict[str, tuple[dict[str, np.ndarray], str]] = {
    "grid": (with_offsets(tables()), HEAD + GRID + 'scores = "given"\n'),
    "file": (with_offsets(tables(activation="sigmoid")), HEAD + 'priors = "priors.npy"\nscores = "sigmoid"\n'),
    "decoded": (tables(), HEAD + 'boxes_unit = "relative"\nscores = "given"\n'),
    "no background": (tables(3), HEAD + 'boxes_unit = "relative"\nscores = "given"\n'),
    "suppressed": (finished(), HEAD),
    "suppressed, from 0": (finished(0), HEAD + 'background = "none"\n'),
}


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
@pytest.mark.parametrize("fit", ["letterbox", "stretch"])
def test_planted_objects_come_out_of_a_file(kind: str, engine: str, dtype: str, fit: str, tmp_path: Path) -> None:
    outputs, said = KINDS[kind]
    np.save(tmp_path / "priors.npy", PRIORS)
    toml = said + f'[input]\nfit = "{fit}"\n{INPUT}'
    path = write_network(tmp_path / "own.onnx", outputs, size=SIZE, dtype=dtype, toml=toml)
    with load_model(str(path), engine=engine, precision=precision_of(engine)) as model:
        assert model.class_names == CLASSES
        for frame in FRAMES:
            found = model(picture(frame)).detections
            check(found, PLACES[fit](SIZE, frame), atol=0.3 if dtype == "float16" else 2e-3, frame=frame)


def decoded(
    outputs: dict[str, np.ndarray],
    about: Description,
    choices: PostprocessOptions = PostprocessOptions(),  # noqa: B008, frozen
) -> Detections:
    """What comes out of a stretched frame; the outputs are overwritten in between, as those of an engine may be."""
    specs = [TensorSpec(name, array.dtype, array.shape) for name, array in outputs.items()]
    head: Any = fitting("ssd")(specs, about, SIZE)
    assert not isinstance(head, str), head
    lease = {name: array.copy() for name, array in outputs.items()}
    arrays = head.select_outputs(choices)(lease)
    for array in lease.values():
        array.fill(0)
    raw = RawOutputs(arrays, SIZE, Affine(*stretched(SIZE, LANDSCAPE)))
    found: Detections = head.decode(raw, LANDSCAPE, choices, CLASSES)[DETECTIONS]
    return found


ABOUT = Description(head="ssd", classes=CLASSES, boxes_unit="relative", scores="given")
PLACE = stretched(SIZE, LANDSCAPE)


def test_softmax_takes_the_background_into_account() -> None:
    outputs = tables()
    shares = outputs["scores"][0].astype(np.float64) * 0.6
    shares[:, 0] = 1 - shares[:, 1:].sum(axis=1)
    outputs["scores"] = (np.log(shares) + 3)[None].astype(np.float32)
    about = Description(head="ssd", classes=CLASSES, boxes_unit="relative", scores="softmax")
    found = decoded(outputs, about, PostprocessOptions(min_score=0.3))
    assert found.class_ids.tolist() == IDS
    np.testing.assert_allclose(found.scores, np.array(SCORES) * 0.6, rtol=1e-5)


def test_choices() -> None:
    check(decoded(tables(), ABOUT, PostprocessOptions(classes=(1,))), PLACE, [0, 2])
    check(decoded(tables(), ABOUT, PostprocessOptions(max_detections=3)), PLACE, slice(3))
    check(decoded(tables(), ABOUT, PostprocessOptions(min_score=0.75)), PLACE, slice(2))
    assert decoded(tables(), ABOUT, PostprocessOptions(nms_iou=1.0)).class_ids.tolist() == [1, 1, 0, 0, 1, 1, 2, 2]


def test_variances_are_those_that_are_said() -> None:
    outputs = tables()
    outputs["boxes"] = offsets(outputs["boxes"][0], PRIORS, (0.3, 0.7))[None]
    about = Description(head="ssd", classes=CLASSES, scores="given", variances=(0.3, 0.7), prior_strides=STRIDES,
                        prior_sizes=SIDES)  # fmt: skip
    check(decoded(outputs, about), PLACE)


def test_boxes_in_pixels_of_another_order() -> None:
    outputs = tables()
    corners = outputs["boxes"] * np.array((SIZE[1], SIZE[0]) * 2, np.float32)
    outputs["boxes"] = np.concatenate([corners[..., :2], corners[..., 2:] - corners[..., :2]], axis=2)
    about = Description(head="ssd", classes=CLASSES, scores="given", boxes="xywh", boxes_unit="pixels")
    check(decoded(outputs, about), PLACE)


def test_rows_with_a_number_that_is_none_are_left_out() -> None:
    outputs = with_offsets(tables())
    about = Description(head="ssd", classes=CLASSES, scores="given", prior_strides=STRIDES, prior_sizes=SIDES)
    outputs["scores"][0, AT[0] : AT[0] + 2] = np.nan
    outputs["boxes"][0, AT[1] : AT[1] + 2, 3] = 1e9  # its exponential is infinite
    check(decoded(outputs, about), PLACE, slice(2, None))
    for name in outputs:
        with pytest.raises(EngineError, match=f"output '{name}' has no finite number"):
            decoded(outputs | {name: np.full_like(outputs[name], np.inf)}, about)


def test_nothing_found() -> None:
    outputs = tables()
    outputs["scores"][:] = 0
    assert len(decoded(outputs, ABOUT)) == 0


def spec(name: str, *shape: int) -> TensorSpec:
    return TensorSpec(name, np.dtype(np.float32), shape)


PAIR = [spec("boxes", 1, 60, 4), spec("scores", 1, 60, 4)]


@pytest.mark.parametrize(
    ("outputs", "about", "why"),
    [
        (PAIR, Description(classes=CLASSES), "are boxes of an SSD; say its `priors`"),
        ([spec("boxes", 1, 60, 4), spec("scores", 1, 61, 4)], ABOUT, "must have as many rows"),
        (PAIR, Description(boxes_unit="relative"), "say whether `scores` are given, or need sigmoid or softmax"),
        (PAIR, Description(boxes_unit="relative", scores="given", classes=("a", "b")), "speaks of 3 classes, but 2"),
        (PAIR, Description(scores="given", prior_strides=(8,), prior_sizes=((16.0,),)), "needs 60 priors .* give 96"),
        (PAIR, Description(scores="given", prior_strides=(8, 16), prior_sizes=((16.0,),)), "one entry per level"),
        (PAIR, Description(scores="given", priors=Path("nowhere.npy")), "cannot read the priors nowhere.npy"),
    ],
)
def test_refused(outputs: list[TensorSpec], about: Description, why: str) -> None:
    answer = fitting("ssd")(outputs, about, SIZE)
    assert isinstance(answer, str)
    assert re.search(why, answer), answer
    assert "\n" not in answer


def test_a_file_of_other_priors_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "priors.npy", np.zeros((3, 4), np.float64))
    answer = fitting("ssd")(PAIR, Description(scores="given", priors=tmp_path / "priors.npy"), SIZE)
    assert isinstance(answer, str)
    assert re.search(r"needs 60 priors .* holds float64 \[3, 4\]", answer)


def test_other_networks_are_left_to_other_heads() -> None:
    for outputs in ([spec("out", 1, 84, 8400)], [spec("x", 1, 1000)], [spec("out", 1, 21, 48, 80)]):
        assert fitting("ssd")(outputs, ABOUT, SIZE) is None


def test_what_a_head_says_of_itself() -> None:
    head: Any = fitting("ssd")(PAIR, ABOUT, SIZE)
    assert (head.kind, head.task, head.class_count, head.point_names) == ("ssd", "boxes", 3, ())
    assert set(head.gives) == {DETECTIONS}


def test_priors_are_asked_for(tmp_path: Path) -> None:
    path = write_network(tmp_path / "own.onnx", with_offsets(tables()), size=SIZE)
    with pytest.raises(UsageError, match="say its `priors`"):
        load_model(str(path), head="ssd")

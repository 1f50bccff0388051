"""Heads of YOLO on an emulated card, and on a real one: the same bits as on the host, whatever the network says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.engines.spec import TensorSpec
from vidgraph.kernels import queued
from vidgraph.kernels.cuda import driver
from vidgraph.kernels.device import HOST
from vidgraph.models.custom.description import Description
from vidgraph.models.custom.family import CustomFamily
from vidgraph.models.custom.heads import fitting
from vidgraph.models.custom.heads.yolo_end2end import YoloEndToEndHead
from vidgraph.models.custom.inspect import inspect_model
from vidgraph.models.options import PostprocessOptions
from vidgraph.pipeline.errors import EngineError
from vidgraph.pipeline.packet import DETECTIONS, LANDMARKS
from vidgraph.pipeline.types.affine import Affine
from vidgraph.stages.inference.infer import RawOutputs

from ... import emulator
from .. import card_cases
from ..card_cases import CARD, Outputs, check_one_wait, check_same, on_card
from .test_yolo_planted import planted_file
from .yolo_planted import CLASSES, JOINTS, MASKS, letterboxed, make_objects, places, stretched

reads = card_cases.reads
pytestmark = pytest.mark.skipif(emulator.compiler() is None, reason="needs a C++ compiler")

SIZE, FRAME = (96, 160), (133, 77)
KINDS = ["v8", "v8 logits", "v5", "end to end"]
EXTRAS = {"": 0, "masks": MASKS, "points": 3 * JOINTS}
CASES = ["nothing", "one", "some", "everything", "identical", "not finite", "outside"]
CHOICES = [
    PostprocessOptions(),
    PostprocessOptions(classes=(3, 1), max_detections=4, min_score=0.5),
    PostprocessOptions(classes=()),
]


def boxes_of(case: str, count: int) -> np.ndarray:
    """Centres and sizes [N, 4] in input pixels."""
    random = np.random.default_rng(count)
    centres, sizes = random.uniform(-9, (170, 100), (count, 2)), random.uniform(3, 50, (count, 2))
    if case == "identical":
        centres[:], sizes[:] = (80, 40), (31, 17)
    if case == "outside":
        centres[::2] += 1e4
        centres[1::4, 1] -= 500
    boxes = np.concatenate([centres, sizes], axis=1)
    if case == "not finite":
        boxes[::9, 1], boxes[1::11, 2], boxes[2::13, 0], boxes[3::17, 2:] = np.nan, np.inf, -np.inf, 3e38
    return boxes


def outputs_of(kind: str, extras: str, case: str) -> Outputs:
    """What a network gives for one picture."""
    count = {"v5": 3 * places(SIZE), "end to end": 60}.get(kind, places(SIZE))
    random, boxes = np.random.default_rng(len(case)), boxes_of(case, count)
    sure = {"nothing": slice(0), "one": slice(30, 31), "everything": slice(None)}.get(case, slice(0, None, 3))
    scores = random.integers(0, 12, (count, len(CLASSES))) / 64
    scores[sure] = random.integers(17, 64, scores[sure].shape) / 64
    if case == "identical":
        scores[sure] = 0.75
    if case == "not finite":
        scores[6::9, 2] = np.nan
    if kind == "v8 logits":
        scores = 8 * scores - 3.5
    behind = random.normal(size=(count, EXTRAS[extras]))
    if case == "not finite":
        behind[::12, 1:3] = np.inf
    if kind == "end to end":
        ids = random.integers(0, len(CLASSES), (count, 1)) + 0.1
        with np.errstate(invalid="ignore"):
            boxes[:, 2:] += boxes[:, :2]
        table = np.concatenate([boxes, scores[:, :1], ids, behind], axis=1)
    else:
        factors = [np.where(np.arange(count) % 5, 1.0, 0.5)[:, None]] if kind == "v5" else []
        table = np.concatenate([boxes, *factors, scores, behind], axis=1)
    made = table.T if kind.startswith("v8") else table
    outputs = {"output0": np.ascontiguousarray(made[None], np.float32)}
    if extras == "masks":
        outputs["output1"] = random.normal(size=(1, MASKS, SIZE[0] // 4, SIZE[1] // 4)).astype(np.float32)
    return outputs


def head_of(kind: str, extras: str, outputs: Outputs) -> Any:
    about = Description(
        classes=CLASSES,
        points=(JOINTS, 3) if extras == "points" else None,
        scores="sigmoid" if kind == "v8 logits" else None,
    )
    specs = [TensorSpec(name, array.dtype, array.shape) for name, array in outputs.items()]
    head = fitting("yolo-end2end" if kind == "end to end" else "yolo")(specs, about, SIZE)
    assert head is not None
    assert not isinstance(head, str), head
    return head


def raw_of(head: Any, outputs: Any, choices: PostprocessOptions, affine: Affine) -> RawOutputs:
    return RawOutputs(head.select_outputs(choices)(outputs), SIZE, affine)


def affines() -> Iterator[Affine]:
    for rule in (letterboxed, stretched):
        mapping = rule(SIZE, FRAME)
        yield Affine(mapping.scale, mapping.offset)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("kind", "extras"), [(kind, extras) for kind in KINDS for extras in EXTRAS if not extras or kind != "v8 logits"]
)
def test_the_same_objects(kind: str, extras: str, case: str, reads: list[int] | None) -> None:
    outputs = outputs_of(kind, extras, case)
    head, there = head_of(kind, extras, outputs), on_card(outputs)
    assert set(head.device_outputs) == set(outputs)
    found = 0
    for choices in CHOICES:
        for affine in affines():
            device, host = (raw_of(head, given, choices, affine) for given in (there, outputs))
            assert not reads
            got, want = (head.decode(raw, FRAME, choices, CLASSES) for raw in (device, host))
            found += len(want[DETECTIONS])
            masks = want[DETECTIONS].masks
            large = 0 if masks is None else len(masks.bits)
            check_one_wait(reads, large=large if large > queued.MASK_ROOM else 0)
            check_same(got[DETECTIONS], want[DETECTIONS])
            assert (LANDMARKS in got) == (LANDMARKS in want) == (extras == "points")
            for name in ("points", "scores", "boxes", "detection_rows") if extras == "points" else ():
                np.testing.assert_array_equal(getattr(got[LANDMARKS], name), getattr(want[LANDMARKS], name))
    assert (found > 0) == (case != "nothing")


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_kept_outlives_the_outputs(kind: str, reads: list[int] | None) -> None:
    """A later stage may read it when the next run has written the outputs again."""
    outputs = outputs_of(kind, "masks", "some")
    head, there, affine = head_of(kind, "masks", outputs), on_card(outputs), next(affines())
    device = raw_of(head, there, CHOICES[0], affine)
    for array in there.values():
        driver.driver().fill(array.pointer, 255, array.nbytes, CARD)
    got = head.decode(device, FRAME, CHOICES[0], CLASSES)[DETECTIONS]
    want = head.decode(raw_of(head, outputs, CHOICES[0], affine), FRAME, CHOICES[0], CLASSES)[DETECTIONS]
    assert len(want) > 0
    check_same(got, want)


@pytest.mark.parametrize("where", ["scores", "boxes", "prototypes", "boxes where nothing is found"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_output_without_any_number_is_the_same_error(kind: str, where: str, reads: list[int] | None) -> None:
    outputs = outputs_of(kind, "masks", "nothing" if "nothing" in where else "some")
    head, table = head_of(kind, "masks", outputs), outputs["output0"][0]
    rows = table.T if kind.startswith("v8") else table
    if where == "prototypes":
        outputs["output1"][:] = np.inf
    else:
        end = 4 + head.objectness + len(CLASSES) if kind != "end to end" else 5
        rows[:, slice(4, end) if where == "scores" else slice(0, 4)] = np.nan

    def said(given: Any) -> str | None:
        try:
            head.decode(raw_of(head, given, CHOICES[0], next(affines())), FRAME, CHOICES[0], CLASSES)
        except EngineError as error:
            return str(error)
        return None

    want = said(outputs)
    assert (want is None) == ("nothing" in where)
    assert want is None or "has no finite number" in want
    assert said(on_card(outputs)) == want
    check_one_wait(reads)


def test_a_class_without_a_name_is_the_same_error(reads: list[int] | None) -> None:
    for number in (7.0, -1.0, np.nan, 3e9):
        rows = np.zeros((1, 20, 6), np.float32)
        rows[0, 3] = (0, 0, 9, 9, 0.5, number)
        head, affine = head_of("end to end", "", {"o": rows}), Affine((1.0, 1.0))
        for given in ({"o": rows}, on_card({"o": rows})):
            with pytest.raises(EngineError, match=r"output 'o' has class (7|-1), but 5 classes are named"):
                head.decode(raw_of(head, given, CHOICES[0], affine), FRAME, CHOICES[0], CLASSES)


def test_which_heads_work_on_a_card(tmp_path: Path) -> None:
    """Those that read float32 from the file; others have their outputs in host memory."""
    objects = make_objects(SIZE)
    for kind in ("v8-seg", "v5", "v26-pose"):
        network = inspect_model(planted_file(tmp_path / f"{kind}.onnx", kind, objects, "float32"))
        family = CustomFamily(network)
        assert family.postprocesses_on(CARD)
        assert family.postprocesses_on(HOST)
        half = inspect_model(planted_file(tmp_path / f"{kind}-half.onnx", kind, objects, "float16"))
        assert not CustomFamily(half).postprocesses_on(CARD)
        assert CustomFamily(half).postprocesses_on(HOST)
        if not isinstance(network.head, YoloEndToEndHead):
            logits = replace(network, head=replace(network.head, logits=True, objectness=True))  # type: ignore[type-var]
            assert not CustomFamily(logits).postprocesses_on(CARD)
    raw = inspect_model(planted_file(tmp_path / "raw.onnx", "v8", objects, "float32"), head="raw")
    assert not CustomFamily(raw).postprocesses_on(CARD)

"""What follows a network, on an emulated card, and on a real one: the same bits as on the host, whatever it says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from vidgraph.kernels import queued
from vidgraph.kernels.cuda import driver
from vidgraph.models.options import PostprocessOptions
from vidgraph.models.retinaface.config import CONFIGS as FACES
from vidgraph.models.retinaface.postprocess import DecodeFaces, SelectCandidates, priors_of as face_priors_of
from vidgraph.models.yolact_edge.config import CONFIGS as INSTANCES
from vidgraph.models.yolact_edge.postprocess import DecodeInstances, SelectRows
from vidgraph.models.yolact_edge.priors import priors_of
from vidgraph.pipeline.packet import Key
from vidgraph.pipeline.results.format import ResultKeys
from vidgraph.pipeline.types.affine import Affine
from vidgraph.stages.inference.infer import RawOutputs

from .. import emulator
from . import card_cases
from .card_cases import CARD, check_one_wait, check_same, on_card

reads = card_cases.reads
pytestmark = pytest.mark.skipif(emulator.compiler() is None, reason="needs a C++ compiler")

SIZE, FRAME = (64, 96), (93, 151)
RAW = Key("raw", RawOutputs)
CONFIG = INSTANCES["yolact-edge-tiny"].with_classes(4)
CASES = ["nothing", "one", "some", "everything", "identical", "not finite", "outside"]

Outputs = dict[str, np.ndarray]


def rows_with_something(case: str) -> slice:
    return {"nothing": slice(0), "one": slice(70, 71), "everything": slice(None)}.get(case, slice(0, None, 3))


def offsets(case: str, priors: np.ndarray) -> np.ndarray:
    """Offsets of boxes: around their priors, far from them, all to one box, or no numbers."""
    random = np.random.default_rng(2)
    loc = random.normal(0, 0.7, (1, len(priors), 4))
    if case == "identical":
        loc[0] = np.concatenate(
            [(0.5 - priors[:, :2]) / priors[:, 2:] / 0.1, np.log(0.3 / priors[:, 2:]) / 0.2], axis=1
        )
    if case == "not finite":
        loc[0, 6::9, 1], loc[0, 9::12, 2:] = np.nan, 900.0
    if case == "outside":
        loc[..., :2] *= 60
    return loc


def instances(case: str) -> Outputs:
    """What YOLACT's network gives for one picture."""
    random, priors = np.random.default_rng(3), priors_of(CONFIG, SIZE)
    logits = np.zeros((1, len(priors), 5))
    logits[..., 0] = 20
    sure = rows_with_something(case)
    logits[0, sure] = random.normal(0, 2, logits[0, sure].shape)
    logits[0, sure, 0] -= 3
    coeff = np.tanh(random.normal(size=(1, len(priors), 8)))
    proto = np.maximum(random.normal(size=(1, 32, 48, 8)), 0)
    coeff[..., 0], proto[..., 0] = 3, 1
    if case == "not finite":
        logits[0, 3::9, 2], coeff[0, ::12, 3] = np.nan, np.inf
    given = {"loc": offsets(case, priors), "logits": logits, "coeff": coeff, "proto": proto}
    return {name: array.astype(np.float32) for name, array in given.items()}


def instance_stages() -> Iterator[DecodeInstances]:
    for mask_scores in (False, True):
        for nms in ("fast", "cross-class", "traditional"):
            for classes in (None, (2, 0)):
                choices = PostprocessOptions(nms=nms, classes=classes, max_detections=None if classes else 30)
                config = replace(CONFIG, mask_scores=mask_scores)
                yield DecodeInstances.of(config, choices, raw=RAW, keys=ResultKeys(), stage_name="decode")


def kept(outputs: Any) -> RawOutputs:
    return RawOutputs(SelectRows()(outputs), SIZE, Affine((1.0, 1.0)))


@pytest.mark.parametrize("case", CASES)
def test_instances(case: str, reads: list[int] | None) -> None:
    outputs = instances(case)
    host, device = kept(outputs), kept(on_card(outputs))
    assert not reads
    assert (len(host.arrays["scores"]) > 0) == (case != "nothing")
    for stage in instance_stages():
        check_same(stage.decode(device, FRAME), stage.decode(host, FRAME))
        check_one_wait(reads)


def test_large_masks_come_in_a_second_transfer(reads: list[int] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = instances("some")
    stage = next(instance_stages())
    want = stage.decode(kept(outputs), FRAME)
    assert want.masks is not None
    monkeypatch.setattr(queued, "MASK_ROOM", 100)
    check_same(stage.decode(kept(on_card(outputs)), FRAME), want)
    assert reads is None or reads[1:] == [len(want.masks.bits)]


def test_what_was_kept_outlives_the_outputs(reads: list[int] | None) -> None:
    """A later stage may read it when the next run has written the outputs again."""
    outputs = instances("some")
    there, stage = on_card(outputs), next(instance_stages())
    device = kept(there)
    for array in there.values():
        driver.driver().fill(array.pointer, 255, array.nbytes, CARD)
    check_same(stage.decode(device, FRAME), stage.decode(kept(outputs), FRAME))


def faces(case: str) -> Outputs:
    """What RetinaFace's network gives for one picture."""
    random, priors = np.random.default_rng(4), face_priors_of(FACES["retinaface"], SIZE)
    face, landm = np.zeros(len(priors)), random.normal(0, 1, (1, len(priors), 10))
    sure = rows_with_something(case)
    face[sure] = random.integers(50, 90, face[sure].shape) / 90
    if case == "not finite":
        face[3::9], landm[0, ::12, 3] = np.nan, -np.inf
    given = {"loc": offsets(case, priors), "conf": np.stack([1 - face, face], axis=1)[None], "landm": landm}
    return {name: array.astype(np.float32) for name, array in given.items()}


@pytest.mark.parametrize("most", [None, 3, 0])
@pytest.mark.parametrize("case", CASES)
def test_faces(case: str, most: int | None, reads: list[int] | None) -> None:
    outputs, affine = faces(case), Affine((1.57, 1.45), (-3.25, 0.7))
    choices = PostprocessOptions(max_detections=most or None, classes=() if most == 0 else None)
    stage = DecodeFaces.of(FACES["retinaface"], choices, raw=RAW, keys=ResultKeys(), stage_name="decode")
    host, device = (RawOutputs(SelectCandidates(0.6)(given), SIZE, affine) for given in (outputs, on_card(outputs)))
    assert not reads
    (got, got_points), (want, want_points) = stage.decode(device), stage.decode(host)
    check_one_wait(reads)
    assert (len(want) > 0) == (case != "nothing" and most != 0)
    check_same(got, want)
    for name in ("points", "scores", "boxes"):
        np.testing.assert_array_equal(getattr(got_points, name), getattr(want_points, name))

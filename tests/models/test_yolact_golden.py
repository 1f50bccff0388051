"""YolactEdge against recorded outputs of the official code: everything from the picture to the masks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph import Frame, Key, Packet, Picture
from vidgraph.engines import ENGINES, open_engine
from vidgraph.kernels import decode_boxes
from vidgraph.models import find_model, load_model
from vidgraph.models.weights.find import Weights
from vidgraph.models.yolact_edge.config import CONFIGS, VARIANCES
from vidgraph.models.yolact_edge.postprocess import DecodeInstances, SelectRows
from vidgraph.models.yolact_edge.priors import priors_of
from vidgraph.pipeline.types.affine import Affine
from vidgraph.stages.inference.infer import RawOutputs

from ..material import CPU_ENGINES

Arrays = dict[str, np.ndarray]
Tolerance = Callable[[str], float]

FRAMES = ["vid/0", "vid/1", "vid/2", "nospa/1", "nospa/2", "image/0"]
WITH_LEVELS = FRAMES[:-1]
SIZE = (550, 550)
FRAME = (480, 640)
KINDS = {"fast": "fast_nms", "cross-class": "cross_class_fast_nms", "traditional": "traditional_nms"}


@pytest.fixture
def frame(request: pytest.FixtureRequest, yolact_frames: dict[str, Any]) -> Any:
    return yolact_frames[request.param]


every_frame = pytest.mark.parametrize("frame", FRAMES, indirect=True)


def assert_within(got: np.ndarray, expected: np.ndarray, limit: float, relative: float, what: str) -> None:
    """Every value within ``limit`` and ``relative`` of its magnitude."""
    expected = expected.astype(np.float32)
    assert got.shape == expected.shape, what
    difference = np.abs(got - expected)
    print(f"{what}: {difference.max():.2e}")
    assert (difference <= limit + relative * np.abs(expected)).all(), f"{what}: {difference.max():.2e}"


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def check_outputs(raw: Arrays, expected: Arrays, tolerance: Tolerance) -> None:
    """Raw outputs (batch of one) against a golden frame."""
    rows, relative = expected["rows"], tolerance("yolact relative")
    for name in ("loc", "coeff"):
        assert_within(raw[name][0, rows], expected[name], tolerance("yolact outputs"), relative, name)
    assert_within(softmax(raw["logits"][0, rows]), expected["conf"], tolerance("yolact probabilities"), 0, "conf")
    boxes = decode_boxes(
        raw["loc"][0, rows], priors_of(CONFIGS["yolact-edge-resnet50"], SIZE)[rows], variances=VARIANCES
    )
    assert_within(boxes, expected["boxes"], tolerance("yolact boxes"), 0, "boxes")
    proto = raw["proto"][0]
    assert proto.shape == (138, 138, 32)
    assert_within(proto[::2, ::2], expected["proto"], tolerance("yolact prototypes"), relative, "proto")


@every_frame
def test_outputs_of_the_torch_network(frame: Any, tolerance: Tolerance) -> None:
    check_outputs(frame.raw, frame.expected, tolerance)


@pytest.mark.parametrize("frame", WITH_LEVELS, indirect=True)
def test_levels_of_the_torch_network(frame: Any, tolerance: Tolerance) -> None:
    names = [key.removeprefix("idx.") for key in frame.expected if key.startswith("idx.")]
    assert len(names) == (12 if frame.expected["is_key"] else 20)
    for name in names:
        got = frame.taps[name]
        assert got.shape == tuple(frame.expected[f"shape.{name}"]), name
        sample = got.reshape(-1)[frame.expected[f"idx.{name}"]]
        limit, relative = tolerance("yolact levels"), tolerance("yolact relative")
        assert_within(sample, frame.expected[f"val.{name}"], limit, relative, name)
        whole = np.array([got.mean(dtype=np.float64), got.std(dtype=np.float64)])
        np.testing.assert_allclose(
            whole, frame.expected[f"stat.{name}"], rtol=0, atol=tolerance("yolact level mean and std"), err_msg=name
        )


@pytest.mark.parametrize("engine", CPU_ENGINES)
@pytest.mark.parametrize(
    ("model", "graph", "frames"),
    [
        ("yolact-edge-vid-resnet50", "key", {"vid/0": 0}),
        ("yolact-edge-vid-resnet50", "non_key", {"vid/1": 1, "vid/2": 2}),
        ("yolact-edge-resnet50", "", {"image/0": 0}),
    ],
)
def test_outputs_of_the_engines(
    model: str, graph: str, frames: dict[str, int], engine: str, yolact_frames: dict[str, Any], yolact_images: Arrays,
    checkpoint: Callable[[str], Path], tolerance: Tolerance,
) -> None:  # fmt: skip
    """Non-key frames take the state of the torch network, which the key graph's state is held against."""
    if not ENGINES[engine].installed:
        pytest.skip(f"needs the package {ENGINES[engine].package}")
    file = Weights.find(find_model(model), checkpoint(model)).network_file(SIZE, graph=graph)
    opened = open_engine(file, engine=engine, precision="fp32", threads=2)
    key = yolact_frames["vid/0"].raw
    state = {name: key[name] for name in ("state_p4", "state_p5", "state_pre")}
    try:
        for name, index in frames.items():
            feeds = {"image": yolact_images["images"][index : index + 1]} | (state if graph == "non_key" else {})
            outputs = opened.run(feeds)
            check_outputs(outputs, yolact_frames[name].expected, tolerance)
            for other in outputs.keys() - {"loc", "logits", "coeff", "proto"}:
                limit, relative = tolerance("yolact levels"), tolerance("yolact relative")
                assert_within(outputs[other], yolact_frames[name].raw[other], limit, relative, other)
    finally:
        opened.close()


def test_preprocessing(yolact_images: Arrays, checkpoint: Callable[[str], Path], tolerance: Tolerance) -> None:
    with load_model("yolact-edge-resnet50", weights=checkpoint("yolact-edge-resnet50")) as model:
        preprocess = model.stages()[0]
    for index, frame in enumerate(yolact_images["frames_bgr_u8"]):
        picture = Picture.from_rgb(np.ascontiguousarray(frame[..., ::-1]))
        (packet,) = preprocess.process(Packet(Frame("one", index, 0, 0, 0, picture)))
        given = packet[preprocess.key]
        assert given.affine == Affine((640 / 550, 480 / 550))
        top, left = yolact_images["x_crop_yx"][index]
        crop = given.tensor[0, :, top : top + 64, left : left + 64]
        assert_within(crop, yolact_images["x_crop"][index], tolerance("yolact preprocess"), 0, f"frame {index}")
        whole = np.array([given.tensor.mean(dtype=np.float64), given.tensor.std(dtype=np.float64)])
        limit = tolerance("yolact preprocess, mean and std")
        np.testing.assert_allclose(whole, yolact_images["x_stat"][index], rtol=0, atol=limit)


def rows_of(raw: Arrays) -> RawOutputs:
    """What the stage before the postprocess keeps, for a frame of 640x480."""
    return RawOutputs(SelectRows()(raw), SIZE, Affine((640 / 550, 480 / 550)))


def stage(model: str, nms: Any) -> DecodeInstances:
    return DecodeInstances(CONFIGS[model], Key("raw", RawOutputs), nms=nms, min_score=0.0)


@every_frame
def test_kept_priors(frame: Any) -> None:
    """Some priors lie within 2e-4 of the threshold and may change sides."""
    kept = set(rows_of(frame.raw).arrays["index"].tolist())
    expected = set(frame.expected["rows"][frame.expected["above"]].tolist())
    assert len(expected) > 500
    assert len(kept ^ expected) <= 8


def pairs_of(
    boxes: np.ndarray, classes: np.ndarray, expected: Arrays, kind: str, limit: float
) -> list[tuple[int, int]]:
    """(golden row, our row) of the same detection; each of ours once."""
    free = np.ones(len(boxes), bool)
    pairs = []
    for row, (box, number) in enumerate(zip(expected[f"{kind}.box"], expected[f"{kind}.class"], strict=True)):
        distance = np.where(free & (classes == number), np.abs(boxes - box).max(axis=1), np.inf)
        if distance.min() <= limit:
            free[distance.argmin()] = False
            pairs.append((row, int(distance.argmin())))
    return pairs


@pytest.mark.parametrize("nms", list(KINDS))
@every_frame
def test_detections_and_masks(frame: Any, nms: str, tolerance: Tolerance) -> None:
    """All of them, as sets: one may be missing where a prior or the end of the list changed sides."""
    kind, expected = KINDS[nms], frame.expected
    raw, decode = rows_of(frame.raw), stage(frame.model, nms)
    boxes = decode.relative_boxes(raw)
    rows, classes, scores, _ = decode.suppress(boxes, raw.arrays["scores"], raw.size)
    assert len(rows) == len(expected[f"{kind}.score"])
    assert (np.diff(scores) <= 0).all()
    pairs = pairs_of(boxes[rows], classes, expected, kind, tolerance("yolact detections"))
    assert len(pairs) >= len(rows) - 1
    theirs, ours = np.array(pairs).T
    assert np.abs(scores[ours] - expected[f"{kind}.score"][theirs]).max() <= tolerance("yolact score")
    coeff = raw.arrays["coeff"][rows[ours]]
    limit, relative = tolerance("yolact outputs"), tolerance("yolact relative")
    assert_within(coeff, expected[f"{kind}.coeff"][theirs], limit, relative, "coefficients")

    detections = decode.decode(raw, FRAME)
    np.testing.assert_array_equal(detections.class_ids, classes)
    pixels = np.abs(detections.boxes[ours] - expected[f"post.{kind}.box"][theirs])
    assert pixels.max() <= 1  # rounded down from within 1e-3
    assert (pixels == 0).mean() > 0.99
    areas = np.array([detections.masks.area(row) for row in ours])
    wanted = expected[f"post.{kind}.mask_area"][theirs]
    assert (areas[wanted == 0] <= 2).all()
    assert (np.abs(areas - wanted) <= np.maximum(2, 0.01 * wanted)).all()


@every_frame
def test_pixels_of_masks(frame: Any, tolerance: Tolerance) -> None:
    raw, decode = rows_of(frame.raw), stage(frame.model, "fast")
    boxes = decode.relative_boxes(raw)
    rows, classes, _, _ = decode.suppress(boxes, raw.arrays["scores"], raw.size)
    detections = decode.decode(raw, FRAME)
    full = np.unpackbits(frame.expected["post.fast_nms.mask_bits_top20"], axis=-1).astype(bool)
    pairs = pairs_of(boxes[rows], classes, frame.expected, "fast_nms", tolerance("yolact detections"))
    checked = 0
    for theirs, ours in pairs:
        if theirs < len(full) and full[theirs].sum() >= 50:
            mask = detections.masks.full(ours)
            overlap = (mask & full[theirs]).sum() / (mask | full[theirs]).sum()
            assert overlap > tolerance("yolact mask IoU")
            checked += 1
    assert checked >= 5


def test_a_higher_score_changes_only_what_is_below_it(yolact_frames: dict[str, Any]) -> None:
    """Rows that are left out early would not have suppressed anything that is kept."""
    raw = yolact_frames["vid/1"].raw
    affine = Affine((640 / 550, 480 / 550))
    for nms in KINDS:
        all_of_them = stage("yolact-edge-vid-resnet50", nms).decode(RawOutputs(SelectRows()(raw), SIZE, affine), FRAME)
        least = float(np.sort(all_of_them.scores)[len(all_of_them) // 2])
        few = RawOutputs(SelectRows(least)(raw), SIZE, affine)
        decode = DecodeInstances(CONFIGS["yolact-edge-vid-resnet50"], Key("raw", RawOutputs), nms=nms, min_score=least)
        found = decode.decode(few, FRAME)
        expected = all_of_them[all_of_them.scores > np.float32(least)]
        assert 10 < len(found) == len(expected)
        np.testing.assert_array_equal(found.boxes, expected.boxes)
        np.testing.assert_array_equal(found.scores, expected.scores)


def test_chosen_classes(yolact_frames: dict[str, Any]) -> None:
    raw = rows_of(yolact_frames["vid/0"].raw)
    for nms in KINDS:
        every = stage("yolact-edge-vid-resnet50", nms).decode(raw, FRAME)
        wanted = tuple(np.unique(every.class_ids)[[0, -1]].tolist())
        decode = DecodeInstances(
            CONFIGS["yolact-edge-vid-resnet50"], Key("raw", RawOutputs), nms=nms, min_score=0.05, classes=wanted
        )
        found = decode.decode(raw, FRAME)
        assert set(found.class_ids.tolist()) == set(wanted)
        expected = every[np.isin(every.class_ids, wanted) & (every.scores > 0.05)]
        assert len(found) >= len(expected)
        np.testing.assert_array_equal(found.boxes[: len(expected)], expected.boxes)


def test_the_whole_model_on_a_picture(
    yolact_images: Arrays, yolact_frames: dict[str, Any], checkpoint: Callable[[str], Path], tolerance: Tolerance
) -> None:
    """From a picture to results: file of weights, preprocessing, engine, suppression, masks."""
    model = load_model(
        "yolact_edge_resnet50_config", weights=checkpoint("yolact-edge-resnet50"), precision="fp32", min_score=0.3,
        threads=2,
    )  # fmt: skip
    with model:
        found = model(np.ascontiguousarray(yolact_images["frames_bgr_u8"][0][..., ::-1])).detections
        assert model.describe(FRAME).input_size == SIZE
    expected = yolact_frames["image/0"].expected
    sure = expected["post.fast_nms.score"] > 0.3
    assert len(found) == sure.sum() > 0
    assert found.masks is not None
    for row in np.flatnonzero(sure):
        same = found.class_ids == expected["post.fast_nms.class"][row]
        near = np.abs(found.boxes - expected["post.fast_nms.box"][row]).max(axis=1) <= 1
        near &= np.abs(found.scores - expected["post.fast_nms.score"][row]) <= tolerance("yolact score")
        assert (same & near).sum() == 1

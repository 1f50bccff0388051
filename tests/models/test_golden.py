"""RetinaFace against recorded outputs of the official code: raw outputs, decode, and faces on photos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph import DETECTIONS, LANDMARKS, Detections, Key, Landmarks
from vidgraph.engines import ENGINES, open_engine
from vidgraph.models import ResultKeys, find_model, load_model
from vidgraph.models.options import PostprocessOptions
from vidgraph.models.retinaface.config import CONFIGS
from vidgraph.models.retinaface.postprocess import DecodeFaces, SelectCandidates, priors_of
from vidgraph.models.weights.checkpoint import load_network
from vidgraph.models.weights.find import Weights
from vidgraph.pipeline.types.affine import Affine
from vidgraph.stages.inference.infer import RawOutputs

from ..material import CPU_ENGINES

ALL = ["retinaface", "retinaface-1mb", "retinaface-resnet50"]
REAL = ALL[:2]
OUTPUTS = ("loc", "conf", "landm")
Tolerance = Callable[[str], float]


def network_input(image_bgr: np.ndarray) -> np.ndarray:
    """The official preprocessing of a picture that is not resized."""
    shifted = image_bgr.astype(np.float32) - np.array([104, 117, 123], np.float32)
    return np.ascontiguousarray(shifted.transpose(2, 0, 1)[np.newaxis])


def assert_close(got: np.ndarray, expected: np.ndarray, limit: float, what: str) -> None:
    """Largest difference within ``limit`` times the largest magnitude."""
    assert got.shape == expected.shape, what
    worst = float(np.abs(got - expected).max() / np.abs(expected).max())
    print(f"{what}: {worst:.2e} of the largest magnitude")
    assert worst <= limit, f"{what}: {worst:.2e} of the largest magnitude"


def stage_of(model: str, **choices: Any) -> DecodeFaces:
    raw = Key("raw", RawOutputs)
    return DecodeFaces.of(
        CONFIGS[model], PostprocessOptions(**choices), raw=raw, keys=ResultKeys(), stage_name="decode"
    )


def rows_of(detections: Detections, landmarks: Landmarks) -> np.ndarray:
    """Rows as the golden files have them: box, score, five points."""
    points = landmarks.points.reshape(len(landmarks), 10)
    return np.concatenate([detections.boxes, detections.scores[:, None], points], axis=1)


@pytest.mark.parametrize("model", ALL)
def test_raw_outputs_of_the_torch_network(
    model: str, golden: Any, checkpoint: Callable[[str], Path], tolerance: Tolerance, torch: Any
) -> None:
    """In float64, which every processor computes alike, no further from the record than the record is rounded; in
    float32, which each sums in another order, near float64."""
    raw = golden(model).raw
    network = load_network(find_model(model), checkpoint(model))
    image = torch.from_numpy(network_input(raw["image_bgr_u8"]))
    rounding = tolerance(f"{model} raw, torch fp64")
    with torch.no_grad():
        outputs, exact = network(image), network.double()(image.double())
    for name, got, sure in zip(OUTPUTS, outputs, exact, strict=True):
        assert_close(sure.numpy(), raw[name], rounding, f"{model} {name}, fp64")
        limit = rounding * tolerance("parity, torch fp32, of the recorded rounding")
        assert_close(got.numpy(), sure.numpy(), limit, f"{model} {name}, fp32")


@pytest.mark.parametrize("engine", CPU_ENGINES)
@pytest.mark.parametrize("model", ALL)
def test_raw_outputs_of_the_engines(
    model: str, engine: str, golden: Any, checkpoint: Callable[[str], Path], tolerance: Tolerance
) -> None:
    if not ENGINES[engine].installed:
        pytest.skip(f"needs the package {ENGINES[engine].package}")
    raw = golden(model).raw
    image = network_input(raw["image_bgr_u8"])
    file = Weights.find(find_model(model), checkpoint(model)).network_file(image.shape[2:])
    opened = open_engine(file, engine=engine, precision="fp32", threads=2)
    try:
        outputs = opened.run({"image": image})
        for name in OUTPUTS:
            limit = tolerance("retinaface raw, engine fp32")
            assert_close(outputs[name], raw[name], limit, f"{model} {engine} {name}")
    finally:
        opened.close()


@pytest.mark.parametrize("model", ALL)
def test_priors(model: str, golden: Any, tolerance: Tolerance) -> None:
    raw = golden(model).raw
    priors = priors_of(CONFIGS[model], raw["image_bgr_u8"].shape[:2])
    np.testing.assert_allclose(priors, raw["priors"], rtol=0, atol=tolerance("retinaface priors"))


def test_decode_of_every_row(golden: Any, tolerance: Tolerance) -> None:
    from vidgraph.kernels import decode_boxes, decode_points

    raw = golden("retinaface-resnet50").raw
    boxes = decode_boxes(raw["loc"][0], raw["priors"])
    points = decode_points(raw["landm"][0].reshape(-1, 5, 2), raw["priors"])
    assert_close(boxes, raw["boxes_norm"], tolerance("retinaface decode"), "boxes")
    assert_close(points.reshape(-1, 10), raw["landms_norm"], tolerance("retinaface decode"), "points")


def test_detections_from_saved_raw_outputs(golden: Any, tolerance: Tolerance) -> None:
    raw = golden("retinaface-resnet50").raw
    kept = SelectCandidates(min_score=0.02)({name: raw[name] for name in OUTPUTS})
    size = raw["image_bgr_u8"].shape[:2]
    found = stage_of("retinaface-resnet50").decode(RawOutputs(kept, size, Affine((1.0, 1.0))))
    np.testing.assert_allclose(rows_of(*found), raw["dets"], rtol=0, atol=tolerance("retinaface detections, px"))


@pytest.mark.parametrize("photo_name", ["astronaut", "cyclists"])
@pytest.mark.parametrize("model", REAL)
def test_detections_from_saved_candidates(model: str, photo_name: str, golden: Any, tolerance: Tolerance) -> None:
    case = golden(model).load(f"{photo_name}_long640")
    size = tuple(int(n) for n in case["input_hw"])
    assert CONFIGS[model].prior_count(size) == case["num_priors"]
    conf = np.zeros((1, int(case["num_priors"]), 2), np.float32)
    loc = np.zeros((1, int(case["num_priors"]), 4), np.float32)
    landm = np.zeros((1, int(case["num_priors"]), 10), np.float32)
    for array, name in ((conf, "cand_conf"), (loc, "cand_loc"), (landm, "cand_landm")):
        array[0, case["cand_index"]] = case[name]
    kept = SelectCandidates(min_score=0.02)({"loc": loc, "conf": conf, "landm": landm})
    scale = 1.0 / float(case["resize"])
    found = stage_of(model).decode(RawOutputs(kept, size, Affine((scale, scale))))
    np.testing.assert_allclose(rows_of(*found), case["dets"], rtol=0, atol=tolerance("retinaface detections, px"))


def matched(got: np.ndarray, expected: np.ndarray, limit_px: float) -> tuple[int, float]:
    """Rows of ``expected`` that have a row of ``got`` within ``limit_px`` in all coordinates; their worst score gap."""
    found, gap = 0, 0.0
    coordinates = [*range(4), *range(5, 15)]
    for row in expected:
        distance = np.abs(got[:, coordinates] - row[coordinates]).max(axis=1)
        if len(distance) and distance.min() <= limit_px:
            found += 1
            gap = max(gap, abs(float(got[distance.argmin(), 4] - row[4])))
    return found, gap


@pytest.mark.parametrize("engine", CPU_ENGINES)
@pytest.mark.parametrize("size", ["orig", "long640"])
@pytest.mark.parametrize("photo_name", ["astronaut", "cyclists"])
@pytest.mark.parametrize("model", REAL)
def test_faces_on_photos(
    model: str, photo_name: str, size: str, engine: str, golden: Any, checkpoint: Callable[[str], Path],
    photo: Callable[[str], np.ndarray], tolerance: Tolerance,
) -> None:  # fmt: skip
    """The whole way: file of weights, resizing kernel, engine, decode, suppression; rows near 0.02 may differ."""
    if not ENGINES[engine].installed:
        pytest.skip(f"needs the package {ENGINES[engine].package}")
    image = photo(photo_name)
    expected = golden(model).load(f"{photo_name}_{size}")["dets"]
    fixed = image.shape[:2] if size == "orig" else None
    loaded = load_model(
        model, weights=checkpoint(model), size=fixed, engine=engine, precision="fp32", min_score=0.02, threads=2
    )
    with loaded:
        result = loaded(image)
    got = rows_of(result[DETECTIONS], result[LANDMARKS])
    sure = expected[:, 4] >= 0.1
    assert sure.any()
    limit = tolerance("retinaface photos, px")
    all_found, all_gap = matched(got, expected, limit)
    sure_found, _ = matched(got, expected[sure], limit)
    print(f"{model} {photo_name} {size} {engine}: {all_found} of {len(expected)} rows, score gap {all_gap:.1e}")
    assert sure_found == sure.sum()
    assert all_found >= 0.95 * len(expected)
    assert abs(len(got) - len(expected)) <= 0.05 * len(expected)
    assert all_gap <= tolerance("retinaface photos, score")
    assert np.all(np.diff(got[:, 4]) <= 0)


@pytest.mark.parametrize("model", REAL)
def test_resized_input_gives_the_recorded_raw_outputs(
    model: str, golden: Any, checkpoint: Callable[[str], Path], photo: Callable[[str], np.ndarray], tolerance: Tolerance
) -> None:
    """Our resizing kernel on 8-bit RGB against cv2.resize of the float picture, seen through the network."""
    from vidgraph import Frame, Packet, Picture

    case = golden(model).load("cyclists_long640")
    with load_model(model, weights=checkpoint(model), engine="auto", precision="fp32", threads=2) as loaded:
        preprocess = loaded.stages()[0]
        (packet,) = preprocess.process(Packet(Frame("photo", 0, 0, 0, 0, Picture.from_rgb(photo("cyclists")))))
        given = packet[preprocess.key]
        assert given.size == tuple(case["input_hw"])
        opened = loaded.open_engine(given.size)
        outputs = opened.run({"image": given.tensor})
        for name in OUTPUTS:
            got = outputs[name].reshape(-1)[case[f"{name}_sample_index"]]
            assert outputs[name].shape == tuple(case[f"{name}_shape"])
            assert_close(got, case[f"{name}_sample"], tolerance("retinaface raw, resized photo"), f"{model} {name}")
        opened.close()

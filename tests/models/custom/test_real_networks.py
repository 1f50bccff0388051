"""Every real network beside the checkout runs, with the few lines that it needs, and finds what is there."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph import EMBEDDING, LANDMARKS
from vidgraph.models import load_model
from vidgraph.models.model import Model

from ..test_published import FILES
from .planted import picture

Shared = Callable[[str], Path]
ELSEWHERE = {
    "mediapipe/face_detection_short_range.tflite": "test_published_cells.py",
    "mediapipe/selfie.onnx": "test_maps.py",
    "realesrgan_x4/animevideov3-x4.onnx": "test_picture.py",
    "style_wave/wave.onnx": "test_picture.py",
    "superres/ESPCN_x2.onnx": "test_picture.py",
    "superres/FSRCNN_x2.onnx": "test_picture.py",
    "reid/person-reidentification-retail-0288.onnx": "test_points_alone.py",
}
OPEN_MODEL_ZOO = '[input]\nfit = "stretch"\ncolor = "bgr"\nmean = [0, 0, 0]\nstd = [1, 1, 1]\n'
LOOKS = f'head = "embedding"\n{OPEN_MODEL_ZOO}'
LINES = {
    "centernet_mbv3/centernet.onnx": 'ignore = ["tower_0/wh", "tower_0/keypoints"]\n',
    "person_detection_0013/person-detection-retail-0013.xml":
        f'classes = ["person"]\nbackground = "first"\n{OPEN_MODEL_ZOO}',
    "movenet/movenet-lightning.onnx": "",
    "mediapipe/face_landmark.tflite": "",
    "mediapipe/pose_landmark_lite.tflite": 'ignore = ["Identity_2", "Identity_3", "Identity_4"]\n',
    "mediapipe/pose_landmark_lite.onnx": 'ignore = ["Identity_2", "Identity_3", "Identity_4"]\n',
    "reid/person-reidentification-retail-0288.xml": LOOKS,
    "reid/person-reidentification-retail-0248.onnx": LOOKS,
}  # fmt: skip
"""Network -> what its TOML says."""


def test_none_is_left_out(shared: Shared) -> None:
    folder = shared("nets")
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix in (".onnx", ".xml", ".tflite")}
    assert there == {*LINES, *ELSEWHERE, *FILES.values()}


@contextmanager
def opened(name: str, shared: Shared, folder: Path, **options: Any) -> Iterator[Model]:
    """The network, with its lines."""
    given = shared(f"nets/{name}")
    for path in (given, given.with_suffix(".bin"), given.with_suffix(".toml")):
        if path.exists():
            shutil.copyfile(path, folder / path.name)
    path = folder / given.name
    if LINES[name]:
        toml = path.with_suffix(".toml")
        before = toml.read_text() if toml.exists() else ""
        toml.write_text(LINES[name] + before)  # what is in no table comes first
    with load_model(str(path), **options) as model:
        yield model


def frame_of(clip: Path, number: int) -> np.ndarray:
    """uint8 [h, w, 3], RGB."""
    import av

    with av.open(str(clip)) as container:
        for at, frame in enumerate(container.decode(video=0)):
            if at == number:
                return frame.to_ndarray(format="rgb24")
    raise AssertionError(f"{clip.name} has no frame {number}")


def around(frame: np.ndarray, box: np.ndarray, more: float) -> tuple[np.ndarray, tuple[int, int]]:
    """A square of a frame around a box, larger by a share; black where the frame ends. And its corner (x, y)."""
    side = int(max(box[2] - box[0], box[3] - box[1]) * (1 + more))
    x, y = (int((box[at] + box[at + 2] - side) / 2) for at in (0, 1))
    made = np.zeros((side, side, 3), np.uint8)
    inside = frame[max(y, 0) : y + side, max(x, 0) : x + side]
    made[max(-y, 0) :, max(-x, 0) :][: inside.shape[0], : inside.shape[1]] = inside
    return made, (x, y)


@pytest.fixture
def people(shared: Shared) -> tuple[np.ndarray, np.ndarray]:
    """A frame with two people, and their boxes as a detector finds them, from the left."""
    frame = frame_of(shared("media/two_people_1080p.mp4"), 10)
    with load_model("deimv2-femto", weights=shared(f"nets/{FILES['deimv2-femto']}"), classes=["person"]) as model:
        found = model(frame).detections
    boxes = found.boxes[found.scores > 0.6]
    assert len(boxes) == 2
    return frame, boxes[boxes[:, 0].argsort()]


@pytest.mark.parametrize("name", [name for name in LINES if name.startswith(("centernet", "person_detection"))])
def test_detectors_find_two_people(
    name: str, shared: Shared, tmp_path: Path, people: tuple[np.ndarray, np.ndarray]
) -> None:
    frame, boxes = people
    with opened(name, shared, tmp_path, labels=None) as model:
        found = model(frame).detections
    persons = [row for row in found if row.class_name == "person" and row.score > 0.5]
    assert len(persons) == 2
    got = np.array(sorted(row.box for row in persons))
    np.testing.assert_allclose(got, boxes, atol=0.06 * 1080)


def test_points_of_a_person_are_the_same_by_three_networks(
    shared: Shared, tmp_path: Path, people: tuple[np.ndarray, np.ndarray]
) -> None:
    frame, boxes = people
    crop, _ = around(frame, boxes[0], 0.25)
    found = []
    for name in (
        "movenet/movenet-lightning.onnx",
        *(f"mediapipe/pose_landmark_lite.{kind}" for kind in ("tflite", "onnx")),
    ):
        (tmp_path / name.replace("/", "_")).mkdir()
        with opened(name, shared, tmp_path / name.replace("/", "_")) as model:
            points = model(crop)[LANDMARKS]
        assert len(points) == 1
        found.append(dict(zip(points.names, points.points[0], strict=True)))
    joints = [f"{side}_{part}" for part in ("shoulder", "hip", "knee", "ankle") for side in ("left", "right")]
    movenet, lite, again = (np.array([each[joint] for joint in joints]) for each in found)
    np.testing.assert_allclose(lite, again, atol=1.5)
    assert np.median(np.linalg.norm(movenet - lite, axis=1)) < 0.04 * len(crop)


def test_a_mesh_lies_on_the_face_that_a_detector_finds(shared: Shared, tmp_path: Path) -> None:
    frame = frame_of(shared("media/faces_1080p.mp4"), 0)
    with load_model("yunet", weights=shared(f"nets/{FILES['yunet']}"), size=1920) as model:
        result = model(frame)
    assert result.landmarks is not None
    widths = result.detections.boxes[:, 2] - result.detections.boxes[:, 0]
    best = int(np.where(result.detections.scores > 0.85, widths, 0).argmax())  # the widest is seen from its side
    crop, corner = around(frame, result.detections.boxes[best], 0.5)
    five = result.landmarks.points[result.landmarks.detection_rows == best][0] - corner
    with opened("mediapipe/face_landmark.tflite", shared, tmp_path) as model:
        points = model(crop)[LANDMARKS]
        assert len(model(picture((192, 192)))[LANDMARKS]) == 0  # noise has no face
    assert len(points) == 1
    assert points.points.shape == (1, 468, 2)
    mesh = points.points[0]
    eyes = [mesh[[33, 133]].mean(axis=0), mesh[[263, 362]].mean(axis=0)]
    same = np.array([*eyes, mesh[1], mesh[61], mesh[291]])  # eyes, tip of the nose, corners of the mouth
    order = [int(np.linalg.norm(five - point, axis=1).argmin()) for point in same]
    assert sorted(order) == [0, 1, 2, 3, 4]
    assert np.linalg.norm(same - five[order], axis=1).max() < 0.08 * len(crop)


@pytest.mark.parametrize("name", [name for name in LINES if name.startswith("reid")])
def test_the_same_person_looks_the_same(
    name: str, shared: Shared, tmp_path: Path, people: tuple[np.ndarray, np.ndarray]
) -> None:
    frame, boxes = people
    later = frame_of(shared("media/two_people_1080p.mp4"), 13)
    crops = [shown[int(y1) : int(y2), int(x1) : int(x2)] for shown in (frame, later) for x1, y1, x2, y2 in boxes]
    with opened(name, shared, tmp_path) as model:
        left, right, left_later, right_later = (model(np.ascontiguousarray(crop))[EMBEDDING].values for crop in crops)
    assert left.shape == (256,)
    for same, later_same, other in ((left, left_later, right), (right, right_later, left)):
        assert same @ later_same > 0.9
        assert same @ later_same > same @ other + 0.05

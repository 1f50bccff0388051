"""Published networks whose boxes are decoded here, against ONNX Runtime and a decoding in NumPy, box for box."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph import DETECTIONS, LANDMARKS
from vidgraph.engines.spec import TensorSpec
from vidgraph.models import load_model
from vidgraph.models.custom.description import Description
from vidgraph.models.custom.detect_head import recognise
from vidgraph.models.custom.inspect import inspect_model
from vidgraph.models.options import PostprocessOptions
from vidgraph.pipeline.errors import EngineError
from vidgraph.pipeline.types.affine import Affine
from vidgraph.stages.inference.infer import RawOutputs

Outputs = dict[str, np.ndarray]
Decoded = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Boxes [A, 4] in input pixels, scores [A, C], points [A, P, 2]."""
PICTURES = ("000000000139", "000000000632", "000000000724", "000000000885", "000000001000", "000000001268")


def corners(centres: np.ndarray, sides: np.ndarray) -> np.ndarray:
    return np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)


def grid(size: tuple[int, int], stride: int, anchors: int = 1) -> np.ndarray:
    """[A, 2]: x and y of the cells of one map, row by row."""
    y, x = np.mgrid[: -(-size[0] // stride), : -(-size[1] // stride)]
    return np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), anchors, axis=0).astype(np.float64)


def yolox(outputs: Outputs, size: tuple[int, int]) -> Decoded:
    table = outputs["output"][0].astype(np.float64)
    cells = np.concatenate([grid(size, stride) for stride in (8, 16, 32)])
    strides = np.concatenate([np.full((len(grid(size, stride)), 1), stride) for stride in (8, 16, 32)])
    boxes = corners((table[:, :2] + cells) * strides, np.exp(table[:, 2:4]) * strides)
    best = table[:, 5:] == table[:, 5:].max(axis=1, keepdims=True)
    return boxes, table[:, 5:] * table[:, 4:5] * best, np.zeros((len(table), 0, 2))


def nanodet(outputs: Outputs, size: tuple[int, int]) -> Decoded:
    boxes, scores = [], []
    for stride in (8, 16, 32):
        logits = outputs[f"dis_pred_stride_{stride}"][0].astype(np.float64).reshape(-1, 4, 8)
        powers = np.exp(logits)
        reach = (powers / powers.sum(axis=2, keepdims=True) * np.arange(8)).sum(axis=2) * stride
        middle = (grid(size, stride) + 0.5) * stride
        boxes.append(np.concatenate([middle - reach[:, :2], middle + reach[:, 2:]], axis=1))
        scores.append(outputs[f"cls_pred_stride_{stride}"][0])
    return np.concatenate(boxes), np.concatenate(scores), np.zeros((sum(map(len, boxes)), 0, 2))


def yunet(outputs: Outputs, size: tuple[int, int]) -> Decoded:
    boxes, scores, points = [], [], []
    for stride in (8, 16, 32):
        cells = grid(size, stride)
        numbers = outputs[f"bbox_{stride}"][0].astype(np.float64)
        boxes.append(corners((cells + numbers[:, :2]) * stride, np.exp(numbers[:, 2:]) * stride))
        scores.append(np.sqrt(outputs[f"cls_{stride}"][0] * outputs[f"obj_{stride}"][0]))
        points.append((outputs[f"kps_{stride}"][0].reshape(-1, 5, 2) + cells[:, None]) * stride)
    return np.concatenate(boxes), np.concatenate(scores), np.concatenate(points)


def ultraface(outputs: Outputs, size: tuple[int, int]) -> Decoded:
    boxes = outputs["boxes"][0].astype(np.float64) * (size[1], size[0], size[1], size[0])
    return boxes, outputs["scores"][0][:, 1:], np.zeros((len(boxes), 0, 2))


def mediapipe(outputs: Outputs, size: tuple[int, int]) -> Decoded:
    numbers = outputs["regressors"][0].astype(np.float64)
    middle = np.concatenate([(grid(size, 8, 2) + 0.5) * 8, (grid(size, 16, 6) + 0.5) * 16])
    boxes = corners(middle + numbers[:, :2], numbers[:, 2:4])
    points = numbers[:, 4:].reshape(-1, 6, 2) + middle[:, None]
    return boxes, 1 / (1 + np.exp(-outputs["classificators"][0].astype(np.float64))), points


def suppressed(decoded: Decoded, min_score: float, max_iou: float) -> tuple[np.ndarray, ...]:
    """Boxes, scores, classes and points of what is left, best first: greedily, class by class."""
    boxes, table, points = decoded
    rows, ids = np.nonzero(table > min_score)
    order = np.argsort(-table[rows, ids], kind="stable")
    rows, ids = rows[order], ids[order]
    kept: list[int] = []
    for at, (row, number) in enumerate(zip(rows, ids, strict=True)):
        for other in kept:
            if ids[other] == number and overlap(boxes[rows[other]], boxes[row]) > max_iou:
                break
        else:
            kept.append(at)
    rows, ids = rows[kept], ids[kept]
    return boxes[rows], table[rows, ids], ids, points[rows]


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union."""
    sides = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None)
    both = float(np.prod(sides))
    return both / float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - both)


def resized(picture: np.ndarray, size: tuple[int, int], scale: np.ndarray) -> np.ndarray:
    """Bilinearly, to (height, width), where a pixel is ``scale`` (x, y) of those of the picture."""
    for axis in (0, 1):
        place = np.clip((np.arange(size[axis]) + 0.5) * scale[1 - axis] - 0.5, 0, picture.shape[axis] - 1)
        first = np.floor(place).astype(int)
        share = (place - first).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        second = np.minimum(first + 1, picture.shape[axis] - 1)
        picture = picture.take(first, axis) * (1 - share) + picture.take(second, axis) * share
    return picture


def seen_by(rgb: np.ndarray, size: tuple[int, int], made: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """The input float32 [1, h, w, 3] that a picture makes, and how large its pixels are in it, (x, y)."""
    scale, shown = np.array([rgb.shape[1] / size[1], rgb.shape[0] / size[0]]), size
    if made["fit"] == "pad":
        scale = np.full(2, scale.max())
        shown = (round(rgb.shape[0] / scale[1]), round(rgb.shape[1] / scale[0]))
    values = np.full((*size, 3), made.get("pad", 0), np.float64)
    values[: shown[0], : shown[1]] = resized(rgb.astype(np.float64), shown, scale)
    values = values[..., ::-1] if made["bgr"] else values
    return ((values - made["mean"]) / made["std"]).astype(np.float32)[None], scale


def check(found: Any, wanted: tuple[np.ndarray, ...], scale: np.ndarray, frame: tuple[int, int], atol: float) -> int:
    """How many there are, all of which ``found`` has, in order, and no others."""
    boxes, scores, ids, points = wanted
    placed = np.clip(boxes * np.tile(scale, 2), 0, (frame[1], frame[0]) * 2)
    np.testing.assert_allclose(found[DETECTIONS].scores, scores, atol=1e-3)
    np.testing.assert_allclose(found[DETECTIONS].boxes, placed, atol=atol)
    np.testing.assert_array_equal(found[DETECTIONS].class_ids, ids)
    if points.shape[1]:
        np.testing.assert_allclose(found[LANDMARKS].points, points * scale, atol=atol)
    return len(boxes)


def frame_of(clip: Path, number: int) -> np.ndarray:
    """A frame of a clip, RGB."""
    import av

    with av.open(str(clip)) as container:
        for at, frame in enumerate(container.decode(video=0)):
            if at == number:
                return np.asarray(frame.to_ndarray(format="rgb24"))
    raise AssertionError(f"{clip} has no frame {number}")


NETWORKS: dict[str, tuple[str, Callable[..., Decoded], tuple[int, int], dict[str, Any]]] = {
    "yolox": (
        "yolox_nano/yolox_nano_kazuhito.onnx", yolox, (416, 416),
        {"fit": "pad", "pad": 114, "bgr": True, "mean": 0, "std": 1},
    ),
    "nanodet": (
        "nanodet_m/nanodet_m_320.onnx", nanodet, (320, 320),
        {"fit": "stretch", "bgr": True, "mean": (103.53, 116.28, 123.675), "std": (57.375, 57.12, 58.395)},
    ),
    "yunet": ("yunet/yunet_n_dynamic.onnx", yunet, (352, 416), {"fit": "pad", "bgr": True, "mean": 0, "std": 1}),
    "ultraface": (
        "ultraface/version-RFB-320.onnx", ultraface, (240, 320),
        {"fit": "stretch", "bgr": False, "mean": 127, "std": 128},
    ),
}  # fmt: skip
"""Head -> file, decoding, size of the input, and how its picture is made."""


@pytest.mark.parametrize("head", NETWORKS)
def test_the_same_boxes_as_onnx_runtime_and_numpy(
    head: str, shared: Callable[[str], Path], tolerance: Callable[[str], float]
) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime (the extra of that name)")
    pillow = pytest.importorskip("PIL.Image")
    name, decode, size, made = NETWORKS[head]
    path = shared(f"nets/{name}")
    if head in ("yunet", "ultraface"):
        whole = frame_of(shared("media/faces_1080p.mp4"), 0)
        pictures = [whole, whole[:, 501:1200], whole[301:1000, 401:1402]]  # portrait; odd sides
    else:
        images = shared("data/coco_val128/images")
        pictures = [np.asarray(pillow.open(images / f"{number}.jpg").convert("RGB")) for number in PICTURES]
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given, count = session.get_inputs()[0].name, 0
    choices: dict[str, Any] = {"min_score": 0.3, "nms_iou": 0.5, "max_detections": 1000}
    fixed = all(isinstance(length, int) for length in session.get_inputs()[0].shape)
    with load_model(str(path), engine="onnxruntime", size=None if fixed else size, **choices) as model:
        for rgb in pictures:
            values, scale = seen_by(rgb, size, made)
            outputs = session.run(None, {given: values.transpose(0, 3, 1, 2)})
            by_name = dict(zip([each.name for each in session.get_outputs()], outputs, strict=True))
            wanted = suppressed(decode(by_name, size), 0.3, 0.5)
            result = model(rgb)
            found = {DETECTIONS: result.detections, LANDMARKS: result.landmarks}
            count += check(found, wanted, scale, rgb.shape[:2], tolerance("published detections, px"))
    assert count >= 5


@pytest.mark.parametrize("number", [0, 40])
def test_mediapipe_s_detector_of_faces(
    number: int, shared: Callable[[str], Path], tolerance: Callable[[str], float]
) -> None:
    openvino = pytest.importorskip("openvino")
    network = shared("nets/mediapipe/face_detection_short_range.tflite")
    rgb, size = frame_of(shared("media/faces_1080p.mp4"), number), (128, 128)
    side = 400  # of two faces, for a detector of near ones
    rgb = rgb[440 : 440 + side, 560 : 560 + side]
    model = openvino.Core().compile_model(str(network), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    values, scale = seen_by(rgb, size, {"fit": "stretch", "bgr": False, "mean": 127.5, "std": 127.5})
    answers = model([values])
    outputs = {port.get_any_name(): np.array(answers[port]) for port in model.outputs}
    specs = [TensorSpec(name, array.dtype, array.shape) for name, array in outputs.items()]
    head = recognise(specs, Description(), size)
    assert head.kind == "mediapipe-face"
    choices = PostprocessOptions(min_score=0.5, nms_iou=0.3)
    arrays = head.select_outputs(choices)(outputs)
    raw = RawOutputs(arrays, size, Affine((float(scale[0]), float(scale[1]))))
    found = head.decode(raw, (side, side), choices, ("face",))
    wanted = suppressed(mediapipe(outputs, size), 0.5, 0.3)
    assert check(found, wanted, scale, (side, side), tolerance("published detections, px")) >= 1


def test_a_size_that_a_network_does_not_take(shared: Callable[[str], Path]) -> None:
    path = shared("nets/yunet/yunet_n_dynamic.onnx")
    with pytest.raises(EngineError, match=r"at 330x300: many networks take multiples of 32 .* --size 352x320"):
        inspect_model(path, size=(300, 330))
    head: Any = inspect_model(path, size=(320, 352)).head
    assert (head.kind, head.point_names) == ("yunet", ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right"))

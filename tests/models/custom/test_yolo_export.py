"""YOLO-style networks of our own, exported by both exporters of torch, and plain post-processing."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.models import load_model

from .yolo_planted import Mapping, check_masks, probabilities

SIZE = (96, 160)
NAMES = ("cat", "dog", "cup")
MASKS, JOINTS = 32, 17
MIN_SCORE, LIMIT = 0.25, 300


@dataclass(frozen=True)
class Kind:
    """A network: what builds it from its module, the dictionary keys that exporters write, and how many classes."""

    build: Callable[[Any], Any]
    max_iou: float | None
    classes: tuple[str, ...] = NAMES
    metadata: tuple[tuple[str, str], ...] = ()


KINDS = {
    "v8": Kind(lambda nets: nets.AnchorFree(SIZE, 3), 0.7),
    "v11-seg": Kind(lambda nets: nets.AnchorFree(SIZE, 3, masks=MASKS), 0.7, metadata=(("task", "segment"),)),
    "v8-pose": Kind(
        lambda nets: nets.AnchorFree(SIZE, 1, joints=JOINTS), 0.7, ("person",),
        (("task", "pose"), ("kpt_shape", "[17, 3]")),
    ),
    "v5": Kind(lambda nets: nets.AnchorBased(SIZE, 3), 0.45),
    "v5-seg": Kind(lambda nets: nets.AnchorBased(SIZE, 3, masks=MASKS), 0.45),
    "v10-seg": Kind(lambda nets: nets.EndToEnd(nets.AnchorFree(SIZE, 3, masks=MASKS)), None),
}  # fmt: skip
ENGINES = ["openvino", *(["onnxruntime"] if find_spec("onnxruntime") else [])]
FRAMES = {"v8": (96, 160), "v8-pose": (120, 90), "v5": (45, 131)}
"""Of other sizes than the input, but for the first."""


@pytest.fixture(scope="module")
def nets(torch: Any) -> Any:
    from . import yolo_nets

    return yolo_nets


def picture(frame: tuple[int, int]) -> np.ndarray:
    """RGB, uint8 [H, W, 3], with coarse spots."""
    spots = np.random.default_rng(frame[0]).integers(0, 256, (-(-frame[0] // 8), -(-frame[1] // 8), 3), np.uint8)
    return np.ascontiguousarray(spots.repeat(8, 0).repeat(8, 1)[: frame[0], : frame[1]])


def placed(torch: Any, image: np.ndarray) -> tuple[Any, Mapping]:
    """The input float32 [1, 3, H, W] of a letterboxed picture, by torch, and where it lies."""
    frame = image.shape[:2]
    ratio = min(SIZE[0] / frame[0], SIZE[1] / frame[1])
    height, width = (round(length * ratio) for length in frame)
    y, x = round((SIZE[0] - height) / 2 - 0.1), round((SIZE[1] - width) / 2 - 0.1)
    values = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    whole = torch.full((1, 3, *SIZE), 114.0)
    resized = torch.nn.functional.interpolate(values, (height, width), mode="bilinear", align_corners=False)
    whole[:, :, y : y + height, x : x + width] = resized
    scale = (frame[1] / width, frame[0] / height)
    return whole / 255, Mapping(scale, (-x * scale[0], -y * scale[1]))


def overlap(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    sides = np.minimum(one[2:], others[:, 2:]) - np.maximum(one[:2], others[:, :2])
    shared = np.clip(sides, 0, None).prod(axis=1)
    return np.asarray(shared / ((one[2:] - one[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(axis=1) - shared))


def plain(kind: Kind, table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Boxes (x1, y1, x2, y2) of the input, scores, classes, and what follows them, best first: written out plainly."""
    if kind.max_iou is None:
        rows = table[table[:, 4] > MIN_SCORE]
        return rows[:, :4], rows[:, 4], rows[:, 5].astype(int), rows[:, 6:]
    rows = table if kind.max_iou == 0.45 else table.T
    first = 5 if kind.max_iou == 0.45 else 4
    all_scores = rows[:, first : first + len(kind.classes)] * (rows[:, 4:5] if first == 5 else 1)
    scores, class_ids = all_scores.max(axis=1), all_scores.argmax(axis=1)
    boxes = np.concatenate([rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2], axis=1)
    kept: list[int] = []
    for row in np.argsort(-scores, kind="stable"):
        same = [other for other in kept if class_ids[other] == class_ids[row]]
        if scores[row] > MIN_SCORE and not (overlap(boxes[row], boxes[same]) > kind.max_iou).any():
            kept.append(row)
    kept = kept[:LIMIT]
    return boxes[kept], scores[kept], class_ids[kept], rows[kept, first + len(kind.classes) :]


def export(torch: Any, network: Any, kind: Kind, path: Path, *, dynamo: bool) -> Path:
    """As the exporters write it, with the metadata that Ultralytics adds."""
    import onnx

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch's notes on its own exporter
        example = torch.zeros(1, 3, *SIZE)
        outputs = ["output0", "output1"] if isinstance(network(example), tuple) else ["output0"]
        more = {"external_data": False, "verbose": False} if dynamo else {}
        torch.onnx.export(network, (example,), str(path), input_names=["images"], output_names=outputs, dynamo=dynamo,
                          opset_version=18 if dynamo else 17, **more)  # fmt: skip
    model = onnx.load(path)
    names = str(dict(enumerate(kind.classes)))
    onnx.helper.set_model_props(model, {"names": names, "stride": "32", **dict(kind.metadata)})
    onnx.save(model, path)
    return path


def run_and_compare(torch: Any, nets: Any, path: Path, name: str, *, dynamo: bool) -> None:
    """Equal results of the file in vidgraph, in each engine, and of the module with plain post-processing."""
    kind, frame = KINDS[name], FRAMES.get(name, (108, 192))
    image = picture(frame)
    given, mapping = placed(torch, image)
    network = nets.seeded(kind.build(nets), given, seed=3)
    with torch.no_grad():
        outputs = network(given)
    tables = [array[0].numpy() for array in (outputs if isinstance(outputs, tuple) else (outputs,))]
    export(torch, network, kind, path, dynamo=dynamo)
    for engine in ENGINES:
        with load_model(str(path), engine=engine, precision="fp32") as model:
            compare(kind, tables, mapping, model(image), frame)


def compare(kind: Kind, tables: list[np.ndarray], mapping: Mapping, found: Any, frame: tuple[int, int]) -> None:
    """That results are those of plain post-processing of the outputs ``tables``."""
    boxes, scores, class_ids, behind = plain(kind, tables[0])
    boxes = mapping.boxes(boxes, frame)
    seen = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    boxes, scores, class_ids, behind = boxes[seen], scores[seen], class_ids[seen], behind[seen]
    detections = found.detections
    assert detections.class_names == kind.classes
    assert 5 < len(detections) == len(boxes) < LIMIT
    assert (np.diff(detections.scores) <= 0).all()
    order = matched(detections, boxes, scores, class_ids)  # scores that are nearly equal may change places
    np.testing.assert_allclose(detections.scores[order], scores, atol=1e-3)
    np.testing.assert_allclose(detections.boxes[order], boxes, atol=0.1)
    if len(tables) == 2:
        pairs = zip(behind[:20], boxes, strict=False)
        expected = [probabilities(tables[1], row, box, mapping, SIZE, frame) for row, box in pairs]
        check_masks(detections.masks[order[: len(expected)]], expected, undecided=0.02)
        assert any(detections.masks.area(row) for row in range(len(expected)))
    if kind.classes == ("person",):
        points = behind.reshape(-1, JOINTS, 3)
        np.testing.assert_allclose(found.landmarks.points[order], mapping.points(points[:, :, :2]), atol=0.1)
        np.testing.assert_allclose(found.landmarks.scores[order], points[:, :, 2], atol=1e-3)
        assert found.landmarks.names[:2] == ("nose", "left_eye")


def matched(detections: Any, boxes: np.ndarray, scores: np.ndarray, class_ids: np.ndarray) -> np.ndarray:
    """The detection that each row is: of its class, and nearest in box and score; no two are one."""
    far = np.abs(detections.boxes[None] - boxes[:, None]).max(axis=2)
    far += 100 * np.abs(detections.scores[None] - scores[:, None])
    far[detections.class_ids[None] != class_ids[:, None]] = np.inf
    order = far.argmin(axis=1)
    assert len(set(order.tolist())) == len(boxes)
    return np.asarray(order)


@pytest.mark.parametrize("name", KINDS)
def test_exported_by_tracing(torch: Any, nets: Any, name: str, tmp_path: Path) -> None:
    run_and_compare(torch, nets, tmp_path / "own.onnx", name, dynamo=False)


@pytest.mark.parametrize("name", ["v11-seg", "v5-seg"])
def test_exported_by_capturing(torch: Any, nets: Any, name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="torch's newer exporter needs onnxscript (the extra 'torch')")
    run_and_compare(torch, nets, tmp_path / "own.onnx", name, dynamo=True)

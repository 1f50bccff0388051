"""AP of the published detectors on real pictures: as stated, and that of ONNX Runtime with a decoding in NumPy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.training.evaluation.evaluate import evaluate

from .custom.test_published_cells import Decoded, nanodet, seen_by, yolox
from .test_published import FILES

pillow = pytest.importorskip("PIL.Image")
Found = list[tuple[int, float, list[float]]]
"""Class, score and box (x1, y1, x2, y2) in pixels of the picture."""
MIN_SCORE, MOST = 0.02, 100


def deimv2(session: Any, rgb: np.ndarray, side: int) -> Found:
    values, _ = seen_by(rgb, (side, side), {"fit": "stretch", "bgr": False, "mean": 0, "std": 255})
    feeds = {"images": values.transpose(0, 3, 1, 2), "orig_target_sizes": np.array([rgb.shape[1::-1]], np.int64)}
    labels, boxes, scores = session.run(["labels", "boxes", "scores"], feeds)
    order = np.argsort(-scores[0], kind="stable")[:MOST]
    rows = order[scores[0][order] > MIN_SCORE]
    return [(int(labels[0][row]), float(scores[0][row]), boxes[0][row].tolist()) for row in rows]


def cells(
    decode: Callable[..., Decoded], max_iou: float, made: dict[str, Any]
) -> Callable[[Any, np.ndarray, int], Found]:
    """A network whose boxes are decoded, and suppressed class by class."""

    def found(session: Any, rgb: np.ndarray, side: int) -> Found:
        values, scale = seen_by(rgb, (side, side), made)
        given = session.get_inputs()[0].name
        outputs = session.run(None, {given: values.transpose(0, 3, 1, 2)})
        names = [each.name for each in session.get_outputs()]
        boxes, table, _ = decode(dict(zip(names, outputs, strict=True)), (side, side))
        rows, ids = np.nonzero(table > MIN_SCORE)
        scores, boxes = table[rows, ids], boxes[rows]
        left, kept = np.argsort(-scores, kind="stable"), []
        while len(left) and len(kept) < MOST:
            best, left = left[0], left[1:]
            kept.append(best)
            sides = np.minimum(boxes[left, 2:], boxes[best, 2:]) - np.maximum(boxes[left, :2], boxes[best, :2])
            both = np.prod(sides.clip(0), axis=1)
            areas = [np.prod(each[..., 2:] - each[..., :2], axis=-1) for each in (boxes[left], boxes[best])]
            left = left[(both / (areas[0] + areas[1] - both) <= max_iou) | (ids[left] != ids[best])]
        boxes = np.clip(boxes * np.tile(scale, 2), 0, rgb.shape[1::-1] * 2)
        return [(int(ids[row]), float(scores[row]), boxes[row].tolist()) for row in kept]

    return found


NETWORKS: dict[str, tuple[float, int, Callable[[Any, np.ndarray, int], Found]]] = {
    "deimv2-femto": (39.9, 416, deimv2),
    "deimv2-atto": (29.8, 320, deimv2),
    "yolox-nano": (33.2, 416, cells(yolox, 0.45, {"fit": "pad", "pad": 114, "bgr": True, "mean": 0, "std": 1})),
    "nanodet-m": (24.1, 320, cells(nanodet, 0.6, {
        "fit": "stretch", "bgr": True, "mean": (103.53, 116.28, 123.675), "std": (57.375, 57.12, 58.395),
    })),
}  # fmt: skip
"""Name -> AP that it has at least, in points; side of its input; what it finds in a picture."""


def judged(truth: Path, found: list[dict[str, Any]]) -> float:
    """The AP of COCO's own protocol, in points."""
    eval_library = pytest.importorskip("faster_coco_eval", reason="needs faster-coco-eval (the extra 'eval')")
    gold = eval_library.COCO(str(truth))
    run = eval_library.COCOeval_faster(gold, gold.loadRes(found), "bbox", print_function=lambda *_: None)
    run.evaluate()
    run.accumulate()
    run.summarize()
    return 100 * float(run.stats[0])


@pytest.mark.parametrize("name", NETWORKS)
def test_as_high_as_by_onnx_runtime_and_numpy(name: str, shared: Callable[[str], Path]) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime (the extra of that name)")
    pytest.importorskip("faster_coco_eval", reason="needs faster-coco-eval (the extra 'eval')")
    least, side, find = NETWORKS[name]
    weights, data = shared(f"nets/{FILES[name]}"), shared("data/coco_val128")
    truth = json.loads((data / "boxes.json").read_text())
    categories = sorted(each["id"] for each in truth["categories"])
    assert len(categories) == 80
    session = runtime.InferenceSession(str(weights), providers=["CPUExecutionProvider"])
    found = [
        {"image_id": image["id"], "category_id": categories[which], "score": score,
         "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]]}
        for image in truth["images"]
        for which, score, box in find(
            session, np.asarray(pillow.open(data / "images" / image["file_name"]).convert("RGB")), side
        )
    ]  # fmt: skip
    report = evaluate(name, f"coco:{data / 'boxes.json'}?images={data / 'images'}", weights=weights)
    assert report.frames == len(truth["images"]) == 128
    ours = 100 * report["box AP"]
    assert ours >= least
    assert ours == pytest.approx(judged(data / "boxes.json", found), abs=0.1)

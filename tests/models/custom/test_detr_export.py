"""An RT-DETR of random weights, exported by torch, in both engines: equal to torch with plain post-processing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.models import load_model

from .exported import export, given, seeded, spotted
from .planted import PLACES, in_frame, precision_of

SIZE, CLASSES = (96, 128), ("cat", "dog", "cup", "car", "kite")
FRAMES = {"letterbox": (70, 131), "stretch": (120, 90)}
INPUT = "[input]\nmean = [0, 0, 0]\nstd = [255, 255, 255]\npad = [114, 114, 114]\n"
LEAST = 0.2

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def nets(torch: Any) -> Any:
    from . import detr_nets

    return detr_nets


def plain(torch: Any, logits: Any, boxes: Any, *, softmax: bool) -> Rows:
    """Boxes (x1, y1, x2, y2) of the input in pixels, scores and classes, best first: as published, in torch."""
    if softmax:
        scores, labels = torch.softmax(logits[0], -1)[:, :-1].max(-1)
        rows = torch.arange(len(scores))
    else:
        scores, index = torch.sigmoid(logits[0]).flatten().topk(len(logits[0]))
        rows, labels = index // logits.shape[2], index % logits.shape[2]
    order = torch.argsort(scores, descending=True)
    order = order[scores[order] > LEAST]
    centre, size = boxes[0, rows[order], :2], boxes[0, rows[order], 2:]
    corners = torch.cat([centre - size / 2, centre + size / 2], -1) * torch.tensor([SIZE[1], SIZE[0]] * 2)
    return corners.numpy(), scores[order].numpy(), labels[order].numpy()


def compare(torch: Any, network: Any, path: Path, fit: str, engine: str, *, softmax: bool = False) -> int:
    """Equal results of the file in vidgraph and of torch; how many there are."""
    frame = FRAMES[fit]
    image, place = spotted(frame), PLACES[fit](SIZE, frame)
    network.finished = False
    with torch.no_grad():
        boxes, scores, labels = plain(torch, *network(given(torch, image, SIZE, place)), softmax=softmax)
    with load_model(str(path), engine=engine, precision=precision_of(engine), min_score=LEAST) as model:
        found = model(image).detections
    boxes = in_frame(boxes, place, frame)
    seen = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    boxes, scores, labels = boxes[seen], scores[seen], labels[seen]
    assert len(found) == len(scores)
    np.testing.assert_allclose(found.scores, scores, atol=1e-4)
    assert found.class_ids.tolist() == labels.tolist()
    np.testing.assert_allclose(found.boxes, boxes, atol=0.02)
    return len(found)


def toml(fit: str) -> str:
    return f'classes = {list(CLASSES)}\n{INPUT}fit = "{fit}"\n'


@pytest.mark.parametrize(("exporter", "softmax"), [("tracing", False), ("tracing", True), ("capturing", False)])
def test_logits_and_boxes(torch: Any, nets: Any, exporter: str, softmax: bool, tmp_path: Path) -> None:
    network = seeded(torch, lambda: nets.Detr(SIZE, len(CLASSES) + softmax))
    fit = "stretch" if softmax else "letterbox"
    names, example = ("logits", "pred_boxes"), torch.zeros(1, 3, *SIZE)
    path = export(torch, network, tmp_path / "own.onnx", names, [example], exporter, toml(fit))
    for engine in ("openvino", "onnxruntime"):
        assert compare(torch, network, path, fit, engine, softmax=softmax) > 4


def test_with_their_post_processing(torch: Any, nets: Any, tmp_path: Path) -> None:
    network = seeded(torch, lambda: nets.Detr(SIZE, len(CLASSES), finished=True), seed=1)
    examples = [torch.zeros(1, 3, *SIZE), torch.tensor([[640, 640]])]
    names = ("labels", "boxes", "scores")
    path = export(torch, network, tmp_path / "own.onnx", names, examples, "tracing", toml("letterbox"))
    for engine in ("openvino", "onnxruntime"):
        assert compare(torch, network, path, "letterbox", engine) > 4

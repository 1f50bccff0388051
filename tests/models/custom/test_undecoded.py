"""Rows of YOLOX and NanoDet: whether their boxes are decoded is told by the end of the graph, or asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.models import load_model
from vidgraph.models.custom.inspect import inspect_model
from vidgraph.pipeline.errors import UsageError

from .planted import picture, write_network
from .undecoded_nets import write_rows

SIZE = (64, 96)
YOLOX = (("", 4), ("sigmoid", 1), ("sigmoid", 3))
NANODET = (("sigmoid", 3), ("", 32))
PLANTED = np.random.default_rng(0).uniform(0, 0.2, (1, 126, 8)).astype(np.float32)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"pieces": YOLOX}, "yolox"),
        ({"pieces": YOLOX, "output": "output0"}, "yolox"),
        ({"pieces": YOLOX, "between": "Identity"}, "yolox"),
        ({"pieces": YOLOX, "toml": "objectness = true"}, "yolox"),
        ({"pieces": YOLOX, "decoding": True, "toml": "objectness = true"}, "yolo"),
        ({"pieces": YOLOX, "decoding": True, "toml": 'classes = ["a", "b", "c"]'}, "yolo"),
        ({"pieces": YOLOX, "between": "Abs", "toml": 'head = "yolox"'}, "yolox"),
        ({"pieces": YOLOX, "between": "Abs", "toml": 'head = "yolo"\nobjectness = true'}, "yolo"),
        ({"pieces": NANODET}, "nanodet"),
        ({"pieces": NANODET, "split": "attribute"}, "nanodet"),
        ({"pieces": NANODET, "split": "constant"}, "nanodet"),
        ({"pieces": NANODET, "split": "initializer"}, "nanodet"),
        ({"pieces": NANODET, "strides": (8, 16, 32, 64), "toml": '[input]\nsize = "96x64"'}, "nanodet"),
        ({"pieces": (("sigmoid", 3), ("", 44))}, "nanodet"),
    ],
)
def test_the_end_of_the_graph_tells(given: dict[str, Any], kind: str, tmp_path: Path) -> None:
    custom = inspect_model(write_rows(tmp_path / "my.onnx", size=SIZE, **given))
    assert (custom.head.kind, custom.head.class_count) == (kind, 3)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"pieces": YOLOX, "toml": 'head = "yolo"\nobjectness = true'}, "still to be decoded, .* it is head yolox"),
        ({"pieces": NANODET, "toml": 'head = "yolo"\nobjectness = true'}, "still to be decoded, .* it is head nanodet"),
        ({"pieces": YOLOX, "between": "Abs"}, r'\(head = "yolox"\) or decoded in .* \(head = "yolo" and objectness'),
        ({"pieces": YOLOX, "between": "Abs", "toml": 'classes = ["a", "b", "c"]'}, 'head = "yolox"'),
        ({"pieces": YOLOX, "channels_last": False}, "still to be decoded"),
        ({"pieces": YOLOX, "toml": 'classes = ["a", "b"]'}, "speaks of 3 classes, but 2 are named"),
        ({"pieces": YOLOX, "toml": 'head = "yolox"\nscores = "softmax"'}, "not a softmax"),
        ({"pieces": NANODET, "toml": 'classes = ["a", "b"]'}, "speaks of 3 classes, but 2 are named"),
        ({"pieces": NANODET, "between": "Abs", "toml": 'head = "nanodet"'}, "name the `classes`"),
    ],
)
def test_refused(given: dict[str, Any], why: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=why):
        inspect_model(write_rows(tmp_path / "my.onnx", size=SIZE, **given))


def test_a_file_whose_graph_shows_nothing_is_asked_about(tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", {"output": PLANTED}, size=SIZE, toml='classes = ["a", "b", "c"]')
    with pytest.raises(UsageError, match=r"my.onnx: no head fits .*say whether its boxes are still to be decoded"):
        inspect_model(path)
    assert inspect_model(path, head="yolox").head.kind == "yolox"
    named = write_network(tmp_path / "v6.onnx", {"outputs": PLANTED}, size=SIZE, toml='classes = ["a", "b", "c"]')
    assert inspect_model(named).head.kind == "yolo"


def test_decoded_here_and_in_the_graph_alike(tmp_path: Path) -> None:
    toml = '[input]\nfit = "pad"\ncolor = "bgr"\nmean = [0, 0, 0]\nstd = [255, 255, 255]\n'
    raw = write_rows(tmp_path / "raw.onnx", size=SIZE, pieces=YOLOX, toml=toml)
    decoded = write_rows(
        tmp_path / "decoded.onnx", size=SIZE, pieces=YOLOX, decoding=True, toml=f"objectness = true\n{toml}"
    )
    options: dict[str, Any] = {"precision": "fp32", "min_score": 0.3, "nms_iou": 0.45}
    with load_model(str(raw), **options) as here, load_model(str(decoded), **options) as there:
        for frame in ((108, 192), (190, 110), (133, 77)):
            found, wanted = here(picture(frame)).detections, there(picture(frame)).detections
            assert len(found) > 5
            np.testing.assert_allclose(found.boxes, wanted.boxes, atol=1e-2)
            np.testing.assert_allclose(found.scores, wanted.scores, rtol=1e-5)
            np.testing.assert_array_equal(found.class_ids, wanted.class_ids)

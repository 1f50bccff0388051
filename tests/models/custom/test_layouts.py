"""Every layout of today's exporters: read by the head that is meant, asked about, or refused; and never with a rest."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.engines.spec import TensorSpec
from vidgraph.models.custom.description import Description, from_one_source
from vidgraph.models.custom.detect_head import recognise
from vidgraph.models.custom.heads import HEADS
from vidgraph.pipeline.errors import UsageError
from vidgraph.pipeline.types.picture import Size

Shapes = dict[str, tuple[int, ...]]
WHOLE = frozenset({"labels", "classes", "pred_classes", "num_dets", "det_classes", "count"})
"""Outputs of whole numbers."""


@dataclass(frozen=True)
class Layout:
    """One of them.

    Attributes:
        outputs: name -> shape.
        head: that reads it when ``said`` is known; None: none does.
        asks: what the refusal says where nothing is known beside the outputs; None: it is read.
        said: what the metadata or the TOML say then.
        alike: the head of another layout of the same shape and name, which only metadata tell apart: it is the one
            that is assumed, and ``vidgraph check`` and the first line of a run name it.
    """

    outputs: Shapes
    head: str | None
    asks: str | None = None
    said: dict[str, Any] = field(default_factory=dict)
    size: Size = (640, 640)
    alike: str | None = None


def levels(*parts: tuple[str, int], rows: tuple[int, ...], batch: bool = True, strides: bool = True) -> Shapes:
    """The same outputs of each map: name and columns."""
    lead = (1,) if batch else ()
    names = (8, 16, 32, 64, 128) if strides else range(5)
    return {
        f"{name}_{which}": (*lead, count, columns)
        for name, columns in parts
        for which, count in zip(names, rows, strict=False)
    }


COCO = tuple(f"c{i}" for i in range(80))
LAYOUTS: dict[str, Layout] = {
    "RF-DETR": Layout({"dets": (1, 300, 4), "labels": (1, 300, 91)}, "detr", said={"scores": "sigmoid"}),
    "RF-DETR-Seg": Layout(
        {"dets": (1, 200, 4), "labels": (1, 200, 91), "masks": (1, 200, 108, 108)}, "detr", size=(432, 432)
    ),
    "RF-DETR Keypoint": Layout(
        {"dets": (1, 100, 4), "labels": (1, 100, 2), "keypoints": (1, 100, 34, 7)}, "detr",
        asks="", said={"point_counts": (17, 0), "trace_alpha": 0.2}, size=(576, 576),
    ),
    "RT-DETR of Ultralytics": Layout({"output0": (1, 300, 84)}, "detr", asks="", said={"head": "detr"}),
    "RT-DETR, rows": Layout(
        {"output0": (1, 300, 6)}, "detr", alike="yolo-end2end", said={"head": "detr", "end_to_end": True}
    ),
    "YOLO26": Layout({"output0": (1, 300, 6)}, "yolo-end2end", said={"task": "detect", "end_to_end": True}),
    "YOLO26-seg": Layout(
        {"output0": (1, 300, 38), "output1": (1, 32, 160, 160)}, "yolo-end2end",
        said={"task": "segment", "end_to_end": True},
    ),
    "YOLO26-pose": Layout(
        {"output0": (1, 300, 57)}, "yolo-end2end", said={"task": "pose", "end_to_end": True, "points": (17, 3)}
    ),
    "YOLOv8, YOLO11": Layout({"output0": (1, 84, 8400)}, "yolo"),
    "YOLOE-seg": Layout({"output0": (1, 116, 8400), "output1": (1, 32, 160, 160)}, "yolo"),
    "YOLO11-obb": Layout({"output0": (1, 20, 8400)}, "obb", alike="yolo", said={"task": "obb"}),
    "YOLO26-obb": Layout({"output0": (1, 300, 7)}, "obb", asks="", said={"task": "obb", "end_to_end": True}),
    "YOLOX": Layout({"output": (1, 8400, 85)}, "yolox", asks="", said={"head": "yolox"}),
    "DAMO-YOLO": Layout(
        {"scores": (1, 8400, 80), "boxes": (1, 8400, 4)}, "damo-yolo", asks="", said={"head": "damo-yolo"}
    ),
    "EfficientNMS": Layout(
        {"num_dets": (1, 1), "det_boxes": (1, 100, 4), "det_scores": (1, 100), "det_classes": (1, 100)}, "efficient-nms"
    ),
    "NanoDet-Plus": Layout({"output": (1, 3598, 112)}, "nanodet", asks="", said={"classes": COCO}, size=(416, 416)),
    "NanoDet": Layout({"output": (1, 2125, 112)}, "nanodet", asks="", said={"classes": COCO}, size=(320, 320)),
    "PicoDet, raw": Layout(
        levels(("cls", 80), ("dis", 32), rows=(2704, 676, 169, 49)), "picodet", size=(416, 416)
    ),
    "Paddle, with post-processing": Layout(
        {"multiclass_nms3_0.tmp_0": (300, 6)}, "paddle", asks="", said={"head": "paddle"}
    ),
    "Paddle, and the count": Layout(
        {"multiclass_nms3_0.tmp_0": (300, 6), "count": (1,)}, "paddle", asks="", said={"head": "paddle"}
    ),
    "mmdet": Layout({"dets": (1, 100, 5), "labels": (1, 100)}, "mmdeploy"),
    "mmdet, masks as large as the input": Layout(
        {"dets": (1, 100, 5), "labels": (1, 100), "masks": (1, 100, 640, 640)}, "mmdeploy"
    ),
    "mmdet, masks of the boxes": Layout(
        {"dets": (1, 100, 5), "labels": (1, 100), "masks": (1, 100, 28, 28)}, "mmdeploy"
    ),
    "mmrotate": Layout({"dets": (1, 200, 6), "labels": (1, 200)}, "mmrotate"),
    "MaskFormer of mmdet": Layout({"cls_logits": (1, 100, 134), "mask_logits": (1, 100, 160, 160)}, "mask-queries"),
    "Panoptic-FPN of mmdet": Layout(
        {"dets": (1, 100, 5), "labels": (1, 100), "masks": (1, 100, 28, 28), "semseg": (1, 54, 160, 160)}, None,
        asks="mmdeploy does not read semseg",
    ),
    "MaskFormer, Mask2Former, EoMT": Layout(
        {"class_queries_logits": (1, 100, 134), "masks_queries_logits": (1, 100, 160, 160)}, "mask-queries"
    ),
    "DETR segmentation": Layout(
        {"logits": (1, 100, 251), "pred_masks": (1, 100, 160, 160)}, "mask-queries", said={"head": "mask-queries"}
    ),
    "torchvision Mask R-CNN": Layout(
        {"boxes": (100, 4), "labels": (100,), "scores": (100,), "masks": (100, 1, 640, 640)}, "torchvision"
    ),
    "detectron2": Layout(
        {"boxes": (100, 4), "classes": (100,), "masks": (100, 1, 28, 28), "scores": (100,)}, "detectron2"
    ),
    "RTMPose": Layout({"simcc_x": (1, 17, 384), "simcc_y": (1, 17, 512)}, "simcc", size=(256, 192)),
    "RTMO, YOLOX-Pose": Layout({"dets": (1, 2000, 5), "keypoints": (1, 2000, 17, 3)}, "rtmo"),
    "ViTPose, HRNet": Layout(
        {"heatmaps": (1, 17, 64, 48)}, "heatmaps", asks="", said={"head": "heatmaps"}, size=(256, 192)
    ),
    "SCRFD": Layout(
        levels(("score", 1), ("bbox", 4), ("kps", 10), rows=(12800, 3200, 800), batch=False), "scrfd"
    ),
    "SCRFD without points": Layout(levels(("score", 1), ("bbox", 4), rows=(12800, 3200, 800), batch=False), "scrfd"),
    "YuNet": Layout(
        levels(("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10), rows=(6400, 1600, 400)), "yunet"
    ),
    "MediaPipe faces": Layout(
        {"regressors": (1, 896, 16), "classificators": (1, 896, 1)}, "mediapipe-face", size=(128, 128)
    ),
    "UltraFace": Layout({"scores": (1, 4420, 2), "boxes": (1, 4420, 4)}, "ultraface", size=(240, 320)),
    "SSD of OpenVINO": Layout({"detection_out": (1, 1, 200, 7)}, "detection-output", size=(320, 544)),
    "Depth-Anything": Layout({"predicted_depth": (1, 518, 518)}, "depth", size=(518, 518)),
    "RVM": Layout({"pha": (1, 1, 288, 512)}, "matte", size=(288, 512)),
    "MODNet": Layout({"output": (1, 1, 512, 512)}, "matte", asks="", said={"head": "matte"}, size=(512, 512)),
    "PaddleOCR, detection": Layout({"sigmoid_0.tmp_0": (1, 1, 640, 640)}, None, asks=""),
    "PaddleOCR, recognition": Layout({"softmax_11.tmp_0": (1, 40, 6625)}, None, asks="", size=(48, 320)),
    "re-identification, ArcFace, CLIP": Layout({"output": (1, 512)}, "embedding", asks="", said={"head": "embedding"}),
    "CLIP by its name": Layout({"image_embeds": (1, 512)}, "embedding", size=(224, 224)),
    "CenterNet": Layout(
        {"hm": (1, 80, 128, 128), "wh": (1, 2, 128, 128), "reg": (1, 2, 128, 128)}, "centernet",
        asks="", said={"scores": "sigmoid"}, size=(512, 512),
    ),
    "CenterNet with points": Layout(
        {"hm": (1, 1, 128, 128), "wh": (1, 2, 128, 128), "hps": (1, 34, 128, 128), "reg": (1, 2, 128, 128)}, None,
        asks="", size=(512, 512),
    ),
    "MoveNet": Layout({"Identity:0": (1, 1, 17, 3)}, "movenet", size=(192, 192)),
    "MoveNet of several people": Layout({"output_0": (1, 6, 56)}, "movenet", size=(256, 256)),
    "MediaPipe face mesh": Layout({"conv2d_21": (1, 1, 1, 1404), "conv2d_31": (1, 1, 1, 1)}, "mesh", size=(192, 192)),
    "BlazePose": Layout(
        {"Identity": (1, 195), "Identity_1": (1, 1), "Identity_2": (1, 256, 256, 1), "Identity_3": (1, 64, 64, 39),
         "Identity_4": (1, 117)}, "mesh",
        asks="", said={"ignore": ("Identity_2", "Identity_3", "Identity_4")}, size=(256, 256),
    ),
    "style, colourisation": Layout({"output": (1, 3, 640, 640)}, "picture", asks="", said={"head": "picture"}),
    "super-resolution": Layout({"output": (1, 3, 2560, 2560)}, "picture"),
    "DeepLabv3": Layout(
        {"ResizeBilinear_2:0": (1, 257, 257, 21)}, "semantic", asks="", said={"head": "semantic"}, size=(257, 257)
    ),
    "SAM's decoder": Layout({"masks": (1, 4, 256, 256), "iou_predictions": (1, 4)}, None, asks=""),
}  # fmt: skip


def found(layout: Layout, outputs: Shapes, known: dict[str, Any]) -> str:
    """The kind of the head, or the refusal after ``refused: ``."""
    specs = [
        TensorSpec(name, np.dtype(np.int64 if name in WHOLE and len(shape) < 3 else np.float32), shape)
        for name, shape in outputs.items()
    ]
    about = from_one_source("my.toml", known) if known else Description()
    try:
        return recognise(specs, about, layout.size, name="my.onnx").kind
    except UsageError as error:
        return f"refused: {error}"


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_read_or_the_line_that_settles_it_is_asked_for(name: str) -> None:
    layout = LAYOUTS[name]
    bare = found(layout, layout.outputs, {})
    if layout.asks is None:
        assert bare == (layout.alike or layout.head)
    else:
        assert bare.startswith("refused: my.onnx")
        assert layout.asks in bare
        assert "\n" not in bare
        for output, shape in layout.outputs.items():
            assert re.search(rf"{re.escape(output)} \(\w+ {re.escape(str(list(shape)))}\)", bare), bare
    if layout.head is not None:
        assert found(layout, layout.outputs, layout.said) == layout.head


@pytest.mark.parametrize("name", [name for name, layout in LAYOUTS.items() if layout.head is not None])
@pytest.mark.parametrize("extra", [(1, 7), (1, 1, 160, 160), (1, 80, 40, 40)])
def test_one_output_more_is_never_dropped(name: str, extra: tuple[int, ...]) -> None:
    layout = LAYOUTS[name]
    for known in ({}, layout.said):
        assert found(layout, {**layout.outputs, "aux": extra}, known).startswith("refused: my.onnx"), known


def test_every_head_reads_one_of_them() -> None:
    others = {"ssd", "classify", "raw"}  # with priors, with names of classes, and whatever there is
    assert {layout.head for layout in LAYOUTS.values()} - {None} == HEADS.keys() - others


def test_the_page_names_every_head() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "custom-models.md").read_text()
    assert [kind for kind in HEADS if f"\n| `{kind}`" not in page and f"| `{kind}`, " not in page] == []

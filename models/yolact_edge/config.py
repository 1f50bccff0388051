"""The YolactEdge and YOLACT variants: everything in which they differ, one frozen row each."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Literal

from .classes import COCO, YOUTUBE_VIS, numbered

Backbone = Literal["resnet50", "resnet101", "resnet152", "mobilenetv2"]
Size = tuple[int, int]
"""Height and width."""

SIZE = 550
"""Sides of the square input that the published weights were trained at."""

MEAN_RGB = (123.68, 116.78, 103.94)
STD_RGB = (58.40, 57.12, 57.38)
"""Of values 0..255. The official code lists them as blue, green, red and swaps the channels after it has used them."""

CHANNELS = 256
"""Of every pyramid level."""
FLOW_CHANNELS = 64
"""Of the map that the flow network compares between two frames."""
COEFFICIENTS = 32
"""Prototypes, and coefficients of each row."""
LEVELS = ("P3", "P4", "P5", "P6", "P7")
STRIDES = (8, 16, 32, 64, 128)
SCALES_PX = (24, 48, 96, 192, 384)
"""Side of the square anchor of each level, in pixels of a 550x550 input."""
ASPECTS = (1.0, 0.5, 2.0)
VARIANCES = (0.1, 0.2)


@dataclass(frozen=True, slots=True)
class YolactConfig:
    """One variant.

    Attributes:
        backbone: which network of :mod:`.backbones`.
        class_names: the foreground classes it was trained on; column 0 of the logits is the background.
        flow: non-key frames take their deep features from the last key frame, warped by a flow network.
        spa: warped features are refined with those of the frame itself.
        side: of the square input that it was trained at, in pixels; nothing in a file tells.
    """

    backbone: Backbone
    class_names: tuple[str, ...]
    flow: bool = False
    spa: bool = False
    side: int = SIZE

    @property
    def columns(self) -> int:
        """Of the logits: the classes and the background."""
        return len(self.class_names) + 1

    def with_classes(self, count: int) -> YolactConfig:
        """The same network for ``count`` foreground classes, numbered unless they are its own."""
        names = self.class_names if count == len(self.class_names) else numbered(count)
        return replace(self, class_names=names)

    def as_metadata(self) -> dict[str, object]:
        """The variant as plain values, for an exported file; classes as their number."""
        return {**asdict(self), "class_names": len(self.class_names), "scales_px": SCALES_PX, "variances": VARIANCES}


def map_size(size: Size, stride: int) -> Size:
    """Height and width of the level with ``stride`` for an input of ``size``."""
    return -(-size[0] // stride), -(-size[1] // stride)


def prior_count(size: Size) -> int:
    """Rows of ``loc``, ``logits`` and ``coeff`` for an input of ``size``."""
    maps = (map_size(size, stride) for stride in STRIDES)
    return sum(height * width for height, width in maps) * len(ASPECTS)


def proto_size(size: Size) -> Size:
    """Height and width of the prototypes for an input of ``size``."""
    height, width = map_size(size, STRIDES[0])
    return 2 * height, 2 * width


CONFIGS: dict[str, YolactConfig] = {
    "yolact-edge": YolactConfig("resnet101", COCO),
    "yolact-edge-resnet50": YolactConfig("resnet50", COCO),
    "yolact-edge-mobilenetv2": YolactConfig("mobilenetv2", COCO),
    "yolact-edge-youtubevis": YolactConfig("resnet101", YOUTUBE_VIS),
    "yolact-edge-youtubevis-resnet50": YolactConfig("resnet50", YOUTUBE_VIS),
    "yolact-edge-vid": YolactConfig("resnet101", YOUTUBE_VIS, flow=True, spa=True),
    "yolact-edge-vid-resnet50": YolactConfig("resnet50", YOUTUBE_VIS, flow=True, spa=True),
    "yolact-edge-vid-minimal": YolactConfig("resnet101", YOUTUBE_VIS, flow=True),
    "yolact-base": YolactConfig("resnet101", COCO),
    "yolact-im400": YolactConfig("resnet101", COCO, side=400),
    "yolact-im700": YolactConfig("resnet101", COCO, side=700),
    "yolact-resnet50": YolactConfig("resnet50", COCO),
    "yolact-resnet152": YolactConfig("resnet152", COCO),
}

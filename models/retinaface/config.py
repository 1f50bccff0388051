"""The RetinaFace variants: everything in which they differ, one frozen row each."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import ceil
from typing import Literal

Backbone = Literal["mobilenet0.25", "resnet50", "slim", "rfb"]

CLASS_NAMES = ("face",)
POINT_NAMES = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
"""In the order of the network's output; left and right as seen in the picture."""

MEAN_BGR = (104.0, 117.0, 123.0)
"""Subtracted from BGR values 0..255; there is no scale."""


@dataclass(frozen=True, slots=True)
class RetinaFaceConfig:
    """One variant of the detector.

    The families share the names of their weights, so a file of one loads into another and gives
    silently worse results: this row therefore travels with the model's name and with every exported file.

    Attributes:
        backbone: which network of :mod:`.network`.
        leaky_slope: slope of the activations below zero; 0 is a plain ReLU.
        channels: of the pyramid levels and heads (not used by ``slim`` and ``rfb``).
        strides: input pixels per cell, one per level.
        min_sizes: anchor sides in input pixels, per level.
        variances: factors of the decoded centres and sizes.
    """

    backbone: Backbone
    leaky_slope: float
    channels: int
    strides: tuple[int, ...]
    min_sizes: tuple[tuple[int, ...], ...]
    variances: tuple[float, float] = (0.1, 0.2)

    def map_size(self, size: tuple[int, int], stride: int) -> tuple[int, int]:
        """Height and width of the level with ``stride`` for an input of ``size``."""
        return ceil(size[0] / stride), ceil(size[1] / stride)

    def prior_count(self, size: tuple[int, int]) -> int:
        """Rows of every output for an input of ``size`` (height, width)."""
        maps = (self.map_size(size, stride) for stride in self.strides)
        return sum(height * width * len(sides) for (height, width), sides in zip(maps, self.min_sizes, strict=True))

    def as_metadata(self) -> dict[str, object]:
        """The variant as plain values, for an exported file."""
        return asdict(self)


_LARGE_ANCHORS = ((16, 32), (64, 128), (256, 512))
_SMALL_ANCHORS = ((10, 20), (32, 64), (128, 256))
_TINY_ANCHORS = ((8, 16), (32, 64), (128, 256))
_SSD_ANCHORS = ((10, 16, 24), (32, 48), (64, 96), (128, 192, 256))

CONFIGS: dict[str, RetinaFaceConfig] = {
    "retinaface": RetinaFaceConfig("mobilenet0.25", 0.1, 64, (8, 16, 32), _LARGE_ANCHORS),
    "retinaface-resnet50": RetinaFaceConfig("resnet50", 0.0, 256, (8, 16, 32), _LARGE_ANCHORS),
    "retinaface-1mb": RetinaFaceConfig("mobilenet0.25", 0.0, 64, (8, 16, 32), _SMALL_ANCHORS),
    "retinaface-tiny": RetinaFaceConfig("mobilenet0.25", 0.0, 32, (8, 16, 32), _TINY_ANCHORS),
    "retinaface-slim": RetinaFaceConfig("slim", 0.0, 0, (8, 16, 32, 64), _SSD_ANCHORS),
    "retinaface-rfb": RetinaFaceConfig("rfb", 0.0, 0, (8, 16, 32, 64), _SSD_ANCHORS),
}

"""The YolactEdge and YOLACT variants: everything in which they differ, one frozen row each."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Literal

from ...pipeline.types.picture import Size
from ..known_classes import COCO, PASCAL
from .classes import STREET, YOUTUBE_VIS, numbered

Backbone = Literal["resnet50", "resnet101", "resnet152", "mobilenetv2", "darknet53", "compact"]

SIZE = 550
"""Sides of the square input that the published weights were trained at."""

MEAN_RGB = (123.68, 116.78, 103.94)
STD_RGB = (58.40, 57.12, 57.38)
"""Of values 0..255. The official code lists them as blue, green, red and swaps the channels after it has used them."""

DARKNET_MEAN, DARKNET_STD = (0.0, 0.0, 0.0), (255.0, 255.0, 255.0)
"""DarkNet-53 takes values 0..1."""

VARIANCES = (0.1, 0.2)


@dataclass(frozen=True, slots=True)
class YolactConfig:
    """One variant.

    Attributes:
        backbone: which network of :mod:`.backbones`.
        class_names: the foreground classes it was trained on; column 0 of the logits is the background.
        flow: non-key frames take their deep features from the last key frame, warped by a flow network.
        spa: warped features are refined with those of the frame itself.
        side: the longer side of the input that it was trained at, in pixels; nothing in a file tells.
        height: the other side, where the input is not square.
        channels: of every pyramid level, and of what is computed from them.
        coefficients: prototypes, and coefficients of each row.
        strides: input pixels per cell of each level; the levels above P5 are made of the one below.
        scales_px: side of the square anchor of each level, in pixels of the input that it was trained at.
        aspects: width over height of the anchors of a cell.
        true_aspects: anchors have their aspect; those of most published variants are as high as they are wide.
        flow_widths: channels of the map that the flow network compares, and of its three stages.
        compact: what is spatial is convolutions with norms (:mod:`.compact`); prototypes also see the
            map at stride 4; flow is found at stride 16; anchors have their aspect.
        widths: of the compact backbone, at stride 2, 4, 8, 16 and 32.
        depths: its blocks at stride 4, 8, 16 and 32.
        head_depth: convolutions before those that give boxes, classes and coefficients.
        slim_depth: of a second head, for non-key frames; None: they have the same.
        slim_levels: of non-key frames, the finest so many, 3 or more; None: all.
        carry_protos: non-key frames take the prototypes too from the last key frame.
        mask_scores: scores are multiplied by what their masks are expected to overlap
            (:func:`vidgraph.kernels.expected_mask_iou`).
    """

    backbone: Backbone
    class_names: tuple[str, ...]
    flow: bool = False
    spa: bool = False
    side: int = SIZE
    height: int | None = None
    channels: int = 256
    coefficients: int = 32
    strides: tuple[int, ...] = (8, 16, 32, 64, 128)
    scales_px: tuple[float, ...] = (24, 48, 96, 192, 384)
    aspects: tuple[float, ...] = (1.0, 0.5, 2.0)
    true_aspects: bool = False
    flow_widths: tuple[int, int, int, int] = (64, 64, 128, 256)
    compact: bool = False
    widths: tuple[int, ...] = ()
    depths: tuple[int, ...] = ()
    head_depth: int = 1
    slim_depth: int | None = None
    slim_levels: int | None = None
    carry_protos: bool = False
    mask_scores: bool = False

    @property
    def columns(self) -> int:
        """Of the logits: the classes and the background."""
        return len(self.class_names) + 1

    @property
    def size(self) -> Size:
        """Height and width of the input that it was trained at."""
        return self.height or self.side, self.side

    @property
    def normalisation(self) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        """Mean and spread of red, green and blue, of values 0..255, that the backbone was trained with."""
        return (DARKNET_MEAN, DARKNET_STD) if self.backbone == "darknet53" else (MEAN_RGB, STD_RGB)

    @property
    def usual_anchors(self) -> bool:
        """It has those of most variants: a file's tensors cannot tell others."""
        usual = CONFIGS["yolact-base"]
        return (self.side, self.scales_px, self.true_aspects) == (usual.side, usual.scales_px, usual.true_aspects)

    def with_classes(self, count: int) -> YolactConfig:
        """The same network for ``count`` foreground classes, numbered unless they are its own."""
        names = self.class_names if count == len(self.class_names) else numbered(count)
        return replace(self, class_names=names)

    def prior_count(self, size: Size, levels: int | None = None) -> int:
        """Rows of ``loc``, ``logits`` and ``coeff`` for an input of ``size``, of the finest ``levels`` (None: all)."""
        maps = (map_size(size, stride) for stride in self.strides[:levels])
        return sum(height * width for height, width in maps) * len(self.aspects)

    def proto_size(self, size: Size) -> Size:
        """Height and width of the prototypes for an input of ``size``."""
        if self.compact:
            height, width = map_size(size, 4)
        else:
            height, width = map_size(size, self.strides[0])
        return 2 * height, 2 * width

    def as_metadata(self) -> dict[str, object]:
        """The variant as plain values, for an exported file: what all had from the start, and what is not as usual."""
        usual = {each.name: each.default for each in fields(self)}
        values = {name: value for name, value in asdict(self).items() if name in _ALWAYS or value != usual[name]}
        return {**values, "class_names": len(self.class_names), "variances": VARIANCES}


_ALWAYS = ("backbone", "flow", "spa", "side", "scales_px")


def map_size(size: Size, stride: int) -> Size:
    """Height and width of the level with ``stride`` for an input of ``size``."""
    return -(-size[0] // stride), -(-size[1] // stride)


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
    "yolact-resnet50-pascal": YolactConfig("resnet50", PASCAL, scales_px=(32, 64, 128, 256, 512), true_aspects=True),
    "yolact-resnet152": YolactConfig("resnet152", COCO),
    "yolact-darknet53": YolactConfig("darknet53", COCO),
    "yolact-edge-tiny": YolactConfig(
        "compact",
        STREET,
        flow=True,
        spa=True,
        side=768,
        height=432,
        channels=48,
        coefficients=16,
        scales_px=(11, 24, 52, 112, 230),
        aspects=(1.0, 0.45, 2.0),
        flow_widths=(32, 32, 32, 48),
        compact=True,
        widths=(16, 32, 48, 96, 128),
        depths=(0, 1, 2, 1),
        head_depth=2,
        mask_scores=True,
    ),
}

"""The models of this family."""

from __future__ import annotations

from ..variant import NOT_PUBLISHED, OWN, OWN_LICENCE, RAW_OUTPUTS, SYNTHETIC, ModelRow, WeightsFile, shipped

_EDGE = "github.com/haotian-liu/yolact_edge @ 873fceb3883a2d3fac8481230b6f34346142719a"
_YOLACT = "github.com/dbolya/yolact @ 902073d414728280b496c5f0a59a8e8285b3c13c"
_COCO = "COCO 2017"
_PASCAL = "Pascal VOC 2012 with SBD"
_YOUTUBE_VIS = "YouTube-VIS 2019, the authors' part of it for training"
_RECORDED = "outputs, detections and masks, with random weights"


def _yolact(
    name: str, aliases: tuple[str, ...], source: str, trained_on: str, file: str | None, verification: str = RAW_OUTPUTS
) -> ModelRow:
    """A row of the YOLACT family; its official configuration is an alias. The name of a ``file`` may be unknown."""
    official = name.replace("-", "_")
    weights = (WeightsFile(file or f"{official}.pth", None, None),)
    return ModelRow(
        name,
        (*aliases, f"{official}_config"),
        "yolact_edge",
        "instances with masks",
        source,
        "MIT",
        trained_on,
        weights,
        True,
        verification,
    )


VARIANTS = (
    _yolact("yolact-edge", ("yolact-edge-resnet101",), _EDGE, _COCO, "yolact_edge_54_800000.pth"),
    _yolact("yolact-edge-resnet50", (), _EDGE, _COCO, "yolact_edge_resnet50_54_800000.pth", _RECORDED),
    _yolact("yolact-edge-mobilenetv2", (), _EDGE, _COCO, "yolact_edge_mobilenetv2_54_800000.pth"),
    _yolact("yolact-edge-youtubevis", (), _EDGE, _YOUTUBE_VIS, None),
    _yolact("yolact-edge-youtubevis-resnet50", (), _EDGE, _YOUTUBE_VIS, None),
    _yolact("yolact-edge-vid", ("yolact-edge-vid-resnet101",), _EDGE, _YOUTUBE_VIS, "yolact_edge_vid_847_50000.pth"),
    _yolact("yolact-edge-vid-resnet50", (), _EDGE, _YOUTUBE_VIS, None, _RECORDED),
    _yolact("yolact-edge-vid-minimal", (), _EDGE, _YOUTUBE_VIS, None),
    _yolact("yolact-base", ("yolact", "yolact-resnet101"), _YOLACT, _COCO, "yolact_base_54_800000.pth"),
    _yolact("yolact-im400", (), _YOLACT, _COCO, None),
    _yolact("yolact-im700", (), _YOLACT, _COCO, "yolact_im700_54_800000.pth"),
    _yolact("yolact-resnet50", (), _YOLACT, _COCO, "yolact_resnet50_54_800000.pth"),
    _yolact("yolact-resnet50-pascal", (), _YOLACT, _PASCAL, None),
    _yolact("yolact-resnet152", (), _EDGE, _COCO, None),
    _yolact("yolact-darknet53", (), _YOLACT, _COCO, "yolact_darknet53_54_800000.pth"),
    ModelRow("yolact-edge-tiny", (), "yolact_edge", "instances with masks", OWN, OWN_LICENCE, SYNTHETIC,
             shipped("yolact-edge-tiny-key.onnx"), False,
             f"{NOT_PUBLISHED}; warp and post-processing are those of yolact-edge-vid-resnet50", key_interval=2),
)  # fmt: skip

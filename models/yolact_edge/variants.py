"""The models of this family."""

from __future__ import annotations

from functools import partial

from ..variant import (
    NOT_PUBLISHED,
    OWN,
    OWN_LICENCE,
    RAW_OUTPUTS,
    SYNTHETIC,
    Protocol,
    Published,
    Variant,
    WeightsFile,
    pretrained,
)

_EDGE = "github.com/haotian-liu/yolact_edge @ 873fceb3883a2d3fac8481230b6f34346142719a"
_YOLACT = "github.com/dbolya/yolact @ 902073d414728280b496c5f0a59a8e8285b3c13c"
_COCO = "COCO 2017"
_PASCAL = "Pascal VOC 2012 with SBD"
_YOUTUBE_VIS = "YouTube-VIS 2019, the authors' part of it for training"
_RECORDED = "outputs, detections and masks, with random weights"


_VIS = "the authors' part of YouTube-VIS 2019, frames as images, PyTorch"

_OFFICIAL = Protocol(
    "official: score 0, Fast NMS, the best 100 of a frame, masks in the size of the frame",
    {"min_score": 0.0, "max_detections": 100, "nms": "fast"},
    key_interval=5,
)
_row = partial(Variant, folder="yolact_edge", task="instances with masks", protocol=_OFFICIAL, training="instances")


def _yolact(
    name: str,
    aliases: tuple[str, ...],
    source: str,
    trained_on: str,
    file: str | None,
    verification: str = RAW_OUTPUTS,
    published: tuple[Published, ...] = (),
) -> Variant:
    """A row of the YOLACT family; its official configuration is an alias. The name of a ``file`` may be unknown."""
    official = name.replace("-", "_")
    return _row(
        name,
        (*aliases, f"{official}_config"),
        source=source,
        licence="MIT",
        trained_on=trained_on,
        weights=(WeightsFile(file or f"{official}.pth", None, None),),
        verified=True,
        verification=verification,
        published=published,
    )


def _edge(value: float, data: str = "COCO test-dev, PyTorch") -> tuple[Published, ...]:
    return (Published("mask AP", value, data, "README of github.com/haotian-liu/yolact_edge @ 873fceb"),)


def _mask(value: float, data: str = "COCO test-dev", figure: str = "mask AP") -> tuple[Published, ...]:
    return (Published(figure, value, data, "README of github.com/dbolya/yolact @ 902073d"),)


VARIANTS = (
    _yolact("yolact-edge", ("yolact-edge-resnet101",), _EDGE, _COCO, "yolact_edge_54_800000.pth",
            published=_edge(0.298)),
    _yolact("yolact-edge-resnet50", (), _EDGE, _COCO, "yolact_edge_resnet50_54_800000.pth", _RECORDED,
            published=_edge(0.282)),
    _yolact("yolact-edge-mobilenetv2", (), _EDGE, _COCO, "yolact_edge_mobilenetv2_54_800000.pth",
            published=_edge(0.221)),
    _yolact("yolact-edge-youtubevis", (), _EDGE, _YOUTUBE_VIS, None, published=_edge(0.473, _VIS)),
    _yolact("yolact-edge-youtubevis-resnet50", (), _EDGE, _YOUTUBE_VIS, None, published=_edge(0.447, _VIS)),
    _yolact("yolact-edge-vid", ("yolact-edge-vid-resnet101",), _EDGE, _YOUTUBE_VIS, "yolact_edge_vid_847_50000.pth",
            published=_edge(0.469, _VIS)),
    _yolact("yolact-edge-vid-resnet50", (), _EDGE, _YOUTUBE_VIS, None, _RECORDED, published=_edge(0.442, _VIS)),
    _yolact("yolact-edge-vid-minimal", (), _EDGE, _YOUTUBE_VIS, None),
    _yolact("yolact-base", ("yolact", "yolact-resnet101"), _YOLACT, _COCO, "yolact_base_54_800000.pth",
            published=(*_mask(0.2992, "COCO val2017"), *_mask(0.298))),
    _yolact("yolact-im400", (), _YOLACT, _COCO, None),
    _yolact("yolact-im700", (), _YOLACT, _COCO, "yolact_im700_54_800000.pth", published=_mask(0.312)),
    _yolact("yolact-resnet50", (), _YOLACT, _COCO, "yolact_resnet50_54_800000.pth", published=_mask(0.282)),
    _yolact("yolact-resnet50-pascal", (), _YOLACT, _PASCAL, None,
            published=_mask(0.723, "Pascal SBD validation", "mask AP50")),
    _yolact("yolact-resnet152", (), _EDGE, _COCO, None),
    _yolact("yolact-darknet53", (), _YOLACT, _COCO, "yolact_darknet53_54_800000.pth", published=_mask(0.287)),
    _row("yolact-edge-tiny", (), source=OWN, licence=OWN_LICENCE, trained_on=SYNTHETIC,
         weights=pretrained("yolact-edge-tiny-key.onnx"), verified=False, key_interval=2,
         verification=f"{NOT_PUBLISHED}; warp and post-processing are those of yolact-edge-vid-resnet50"),
)  # fmt: skip

FILES = """\
A YOLACT or YolactEdge file is recognised by its tensors and its name (`--model yolact_edge_54_800000.pth`), and has
as many classes as it was trained with. Where several models fit, for example YouTube-VIS and COCO variants trained on
your own classes, all are named and you choose one."""
"""For the page of models: which file belongs to which name."""

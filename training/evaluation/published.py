"""Published figures of the models, to stand beside ours."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Published:
    """One figure, in [0, 1].

    Attributes:
        figure: as reports name it.
        value: what was published.
        data: of which data, and how.
        source: where it stands.
    """

    figure: str
    value: float
    data: str
    source: str


_TEST_DEV = "COCO test-dev, PyTorch"
_VIS = "the authors' part of YouTube-VIS 2019, frames as images, PyTorch"
_EDGE = "README of github.com/haotian-liu/yolact_edge @ 873fceb"
_YOLACT = "README of github.com/dbolya/yolact @ 902073d"
_FACES = "README of github.com/biubug6/Pytorch_Retinaface @ b984b4b"


def _mask(value: float, data: str, source: str) -> tuple[Published, ...]:
    return (Published("mask AP", value, data, source),)


def _faces(easy: float, medium: float, hard: float) -> tuple[Published, ...]:
    return tuple(
        Published(f"face AP {name}", value, "WIDER FACE validation, images in their own size", _FACES)
        for name, value in (("easy", easy), ("medium", medium), ("hard", hard))
    )


PUBLISHED: dict[str, tuple[Published, ...]] = {
    "yolact-edge": _mask(0.298, _TEST_DEV, _EDGE),
    "yolact-edge-resnet50": _mask(0.282, _TEST_DEV, _EDGE),
    "yolact-edge-mobilenetv2": _mask(0.221, _TEST_DEV, _EDGE),
    "yolact-edge-youtubevis": _mask(0.473, _VIS, _EDGE),
    "yolact-edge-youtubevis-resnet50": _mask(0.447, _VIS, _EDGE),
    "yolact-edge-vid": _mask(0.469, _VIS, _EDGE),
    "yolact-edge-vid-resnet50": _mask(0.442, _VIS, _EDGE),
    "yolact-base": (
        Published("mask AP", 0.2992, "COCO val2017", _YOLACT),
        Published("mask AP", 0.298, "COCO test-dev", _YOLACT),
    ),
    "yolact-im700": _mask(0.312, "COCO test-dev", _YOLACT),
    "yolact-resnet50": _mask(0.282, "COCO test-dev", _YOLACT),
    "yolact-resnet50-pascal": (Published("mask AP50", 0.723, "Pascal SBD validation", _YOLACT),),
    "yolact-darknet53": _mask(0.287, "COCO test-dev", _YOLACT),
    "retinaface": _faces(0.9070, 0.8816, 0.7382),
    "retinaface-resnet50": _faces(0.9548, 0.9404, 0.8443),
}
"""By the model's name."""

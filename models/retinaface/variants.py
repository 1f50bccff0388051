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

_RETINAFACE = "github.com/biubug6/Pytorch_Retinaface @ b984b4b775b2c4dced95c1eadd195a5c7d32a60b"
_1MB_COMMIT = "2b075657aef954b9426f938ac7fce100b6910fe6"
_1MB = f"github.com/biubug6/Face-Detector-1MB-with-landmark @ {_1MB_COMMIT}"
_1MB_FOLDER = f"https://raw.githubusercontent.com/biubug6/Face-Detector-1MB-with-landmark/{_1MB_COMMIT}/weights/"


def _pinned(file: str, sha256: str) -> tuple[WeightsFile, ...]:
    return (WeightsFile(file, sha256, _1MB_FOLDER + file, largest_bytes=16 << 20),)


def _wider(easy: float, medium: float, hard: float) -> tuple[Published, ...]:
    source = "README of github.com/biubug6/Pytorch_Retinaface @ b984b4b"
    return tuple(
        Published(f"face AP {name}", value, "WIDER FACE validation, images in their own size", source)
        for name, value in (("easy", easy), ("medium", medium), ("hard", hard))
    )


_OFFICIAL = Protocol(
    "official: score 0.02, NMS 0.4, no limit; the authors give images in their own size (--size)",
    {"min_score": 0.02, "nms_iou": 0.4, "max_detections": 5000},
)
_row = partial(Variant, folder="retinaface", task="faces with five points", protocol=_OFFICIAL, training="faces")

VARIANTS = (
    _row(
        name="retinaface",
        aliases=("retinaface-mobilenet", "retinaface-mobilenet0.25"),
        source=_RETINAFACE,
        licence="MIT",
        trained_on="WIDER FACE",
        weights=(WeightsFile("mobilenet0.25_Final.pth", None, None),),
        verified=True,
        verification="raw outputs, decode and detections, with real weights",
        published=_wider(0.9070, 0.8816, 0.7382),
    ),
    _row(
        name="retinaface-resnet50",
        aliases=("retinaface-r50",),
        source=_RETINAFACE,
        licence="MIT",
        trained_on="WIDER FACE",
        weights=(WeightsFile("Resnet50_Final.pth", None, None),),
        verified=True,
        verification="raw outputs, decode and detections, with random weights",
        published=_wider(0.9548, 0.9404, 0.8443),
    ),
    _row(
        name="retinaface-1mb",
        aliases=("retinaface-mobilenet-1mb",),
        source=_1MB,
        licence="MIT",
        trained_on="WIDER FACE, at 300 pixels",
        weights=_pinned("mobilenet0.25_Final.pth", "ed6fa7d45a5179f03cb5ce82c73b0c6711372968e53782e88395acee88d319e1"),
        verified=True,
        verification="raw outputs, decode and detections, with real weights",
    ),
    _row(
        name="retinaface-tiny",
        aliases=(),
        source=OWN,
        licence=OWN_LICENCE,
        trained_on=SYNTHETIC,
        weights=pretrained("retinaface-tiny.onnx"),
        verified=False,
        verification=f"{NOT_PUBLISHED}; the parts are those of retinaface-1mb",
    ),
    _row(
        name="retinaface-slim",
        aliases=(),
        source=_1MB,
        licence="MIT",
        trained_on="WIDER FACE, at 300 pixels",
        weights=_pinned("slim_Final.pth", "76cdb587b2cf5f91b3836b66a652a0f7a91891758cd4fb0b07e4b7527af1c651"),
        verified=True,
        verification=RAW_OUTPUTS,
    ),
    _row(
        name="retinaface-rfb",
        aliases=(),
        source=_1MB,
        licence="MIT",
        trained_on="WIDER FACE, at 300 pixels",
        weights=_pinned("RBF_Final.pth", "b22c45855bff5c4eb84e9973e2ee8a980639aa194ec66f33a87ce712f9d44c28"),
        verified=True,
        verification=RAW_OUTPUTS,
    ),
)

FILES = """\
The RetinaFace files of two projects have the same key names and fit into each other's network, with worse results and
no error: activations and anchors differ. vidgraph knows the published files by their SHA-256 and refuses the wrong
name. For other files the name decides:

- `retinaface`, `retinaface-resnet50`: trained with Pytorch_Retinaface;
- `retinaface-1mb`, `retinaface-slim`, `retinaface-rfb`: trained with Face-Detector-1MB-with-landmark."""
"""For the page of models: which file belongs to which name."""

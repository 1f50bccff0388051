"""The models of this family."""

from __future__ import annotations

from ..variant import NOT_PUBLISHED, OWN, OWN_LICENCE, RAW_OUTPUTS, SYNTHETIC, ModelRow, WeightsFile, shipped

_FACES = "faces with five points"
_RETINAFACE = "github.com/biubug6/Pytorch_Retinaface @ b984b4b775b2c4dced95c1eadd195a5c7d32a60b"
_1MB_COMMIT = "2b075657aef954b9426f938ac7fce100b6910fe6"
_1MB = f"github.com/biubug6/Face-Detector-1MB-with-landmark @ {_1MB_COMMIT}"
_1MB_FOLDER = f"https://raw.githubusercontent.com/biubug6/Face-Detector-1MB-with-landmark/{_1MB_COMMIT}/weights/"


def _pinned(file: str, sha256: str) -> tuple[WeightsFile, ...]:
    return (WeightsFile(file, sha256, _1MB_FOLDER + file, largest_bytes=16 << 20),)


VARIANTS = (
    ModelRow(
        "retinaface",
        ("retinaface-mobilenet", "retinaface-mobilenet0.25"),
        "retinaface",
        _FACES,
        _RETINAFACE,
        "MIT",
        "WIDER FACE",
        (WeightsFile("mobilenet0.25_Final.pth", None, None),),
        True,
        "raw outputs, decode and detections, with real weights",
    ),
    ModelRow(
        "retinaface-resnet50",
        ("retinaface-r50",),
        "retinaface",
        _FACES,
        _RETINAFACE,
        "MIT",
        "WIDER FACE",
        (WeightsFile("Resnet50_Final.pth", None, None),),
        True,
        "raw outputs, decode and detections, with random weights",
    ),
    ModelRow(
        "retinaface-1mb",
        ("retinaface-mobilenet-1mb",),
        "retinaface",
        _FACES,
        _1MB,
        "MIT",
        "WIDER FACE, at 300 pixels",
        _pinned("mobilenet0.25_Final.pth", "ed6fa7d45a5179f03cb5ce82c73b0c6711372968e53782e88395acee88d319e1"),
        True,
        "raw outputs, decode and detections, with real weights",
    ),
    ModelRow(
        "retinaface-tiny",
        (),
        "retinaface",
        _FACES,
        OWN,
        OWN_LICENCE,
        SYNTHETIC,
        shipped("retinaface-tiny.onnx"),
        False,
        f"{NOT_PUBLISHED}; the parts are those of retinaface-1mb",
    ),
    ModelRow(
        "retinaface-slim",
        (),
        "retinaface",
        _FACES,
        _1MB,
        "MIT",
        "WIDER FACE, at 300 pixels",
        _pinned("slim_Final.pth", "76cdb587b2cf5f91b3836b66a652a0f7a91891758cd4fb0b07e4b7527af1c651"),
        True,
        RAW_OUTPUTS,
    ),
    ModelRow(
        "retinaface-rfb",
        (),
        "retinaface",
        _FACES,
        _1MB,
        "MIT",
        "WIDER FACE, at 300 pixels",
        _pinned("RBF_Final.pth", "b22c45855bff5c4eb84e9973e2ee8a980639aa194ec66f33a87ce712f9d44c28"),
        True,
        RAW_OUTPUTS,
    ),
)

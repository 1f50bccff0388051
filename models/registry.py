"""The table of models: one row each, and the finding of a row by a name a person typed.

The folder of a row is imported only when the model is used, so that listing costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING

from ..pipeline.errors import UsageError

if TYPE_CHECKING:
    from .family import Family


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """A published file of weights.

    Attributes:
        file: its name.
        sha256: its hash in hexadecimal, or None where none is known.
        address: where it is downloaded from, or None where only a person can fetch it.
        shipped: it comes with the package, in the folder ``shipped`` beside the model's code.
        largest_bytes: no more than this is downloaded.
    """

    file: str
    sha256: str | None
    address: str | None
    shipped: bool = False
    largest_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class ModelRow:
    """What is known about a model without loading it.

    Attributes:
        name: the name in commands and results.
        aliases: other names it answers to.
        folder: the sub-package that implements it.
        task: what it finds.
        source: the official code, with the commit that was followed.
        licence: of code and weights, as the source states it.
        trained_on: the data set, and what is known about the training.
        weights: published files; the first is the one that ``pull`` takes.
        verified: its outputs are held against recorded outputs of the official code.
        verification: how, or why not.
        key_interval: of a video model: a key frame every so many frames, unless asked otherwise; None: 5, as published.
    """

    name: str
    aliases: tuple[str, ...]
    folder: str
    task: str
    source: str
    licence: str
    trained_on: str
    weights: tuple[WeightsFile, ...]
    verified: bool
    verification: str
    key_interval: int | None = None

    @property
    def status(self) -> str:
        """``verified against golden outputs`` or ``unverified``."""
        return "verified against golden outputs" if self.verified else "unverified"

    def family(self) -> Family:
        """The implementation; imports the row's folder."""
        family: Family = import_module(f".{self.folder}", __package__).FAMILY
        return family


_FACES = "faces with five points"
_RETINAFACE = "github.com/biubug6/Pytorch_Retinaface @ b984b4b775b2c4dced95c1eadd195a5c7d32a60b"
_1MB_COMMIT = "2b075657aef954b9426f938ac7fce100b6910fe6"
_1MB = f"github.com/biubug6/Face-Detector-1MB-with-landmark @ {_1MB_COMMIT}"
_1MB_FOLDER = f"https://raw.githubusercontent.com/biubug6/Face-Detector-1MB-with-landmark/{_1MB_COMMIT}/weights/"


_OWN, _OWN_LICENCE = "vidgraph", "Apache-2.0"
_SYNTH = "synth:street, the drawn world"
_NO_OTHERS = "no published network to hold it against"


def _shipped(file: str) -> tuple[WeightsFile, ...]:
    return (WeightsFile(file, None, None, shipped=True),)


def _pinned(file: str, sha256: str) -> tuple[WeightsFile, ...]:
    return (WeightsFile(file, sha256, _1MB_FOLDER + file, largest_bytes=16 << 20),)


_EDGE = "github.com/haotian-liu/yolact_edge @ 873fceb3883a2d3fac8481230b6f34346142719a"
_YOLACT = "github.com/dbolya/yolact @ 902073d414728280b496c5f0a59a8e8285b3c13c"
_COCO = "COCO 2017"
_PASCAL = "Pascal VOC 2012 with SBD"
_YOUTUBE_VIS = "YouTube-VIS 2019, the authors' part of it for training"
_RECORDED = "outputs, detections and masks, with random weights"
_OUTPUTS = "raw outputs, with random weights"


def _yolact(
    name: str, aliases: tuple[str, ...], source: str, trained_on: str, file: str | None, verification: str = _OUTPUTS
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


_YOLACT_ROWS = (
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
    ModelRow("yolact-edge-tiny", (), "yolact_edge", "instances with masks", _OWN, _OWN_LICENCE, _SYNTH,
             _shipped("yolact-edge-tiny-key.onnx"), False,
             f"{_NO_OTHERS}; warp and post-processing are those of yolact-edge-vid-resnet50", key_interval=2),
)  # fmt: skip

_ROWS = (
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
        _OWN,
        _OWN_LICENCE,
        _SYNTH,
        _shipped("retinaface-tiny.onnx"),
        False,
        f"{_NO_OTHERS}; the parts are those of retinaface-1mb",
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
        _OUTPUTS,
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
        _OUTPUTS,
    ),
)

MODELS: dict[str, ModelRow] = {row.name: row for row in (*_ROWS, *_YOLACT_ROWS)}
"""Every model by its name, in the order of ``vidgraph models``."""


def plain_name(name: str) -> str:
    """``name`` as it is compared: ``-``, ``_`` and case do not matter."""
    return name.strip().lower().replace("_", "-")


def find_model(name: str) -> ModelRow:
    """The row that ``name`` or an alias means.

    Raises:
        UsageError: there is none; the message has the nearest names.
    """
    wanted = plain_name(name)
    known = {plain_name(each): row for row in MODELS.values() for each in (row.name, *row.aliases)}
    if wanted in known:
        return known[wanted]
    near = list(dict.fromkeys(known[each].name for each in get_close_matches(wanted, known, n=3, cutoff=0.5)))
    raise UsageError(f"unknown model {name!r}; {_suggest(near, MODELS)}")


def nearest(name: str, known: Iterable[str]) -> str:
    """What to say of a name that is not ``known``: the nearest ones, or all."""
    known = tuple(known)
    return _suggest(get_close_matches(name, known, n=3, cutoff=0.5), known)


def _suggest(near: list[str], known: Iterable[str]) -> str:
    return f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"


def model_of_file(sha256: str) -> ModelRow | None:
    """The model whose published weights have this hash, or None."""
    for row in MODELS.values():
        if any(each.sha256 == sha256 for each in row.weights):
            return row
    return None

"""The kinds of input, in one table: their seeds, the commands that read them, and how far an input came."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import seeds
from .process import Ended
from .seeds import Seed

Command = Sequence[str] | Callable[[], int]


@dataclass(frozen=True, slots=True)
class Kind:
    """What is changed and read.

    Attributes:
        seeds: makes them, in a folder that may be used.
        commands: arguments of ``vidgraph`` (or functions that give an exit code); each try takes one of them.
            ``{file}`` is the changed file, ``{about}`` what the seed says, ``{material}`` where networks and a
            clip are.
        refused_at_once: messages of inputs that were not parsed or decoded at all; the others "came through".
        modules: loaded once, before the first try.
    """

    seeds: Callable[[Path], Iterator[Seed]]
    commands: Sequence[Command]
    refused_at_once: str
    modules: Sequence[str] = ()

    def came_through(self, ended: Ended) -> bool:
        """Whether an input reached decoding or parsing."""
        return ended.code in (0, 3) or not re.search(self.refused_at_once, ended.err)


_RUN = ("run", "{file}", "--model", "{material}/small.onnx", "--engine", "onnxruntime", "-q", "-o", "out.jsonl")
_OWN = ("run", "{material}/clip.mp4", "--frames", "2", "-q", "-o", "out.jsonl", "--model")
_MODULES = (
    "vidgraph.cli.run",
    "vidgraph.models.run",
    "vidgraph.models.custom.open",
    "av",
    "onnxruntime",
    "PIL.Image",
)


def _load_checkpoint() -> int:
    """As ``vidgraph export`` reads it, without the export, which takes seconds."""
    from vidgraph.models.registry import find_model
    from vidgraph.models.weights.checkpoint import load_network
    from vidgraph.pipeline.errors import VidgraphError

    try:
        load_network(find_model("retinaface-slim"), Path("input.pth"))
    except VidgraphError as error:
        sys.stderr.write(f"vidgraph: {error}\n")
        return error.exit_code
    return 0


KINDS: dict[str, Kind] = {
    "video": Kind(
        seeds.videos,
        (_RUN, _RUN, (*_RUN, "-o", "out.mkv"), (*_RUN, "-o", "out.mp4", "--start", "0.1")),
        "cannot open|no frame could be decoded|has no video|is empty",
        _MODULES,
    ),
    "picture": Kind(
        seeds.pictures, (_RUN, (*_RUN, "-o", "out/%06d.png")), "not a|cannot open|damaged|is empty", _MODULES
    ),
    "results": Kind(
        seeds.results,
        (
            *(("convert", "{file}", "--to", to, "-o", "out") for to in ("coco", "coco-results", "youtube-vis", "csv")),
            ("draw", "{material}/clip.mp4", "{file}", "-q", "-o", "out.mkv"),
            (*_OWN, "{material}/small.onnx", "--engine", "onnxruntime", "-o", "{file}", "--resume"),
        ),
        "is no results file|not JSON|line 1[: ]|is empty",
        (*_MODULES, "vidgraph.pipeline.results.convert"),
    ),
    "network": Kind(
        seeds.networks,
        (
            (*_OWN, "{file}"),
            (*_OWN, "{file}", "--engine", "onnxruntime"),
            (*_OWN, "{file}", "--head", "raw", "-o", "out/%06d.npz"),
            ("check", "{file}"),
        ),
        "not an ONNX|damaged|is empty|cannot read",
        (*_MODULES, "vidgraph.models.custom.check"),
    ),
    "description": Kind(
        seeds.descriptions, ((*_OWN, "input.onnx", "--engine", "onnxruntime"),), "TOML|not UTF-8", _MODULES
    ),
    "annotations": Kind(
        seeds.annotations,
        (("data", "{about}", "--to", "coco", "--images", "none", "-q", "-o", "written"),),
        "is not JSON|not UTF-8|is empty",
        ("vidgraph.training.datasets.registry", "vidgraph.cli.data", "PIL.Image"),
    ),
    "checkpoint": Kind(
        seeds.checkpoints,
        (_load_checkpoint,),
        "not a|damaged|cannot read",
        ("torch", "vidgraph.models.weights.checkpoint"),
    ),
    "labels": Kind(
        seeds.labels, ((*_OWN, "{material}/small.onnx", "--engine", "onnxruntime", "--labels", "{file}"),), "not|empty",
        _MODULES,
    ),
}  # fmt: skip

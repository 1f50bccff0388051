"""Engine files: what TensorRT serialised, behind what it is for. TensorRT itself says only that one does not fit."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..._version import __version__
from ...kernels.cuda.driver import Card
from ...pipeline.errors import EngineError
from ..card import ON_THE_CPU
from ..spec import TensorSpec
from .flavour import Flavour

SUFFIXES = (".engine", ".plan", ".trt")
"""What engine files are called; whatever else is given is an ONNX file."""

_MAGIC = b"vidgraph engine\n"
_LENGTH = 8  # bytes of the length of the facts, little-endian
_ULTRALYTICS_LENGTH, _ULTRALYTICS_MOST = 4, 1 << 20


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What an engine was built of and for.

    Attributes:
        flavour: name of the library, as in ``ENGINES``.
        version: of the library.
        name: file name of the network.
        network: digest of the network.
        precision: ``fp32``, ``fp16`` or ``int8``.
        keep: names of the nodes of an fp16 network that stay in fp32 besides those that always do.
        architectures: compute capabilities, such as ``8.6``.
        card: name of the card that it was timed on; empty where it was built for any card.
        inputs, outputs: of the network, in its order.
    """

    flavour: str
    version: str
    name: str
    network: str
    precision: str
    keep: tuple[str, ...]
    architectures: tuple[str, ...]
    card: str
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()

    def serialised(self, plan: Any) -> bytes:
        """The file with ``plan``, the bytes of TensorRT."""
        held = {**asdict(self), "vidgraph": __version__}
        for ports in ("inputs", "outputs"):
            held[ports] = [(spec.name, spec.dtype.name, spec.shape) for spec in getattr(self, ports)]
        facts = json.dumps(held).encode()
        return b"".join((_MAGIC, len(facts).to_bytes(_LENGTH, "little"), facts, plan))


def read_engine(path: Path) -> tuple[EngineFacts | None, memoryview]:
    """An engine file: its facts (None: TensorRT's bytes alone, of some other program) and TensorRT's bytes.

    Raises:
        EngineError: it cannot be read, is cut short, or has metadata of Ultralytics in front.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EngineError(f"cannot read engine {path}: {error.strerror or error}") from error
    if content.startswith(_MAGIC):
        return _split(path, content)
    _refuse_ultralytics(path, content)
    return None, memoryview(content)


def _split(path: Path, content: bytes) -> tuple[EngineFacts, memoryview]:
    start = len(_MAGIC) + _LENGTH
    length = int.from_bytes(content[len(_MAGIC) : start], "little")
    try:
        held = json.loads(content[start : start + length])
        del held["vidgraph"]
        for ports in ("inputs", "outputs"):
            held[ports] = tuple(TensorSpec(name, np.dtype(kind), tuple(shape)) for name, kind, shape in held[ports])
        facts = EngineFacts(**{**held, "keep": tuple(held["keep"]), "architectures": tuple(held["architectures"])})
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise EngineError(f"cannot open {path.name}: the file is cut short or damaged; build it again") from error
    return facts, memoryview(content)[start + length :]


def _refuse_ultralytics(path: Path, content: bytes) -> None:
    """Raise where a length and JSON stand in front of the engine, as ``yolo export format=engine`` writes them."""
    length = int.from_bytes(content[:_ULTRALYTICS_LENGTH], "little")
    start = content[_ULTRALYTICS_LENGTH : _ULTRALYTICS_LENGTH + 1]
    if not 0 < length <= min(_ULTRALYTICS_MOST, len(content)) or start != b"{":
        return
    try:
        held = json.loads(content[_ULTRALYTICS_LENGTH : _ULTRALYTICS_LENGTH + length])
    except (ValueError, RecursionError):
        return
    about = held.get("description", "a model") if isinstance(held, dict) else "a model"
    raise EngineError(
        f"cannot open {path.name}: it is an engine of Ultralytics ({str(about)[:80]}), with metadata in front, for the "
        f"card and the TensorRT that wrote it; give the model as ONNX (yolo export format=onnx), from which vidgraph "
        f"build makes engines. {ON_THE_CPU}"
    )


def check_fits(path: Path, facts: EngineFacts, flavour: Flavour, card: Card) -> None:
    """Raise unless an engine can run on ``card`` with the library that is installed.

    Raises:
        EngineError: it was built for another library, version, architecture or card.
    """
    built = f"{facts.flavour} {facts.version}, compute capability {', '.join(facts.architectures)}"
    here = f"{flavour.name} {flavour.version}, {card.capability}"
    built, here = (f"{built} ({facts.card})", f"{here} ({card.name})") if facts.card else (built, here)
    fits = (facts.flavour, facts.version) == (flavour.name, flavour.version)
    if not fits or card.capability not in facts.architectures or facts.card not in ("", card.name):
        raise EngineError(
            f"cannot open {path.name}: built for {built}; this machine has {here}. Rebuild it with: "
            f"vidgraph build MODEL --engine {flavour.name}. {ON_THE_CPU}"
        )

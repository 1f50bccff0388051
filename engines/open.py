"""Which engines there are, and how one is chosen and opened."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from ..pipeline.errors import EngineError, MissingExtraError, UsageError
from .spec import Engine, EngineOptions, Port

PRECISIONS = ("auto", "fp32", "bf16", "fp16", "int8")


@dataclass(frozen=True, slots=True)
class EngineRow:
    """One engine: a module with ``open_network(path, options) -> Engine`` and ``describe() -> EngineDescription``.

    Where it infers shapes without running, also ``read_ports(path, name) -> tuple[Port, ...]``.
    """

    name: str
    module: str  # relative to this folder, or absolute
    package: str  # what must be importable
    extra: str  # what installs it
    devices: tuple[str, ...] = ("cpu",)

    @property
    def installed(self) -> bool:
        """Whether its package can be found; nothing is imported."""
        return find_spec(self.package) is not None

    def load(self) -> ModuleType:
        """Import its module.

        Raises:
            MissingExtraError: its package is not installed.
        """
        if not self.installed:
            raise MissingExtraError(f"engine {self.name!r}", self.extra)
        return import_module(self.module, __package__)


# In the order in which ``auto`` prefers them.
ENGINES: dict[str, EngineRow] = {
    row.name: row
    for row in (
        EngineRow("openvino", ".openvino", package="openvino", extra="openvino"),
        EngineRow("onnxruntime", ".onnxruntime", package="onnxruntime", extra="onnxruntime"),
    )
}


def open_engine(
    path: Path | str,
    *,
    engine: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    requests: int = 1,
    threads: int = 1,
    deterministic: bool = False,
) -> Engine:
    """Open an ONNX file of fixed shapes as something that runs.

    Args:
        path: the network.
        engine: a name of ``ENGINES``, or ``auto``: the first that is installed (OpenVINO, then ONNX Runtime).
        device: ``auto``, ``cpu`` or ``cuda:N``.
        precision: ``auto`` (bf16 where the processor computes it natively, else fp32), ``fp32``,
            ``bf16``, ``fp16``, ``int8``.
        requests: how many threads may run it at the same time; further ones wait.
        threads: cores for all requests together. For files as many requests as threads (each runs on
            one core, which wastes none); for a live source one request on all threads.
        deterministic: one thread per request, so that results do not depend on how work is split.

    Raises:
        UsageError: an unknown engine, device or precision (with the nearest names).
        MissingExtraError: the engine is not installed.
        EngineError: no such engine for that device, or the file cannot be opened or compiled.
    """
    row = choose_engine(engine)
    chosen = choose_device(device)
    if precision not in PRECISIONS:
        raise _unknown("precision", precision, PRECISIONS)
    if chosen not in row.devices:
        raise EngineError(
            f"cannot run {Path(path).name} on {chosen}: engine {row.name!r} runs on {', '.join(row.devices)} "
            "and no CUDA engine is installed. Use device cpu"
        )
    options = EngineOptions(chosen, precision, requests, threads, deterministic)
    opened: Engine = row.load().open_network(Path(path), options)
    return opened


def read_ports(path: Path, name: str, *, engine: str = "auto") -> tuple[Port, ...]:
    """The outputs of an ONNX file whose inputs are fixed, with shapes as an engine infers them, without running.

    Args:
        path: the network.
        name: what messages call it.
        engine: the one to ask first; others that are installed are asked where it leaves a length open.

    Raises:
        UsageError, MissingExtraError: as :func:`choose_engine`.
        EngineError: no engine can read the file; the message is of the first.
    """
    first = choose_engine(engine)
    refusal: EngineError | None = None
    best: tuple[Port, ...] | None = None
    for row in (first, *(row for row in ENGINES.values() if row is not first and row.installed)):
        read = getattr(row.load(), "read_ports", None)
        try:
            ports: tuple[Port, ...] = read(path, name) if read is not None else ()
        except EngineError as error:
            refusal = refusal or error
            continue
        if ports and all(port.fixed for port in ports):
            return ports
        best = best or ports or None
    if best is None:
        raise refusal or EngineError(f"cannot read {name}: no installed engine infers shapes")
    return best


def choose_engine(name: str) -> EngineRow:
    """The row of an engine by name, or for ``auto`` the first installed one.

    Raises:
        UsageError: no such engine.
        MissingExtraError: ``auto``, and none is installed.
    """
    name = name.lower()
    if name == "auto":
        for row in ENGINES.values():
            if row.installed:
                return row
        raise MissingExtraError("running a network", next(iter(ENGINES.values())).extra)
    if name not in ENGINES:
        raise _unknown("engine", name, ("auto", *ENGINES))
    return ENGINES[name]


def choose_device(name: str) -> str:
    """``cpu`` or ``cuda:N`` for a device as the user wrote it.

    Raises:
        UsageError: it is neither ``auto``, ``cpu``, ``cuda`` nor ``cuda:N``.
    """
    name = name.lower()
    if name in ("auto", "cpu"):
        return "cpu"
    if match := re.fullmatch(r"cuda(?::(\d+))?", name):
        return f"cuda:{int(match[1] or 0)}"
    raise _unknown("device", name, ("auto", "cpu", "cuda:0"))


def _unknown(what: str, name: str, known: Iterable[str]) -> UsageError:
    known = list(known)
    near = difflib.get_close_matches(name, known, n=2, cutoff=0.4)
    guess = f" Did you mean {' or '.join(repr(other) for other in near)}?" if near else ""
    return UsageError(f"unknown {what} {name!r}.{guess} Known: {', '.join(known)}")

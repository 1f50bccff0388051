"""Which engines there are, and how one is chosen and opened."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Literal, TypeVar

from ..kernels.device import DEVICES, HOST, Device
from ..pipeline.environment import note_package
from ..pipeline.errors import EngineError, MissingExtraError, UsageError, nearest
from .network_file import IR, ONNX, PROGRAM, TFLITE, kind_of
from .spec import Engine, EngineOptions, NetworkRefused, Port

LOG = logging.getLogger("vidgraph")
Opened = TypeVar("Opened")
PRECISIONS = ("auto", "fp32", "bf16", "fp16", "int8")


@dataclass(frozen=True, slots=True)
class EngineRow:
    """One engine: a module with ``open_network(path, options) -> Engine`` and ``describe() -> EngineDescription``.

    ``open_network`` raises ``NetworkRefused`` where another engine may take the network: ``auto`` then goes on.
    ``network`` is the kind of file that is made for it, ``also`` are further kinds that it opens; ``auto`` takes
    engines that open the kind that is given. ``card_part`` is a file
    of the package (a pattern) that only its build for cards has, which ``card_extra`` installs; empty: there is one
    build. Where it infers shapes without running, the module has ``read_ports(path, name) -> tuple[Port, ...]``; where
    it ``builds`` ahead of time, ``build_network(path, precision, keep, tell)`` and ``kept_layers(path)`` as in
    :mod:`.tensorrt.open`.
    """

    name: str
    module: str  # relative to this folder, or absolute
    package: str  # what must be importable
    extra: str  # what installs it
    devices: tuple[str, ...] = ("cpu",)  # kinds of kernels.device.DEVICES
    wants: Literal["host", "device"] = "host"  # where it takes and gives arrays: in host memory, or where it runs
    network: str = ONNX
    also: tuple[str, ...] = ()
    card_part: str = ""
    card_extra: str = ""
    builds: bool = False

    @property
    def installed(self) -> bool:
        """Whether its package can be found; nothing is imported."""
        return find_spec(self.package) is not None

    def opens(self, network: str) -> bool:
        """Whether it opens files of that kind, a suffix."""
        return network == self.network or network in self.also

    def runs_on(self, device: str) -> bool:
        """Whether it runs on ``cpu`` or ``cuda:N``."""
        return Device.of(device).kind in self.devices

    def installed_for(self, device: str) -> bool:
        """Whether what is installed of it runs on ``cpu`` or ``cuda:N``; nothing is imported."""
        if not (self.installed and self.runs_on(device)):
            return False
        if not self.card_part or Device.of(device) == HOST:
            return True
        found = find_spec(self.package)
        folders = found.submodule_search_locations if found is not None else None
        return any(next(Path(folder).glob(self.card_part), None) is not None for folder in folders or ())

    def extra_for(self, device: str) -> str:
        """What installs it for ``cpu`` or ``cuda:N``."""
        return self.extra if Device.of(device) == HOST else self.card_extra or self.extra

    def load(self) -> ModuleType:
        """Import its module.

        Raises:
            MissingExtraError: its package is not installed.
        """
        if not self.installed:
            raise MissingExtraError(f"engine {self.name!r}", self.extra)
        note_package(self.package)
        return import_module(self.module, __package__)


# In the order in which ``auto`` prefers them; on a card those that build first.
ENGINES: dict[str, EngineRow] = {
    row.name: row
    for row in (
        EngineRow("openvino", ".openvino", package="openvino", extra="openvino", also=(IR, TFLITE)),
        EngineRow(
            "tensorrt",
            ".tensorrt.standard",
            package="tensorrt",
            extra="tensorrt",
            devices=("cuda",),
            wants="device",
            builds=True,
        ),
        EngineRow(
            "tensorrt-rtx",
            ".tensorrt.rtx",
            package="tensorrt_rtx_bindings",
            extra="tensorrt-rtx",
            devices=("cuda",),
            wants="device",
            builds=True,
        ),
        EngineRow(
            "onnxruntime",
            ".onnxruntime",
            package="onnxruntime",
            extra="onnxruntime",
            devices=("cpu", "cuda"),
            wants="device",
            card_part="capi/*onnxruntime_providers_cuda*",
            card_extra="onnxruntime-gpu",
        ),
        EngineRow(
            "torch",
            ".torch.open",
            package="torch",
            extra="torch",
            devices=("cpu", "cuda"),
            wants="device",
            network=PROGRAM,
            card_part="lib/*torch_cuda*",
        ),
        EngineRow(
            "torch-tensorrt",
            ".torch.tensorrt",
            package="torch_tensorrt",
            extra="torch-tensorrt",
            devices=("cuda",),
            wants="device",
            network=PROGRAM,
        ),
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
    """Open a network of fixed shapes as something that runs.

    Args:
        path: the network: an ONNX file, an exported program of torch, or, for OpenVINO, an ``.xml`` of its own
            (with the ``.bin`` beside it) or a ``.tflite``.
        engine: a name of ``ENGINES``, or ``auto``: the first installed one for the device that takes the network
            (OpenVINO, then ONNX Runtime; on CUDA TensorRT, then TensorRT-RTX, then ONNX Runtime; of an exported program
            torch; a warning says where it is not the first).
        device: ``auto`` (the first kind that this machine has and the engine, or an installed one, runs on), ``cpu`` or
            ``cuda:N``.
        precision: ``auto`` (bf16 where the processor computes it natively, on CUDA fp16 where the network was checked
            in it, else fp32), ``fp32``, ``bf16``, ``fp16``, ``int8``.
        requests: how many threads may run it at the same time; further ones wait.
        threads: cores for all requests together. For files as many requests as threads (each runs on
            one core, which wastes none); for a live source one request on all threads.
        deterministic: one thread per request, so that results do not depend on how work is split.

    Raises:
        UsageError: an unknown engine, device or precision (with the nearest names).
        MissingExtraError: the engine is not installed.
        EngineError: no such engine for that device, or the file cannot be opened or compiled.
    """
    path = Path(path)
    network = kind_of(path)
    choose_engine(engine, network=network)
    chosen = choose_device(device, engine, network)
    if precision not in PRECISIONS:
        raise _unknown("precision", precision, PRECISIONS)
    options = EngineOptions(chosen, precision, requests, threads, deterministic)

    def open_with(row: EngineRow) -> Engine:
        _check_network(path.name, row, network)
        if not row.runs_on(chosen):
            others = [each.name for each in _rows(network) if each.installed_for(chosen)]
            title = DEVICES[Device.of(chosen).kind].title
            cure = f"engine {others[0]!r} runs there" if others else f"no {title} engine is installed. Use device cpu"
            raise EngineError(
                f"cannot run {path.name} on {chosen}: engine {row.name!r} needs device {' or '.join(row.devices)};"
                f" {cure}"
            )
        opened: Engine = row.load().open_network(path, options)
        return opened

    return first_that_takes(engine, chosen, path.name, open_with, network)


def _rows(network: str) -> list[EngineRow]:
    """Those that open files of that suffix."""
    return [row for row in ENGINES.values() if row.opens(network)]


def check_file(path: Path, engine: str) -> None:
    """Raise where the engine that is asked for does not open such files; of ONNX files engines say it themselves.

    Raises:
        EngineError: it does not; the message names those that do.
        UsageError: no such engine.
    """
    if engine.lower() != "auto" and kind_of(path) != ONNX:
        _check_network(path.name, choose_engine(engine), kind_of(path))


def _check_network(name: str, row: EngineRow, network: str) -> None:
    if not row.opens(network):
        others = ", ".join(each.name for each in _rows(network))
        raise EngineError(
            f"cannot open {name} with {row.name}, which takes {row.network} files; engines of {network} files are "
            f"{others}"
        )


def first_that_takes(
    engine: str, device: str, name: str, open_with: Callable[[EngineRow], Opened], network: str = ONNX
) -> Opened:
    """What ``open_with`` makes with an engine; with ``auto``, with the first installed one that takes the network.

    Args:
        engine: a name of ``ENGINES``, or ``auto``.
        device: where it is to run, as :func:`choose_device` gives it.
        name: what messages call the network.
        open_with: opens it, or everything that is to run in one engine.
        network: suffix of the files that are opened.

    Raises:
        UsageError, MissingExtraError: as :func:`choose_engine`.
        EngineError: what ``open_with`` raises; of ``auto``, where no engine takes the network, with the reason of each
            and what to install.
    """
    first = choose_engine(engine, device, network)
    if engine.lower() != "auto":
        return open_with(first)
    refused: dict[str, EngineError] = {}
    others = (row for row in _rows(network) if row is not first and row.installed_for(device))
    for row in (first, *others):
        try:
            opened = open_with(row)
        except EngineError as error:
            if not refused and not isinstance(error, NetworkRefused):
                raise
            refused[row.name] = error
            continue
        if refused:
            reasons = "; ".join(f"{other} refuses it ({_reason(error)})" for other, error in refused.items())
            _say_once(f"{name} runs in {row.name}: {reasons}")
        return opened
    raise _none_takes(refused, device, network) from next(iter(refused.values()))


def _none_takes(refused: dict[str, EngineError], device: str, network: str = ONNX) -> EngineError:
    """The error of ``auto``: why each engine does not take a network, and which others there are."""
    first, *rest = refused.items()
    said = [str(first[1]), *(f"nor with {engine}: {_reason(error)}" for engine, error in rest)]
    missing = [row for row in _rows(network) if row.runs_on(device) and not row.installed_for(device)]
    said += [f"{row.name} may run it: pip install 'vidgraph[{row.extra_for(device)}]'" for row in missing]
    return EngineError("; ".join(said))


def _reason(error: EngineError) -> str:
    return error.reason if isinstance(error, NetworkRefused) else str(error)


@lru_cache(maxsize=256)
def _say_once(message: str) -> None:
    """However often a process opens the network."""
    LOG.warning(message)


def read_ports(path: Path, name: str, *, engine: str = "auto") -> tuple[Port, ...]:
    """The outputs of an ONNX file whose inputs are fixed, with shapes as an engine infers them, without running.

    Args:
        path: the network.
        name: what messages call it.
        engine: the one to ask first; others that are installed are asked where it leaves a length open.

    Raises:
        UsageError, MissingExtraError: as :func:`choose_engine`.
        EngineError: no engine can read the file; the message is of the first, with ``auto`` of all.
    """
    first = choose_engine(engine)
    refused: dict[str, EngineError] = {}
    best: tuple[Port, ...] | None = None
    for row in (first, *(row for row in _rows(ONNX) if row is not first and row.installed)):
        read = getattr(row.load(), "read_ports", None)
        try:
            ports: tuple[Port, ...] = read(path, name) if read is not None else ()
        except EngineError as error:
            refused[row.name] = error
            continue
        if ports and all(port.fixed for port in ports):
            return ports
        best = best or ports or None
    if best is not None:
        return best
    if not refused:
        raise EngineError(f"cannot read {name}: no installed engine infers shapes")
    raise _none_takes(refused, "cpu") if engine.lower() == "auto" else next(iter(refused.values()))


def choose_engine(name: str, device: str = "cpu", network: str = ONNX) -> EngineRow:
    """The row of an engine by name, or for ``auto`` the first installed one that runs on ``device``, else the first.

    ``auto`` is one for files of the suffix ``network``.

    Raises:
        UsageError: no such engine.
        MissingExtraError: ``auto``, and none is installed.
    """
    name = name.lower()
    if name == "auto":
        rows = _rows(network)
        for row in [row for row in rows if row.installed_for(device)] or [row for row in rows if row.installed]:
            return row
        raise MissingExtraError("running a network", rows[0].extra)
    if name not in ENGINES:
        raise _unknown("engine", name, ("auto", *ENGINES))
    return ENGINES[name]


def choose_device(name: str, engine: str = "auto", network: str = ONNX) -> str:
    """``cpu`` or ``cuda:N`` for a device as the user wrote it; ``auto``: the first there is that the engine runs on.

    With engine ``auto``, that an installed one for files of the suffix ``network`` runs on. Where there is none: the
    CPU, or the first that the engine runs on, as what is missing is said best by that.

    Raises:
        UsageError: it is neither ``auto``, ``cpu``, ``cuda`` nor ``cuda:N``.
    """
    name = name.lower()
    if name == "auto":
        named = None if engine.lower() == "auto" else choose_engine(engine)
        rows = _rows(network) if named is None else [named]
        served = {kind for row in rows for kind in row.devices if row.installed_for(kind)}
        there = next((kind for kind, row in DEVICES.items() if kind in served and row.count()), HOST.kind)
        return str(Device(there if named is None or there in named.devices else named.devices[0]))
    kind, colon, index = name.partition(":")
    if kind in DEVICES and (index.isdecimal() if colon and kind != HOST.kind else not colon):
        return str(Device(kind, int(index or 0)))
    raise _unknown("device", name, ("auto", *sorted(str(Device(kind)) for kind in DEVICES)))


def place_of_arrays(engine: str, device: str) -> Device:
    """Where the arrays lie that an engine takes and gives.

    Args:
        engine: a name of ``ENGINES``, or ``auto``.
        device: as :func:`choose_device` gives it.
    """
    place = Device.of(device)
    return place if place != HOST and choose_engine(engine, device).wants == "device" else HOST


def _unknown(what: str, name: str, known: Iterable[str]) -> UsageError:
    return UsageError(f"unknown {what} {name!r}; {nearest(name, known, always=True)}")

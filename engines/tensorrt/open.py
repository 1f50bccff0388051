"""Opening a network with TensorRT or TensorRT-RTX: the precision, the card, the engine, and what runs it."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

from ...kernels.cuda.driver import Card, CudaError, driver
from ...kernels.device import Device
from ...pipeline.errors import DeviceError, EngineError
from ..cache import discard
from ..card import ON_THE_CPU, card_errors
from ..half.choice import choose_half
from ..half.record import recall
from ..onnx_file import file_digest
from ..spec import EngineDescription, EngineOptions
from .build import Built, Network, Tell, build_cached, check_precision, facts_of
from .engine_file import SUFFIXES, EngineFacts, check_fits, read_engine
from .flavour import Flavour
from .refusals import reason_of
from .runtime import FORKS, TensorRTEngine, described_engine

LOG = logging.getLogger("vidgraph")
_READING = threading.Lock()  # a runtime is one thread's at a time


def described(flavour: Flavour) -> EngineDescription:
    """Version, devices and precisions; asks neither the driver nor the card."""
    return EngineDescription(flavour.version, ("cuda",), ("fp32", "fp16", "int8"))


def build_with(
    flavour: Flavour,
    path: Path,
    precision: str,
    keep: tuple[str, ...] = (),
    tell: Tell | None = None,
) -> Built:
    """The engine of an ONNX file: for cards of all kinds, or with TensorRT for the first card of this machine.

    Args:
        path: the network.
        precision: ``fp32``, ``fp16`` or ``int8``.
        keep: names of the nodes of an fp16 network that stay in fp32 besides those that always do.
        tell: is told how far a build is.

    Raises:
        EngineError: the file cannot be read, or cannot be built in that precision or on this machine.
        NetworkRefused: the library does not take the network.
    """
    network = Network.read(path)
    check_precision(network, precision)
    card = None if flavour.architectures else _card_to_build_on(flavour, path.name)
    return build_cached(flavour, network, facts_of(flavour, network, precision, keep, card), tell)


def _card_to_build_on(flavour: Flavour, name: str) -> Card:
    try:
        return driver().card(Device("cuda"))
    except CudaError as error:
        raise DeviceError(
            f"cannot build {name}: {flavour.title} builds on the card that it builds for, and {error}; "
            "engine tensorrt-rtx builds without one"
        ) from error


def open_with(flavour: Flavour, path: Path, options: EngineOptions) -> TensorRTEngine:
    """Open an ONNX file, whose engine comes from the cache or is built now; or an engine file.

    Raises:
        EngineError: there is no driver, it is too old, or there is no such card; the file cannot be read, is of another
            card or version, or does not have the precision; the card has no memory left; or this process was forked
            after TensorRT had been used.
        NetworkRefused: the library does not take the network, or does not run on the card.
    """
    FORKS.begin(path.name)
    place = Device.of(options.device)
    with card_errors(f"cannot run {path.name} on {place}"):
        card = driver().card(place)
        _check_driver(flavour, path.name, card)
        with driver().active(place):
            return _open(flavour, path, card, options)


def _open(flavour: Flavour, path: Path, card: Card, options: EngineOptions) -> TensorRTEngine:
    """With the context of the card as this thread's."""
    if path.suffix.lower() in SUFFIXES:
        return _open_file(flavour, path, card, options)
    network = Network.read(path)
    check_precision(network, options.precision)
    precision, keep = _choose(network, options.precision)
    facts = facts_of(flavour, network, precision, keep, card)
    for _ in range(2):
        built = build_cached(flavour, network, facts)
        stored, plan = read_from(built)
        engine, said = _deserialised(flavour, plan)
        if engine is not None or built.path is None or not built.cached:
            break
        LOG.warning("cannot use the engine of %s in the cache; building it again", path.name)
        discard(built.path)
    if engine is None:
        raise _not_opened(flavour, path, card, said)
    return TensorRTEngine(flavour, path.name, engine, stored, card, options)


def read_from(built: Built) -> tuple[EngineFacts, Any]:
    """Facts and plan of what was built; the name is that of the file that was asked for."""
    facts_length = len(built.facts.serialised(b""))
    return built.facts, memoryview(built.content)[facts_length:]


def _open_file(flavour: Flavour, path: Path, card: Card, options: EngineOptions) -> TensorRTEngine:
    facts, plan = read_engine(path)
    if facts is not None:
        check_fits(path, facts, flavour, card)
    engine, said = _deserialised(flavour, plan)
    if engine is None:
        raise _not_opened(flavour, path, card, said)
    facts = facts or described_engine(flavour, path.name, engine, card)
    if options.precision not in ("auto", facts.precision):
        raise EngineError(
            f"{path.name} computes in {facts.precision}, not in {options.precision}; open the ONNX file it was made of"
        )
    return TensorRTEngine(flavour, path.name, engine, facts, card, options)


def _check_driver(flavour: Flavour, name: str, card: Card) -> None:
    if card.driver[0] < flavour.cuda:
        major, minor = card.driver
        raise EngineError(
            f"cannot run {name} on cuda:{card.index}: the NVIDIA driver is too old; it knows CUDA {major}.{minor}, and "
            f"{flavour.title} {flavour.version} needs {flavour.cuda}.0. Update the driver. {ON_THE_CPU}"
        )


def _choose(network: Network, asked: str) -> tuple[str, tuple[str, ...]]:
    """The precision, and the nodes that stay in fp32: fp16 by itself only where it was checked."""
    if network.quantised:
        return "int8", ()
    if network.half:
        return "fp16", ()
    return choose_half(network.name, network.digest, asked)


def kept_layers(path: Path) -> tuple[str, ...]:
    """Names of the nodes of a network that were found to need fp32; none where it was not checked in fp16."""
    record = recall(file_digest(path))
    return () if record is None else record.keep


def _deserialised(flavour: Flavour, plan: Any) -> tuple[Any, list[str]]:
    """TensorRT's engine, and what it said; None: it does not take it."""
    with _READING, flavour.said.listening() as said:
        return flavour.runtime.deserialize_cuda_engine(plan), [*said]


def _not_opened(flavour: Flavour, path: Path, card: Card, said: list[str]) -> EngineError:
    if any("memory" in text.lower() for text in said):
        why = "the card has no memory left; end what else runs on it, or choose a smaller size or batch"
    else:
        why = f"{reason_of(said[0]) if said else 'no reason is given'}; it is of another card or version, or damaged"
    return EngineError(
        f"cannot open {path.name} with {flavour.title} {flavour.version} on {card.name}: {why}. Rebuild it with: "
        f"vidgraph build MODEL --engine {flavour.name}. {ON_THE_CPU}"
    )

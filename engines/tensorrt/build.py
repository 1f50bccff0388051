"""From an ONNX network to an engine file, once: engines are kept in the cache under a key of all that decides them."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._version import __version__
from ...kernels.cuda.driver import Card
from ...pipeline.cancel import StopOnSignal
from ...pipeline.errors import EngineError
from ..cache import discard, find, find_or_build, key_of, replace_entry
from ..card import ON_THE_CPU
from ..half.network import half_network
from ..half.plan import HALF, name_of, plan_half, with_constants
from ..half.record import VERSION as HALF_VERSION
from ..onnx_file import external_files, is_quantised, network_digest, read_network
from ..spec import NOT_QUANTISED, NetworkRefused, TensorSpec, check_quantised, fixed_spec
from .engine_file import EngineFacts, read_engine
from .flavour import Flavour
from .refusals import not_built, refused
from .symmetric import symmetric

if TYPE_CHECKING:
    from onnx import ModelProto

LOG = logging.getLogger("vidgraph")
_BUILDING = threading.Lock()  # two builds at a time would time each other
VERSION = 1
"""Part of the key: raised whenever the same network is built otherwise."""

_MATRICES = frozenset({"Gemm", "MatMul", "Einsum"})
_WITHOUT_FP32_MATRICES = frozenset({"7.5"})
"""Compute capabilities for which TensorRT-RTX 1.7 has no products of matrices in fp32."""

BUILT: Counter[str] = Counter()
"""How many engines this process has built, by library."""

Tell = Callable[[str, int, int], None]
"""Is told of a phase of a build: its name, steps done, and of how many."""


@dataclass(frozen=True, slots=True)
class Built:
    """An engine, and how it came about.

    Attributes:
        facts: what it was built of and for.
        content: the engine file.
        path: in the cache; None: the cache cannot be used.
        seconds: of building; 0 where it was in the cache.
    """

    facts: EngineFacts
    content: bytes
    path: Path | None
    seconds: float

    @property
    def cached(self) -> bool:
        """Whether it was there before."""
        return self.seconds == 0.0


@dataclass(frozen=True, slots=True)
class Network:
    """A network that is to be built: the file ``path``, read."""

    path: Path
    model: ModelProto
    digest: str

    @classmethod
    def read(cls, path: Path) -> Network:
        """
        Raises:
            EngineError: it, or a file of its weights, cannot be read.
        """
        model = read_network(path)
        return cls(path, model, network_digest(path, external_files(model)))

    @property
    def name(self) -> str:
        """For messages."""
        return self.path.name

    @property
    def quantised(self) -> bool:
        """Whether it computes in int8."""
        return is_quantised(self.model)

    @property
    def half(self) -> bool:
        """Whether it is in fp16 already: an input is."""
        return any(value.type.tensor_type.elem_type == HALF for value in self.model.graph.input)


def check_precision(network: Network, asked: str) -> None:
    """Raise where no engine of this adapter computes a network in ``asked``.

    Raises:
        EngineError: bf16, int8 of a network that is not quantised, or another precision of one that is, or that is in
            fp16 already.
    """
    if network.quantised:
        check_quantised(network.name, asked)
    elif asked == "int8":
        raise EngineError(NOT_QUANTISED.format(network.name))
    elif asked == "bf16":
        raise EngineError(f"{network.name}: precision 'bf16' is not built; TensorRT engines have fp32, fp16 and int8")
    elif asked == "fp32" and network.half:
        raise EngineError(f"{network.name} is in fp16; precision 'fp32' needs the network it was made of")


def facts_of(
    flavour: Flavour, network: Network, precision: str, keep: tuple[str, ...], card: Card | None
) -> EngineFacts:
    """What the engine of a network is to be built for.

    Args:
        precision: ``fp32``, ``fp16`` or ``int8``.
        keep: nodes of an fp16 network that stay in fp32.
        card: that it is to run on; None, with a library that builds for several kinds: any of these.

    Raises:
        NetworkRefused: the library does not run on the card.
    """
    everywhere = _architectures(flavour, network, precision, keep)
    if card is not None and everywhere and card.capability not in everywhere:
        message = f"{flavour.title} does not run on {card.name} (compute capability {card.capability})"
        raise NetworkRefused(message, f"it runs on {', '.join(everywhere)}; engine tensorrt may. {ON_THE_CPU}")
    timed_on = card.name if card is not None and not everywhere else ""
    architectures = everywhere or (card.capability if card is not None else "",)
    return EngineFacts(
        flavour.name, flavour.version, network.name, network.digest, precision, keep, architectures, timed_on
    )


def _architectures(flavour: Flavour, network: Network, precision: str, keep: tuple[str, ...]) -> tuple[str, ...]:
    """Compute capabilities that a network can be built for without a card."""
    known = flavour.architectures
    matrices = {name_of(node) for node in network.model.graph.node if node.op_type in _MATRICES}
    if not matrices or network.half or not set(known) & _WITHOUT_FP32_MATRICES:
        return known
    if precision == "fp16":
        model = with_constants(network.model, str(network.path.parent))
        if matrices <= plan_half(model, keep).half:
            return known
    return tuple(each for each in known if each not in _WITHOUT_FP32_MATRICES)


def build_cached(flavour: Flavour, network: Network, facts: EngineFacts, tell: Tell | None = None) -> Built:
    """The engine of ``facts``: from the cache, or built now and kept there.

    Args:
        tell: is told how far a build is.

    Raises:
        NetworkRefused: the library does not take the network.
        EngineError: an input or output has no fixed shape, or there is not enough memory.
    """
    built: Built | None = None

    def build(target: Path) -> None:
        nonlocal built
        built = built or _built(flavour, network, facts, tell)
        target.write_bytes(built.content)

    for _ in range(2):
        stored = find_or_build("engines", f"{engine_key(facts)}.engine", build)
        if stored is None or built is not None:
            break
        try:
            return _stored(stored, facts)
        except (EngineError, OSError) as error:  # written by something else, or removed since
            LOG.warning("cannot use the engine of %s in the cache: %s; building it again", network.name, error)
            discard(stored)
    built = built or _built(flavour, network, facts, tell)
    return replace(built, path=stored)


def _stored(path: Path, wanted: EngineFacts) -> Built:
    """An engine of the cache.

    Raises:
        EngineError, OSError: it is not what is wanted, or cannot be read.
    """
    facts, _ = read_engine(path)
    if facts is None or engine_key(facts) != engine_key(wanted):
        raise EngineError("it is another file")
    return Built(facts, path.read_bytes(), path, 0.0)


def engine_key(facts: EngineFacts) -> str:
    """Of all that decides an engine; not of what the network is called."""
    return key_of(
        *(facts.flavour, facts.version, facts.network, facts.precision, repr(sorted(facts.keep))),
        *(repr(facts.architectures), facts.card, str(VERSION), str(HALF_VERSION), __version__, sys.platform),
    )


def _built(flavour: Flavour, network: Network, facts: EngineFacts, tell: Tell | None) -> Built:
    started = time.perf_counter()
    if tell is None:
        LOG.info("building the engine of %s with %s in %s", network.name, flavour.title, facts.precision)
    plan, inputs, outputs = _plan(flavour, network, facts, tell)
    BUILT[flavour.name] += 1
    facts = replace(facts, inputs=inputs, outputs=outputs)
    return Built(facts, facts.serialised(plan), None, time.perf_counter() - started)


def _ports(
    flavour: Flavour, network: Network, definition: Any
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Inputs and outputs with the shapes that the library infers, where their types are those of the file."""
    from onnx import helper

    graph = network.model.graph
    kinds = {value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)}

    def spec(tensor: Any) -> TensorSpec:
        declared = helper.tensor_dtype_to_np_dtype(kinds[tensor.name])
        try:
            dtype = np.dtype(flavour.api.nptype(tensor.dtype))
        except TypeError:
            dtype = None
        if dtype != declared:  # it makes float32 of float64
            message = f"{tensor.name!r} is {declared}, which it does not have"
            raise NetworkRefused(f"cannot build {network.name} with {flavour.title}", message)
        shape = [None if length < 0 else length for length in tensor.shape]
        if None in shape and not tensor.is_network_input:  # of inputs no other engine may take it either
            message = f"{tensor.name!r} has no fixed shape"
            raise NetworkRefused(f"cannot build {network.name} with {flavour.title}", message)
        return fixed_spec(network.name, tensor.name, declared, shape)

    inputs = tuple(spec(definition.get_input(index)) for index in range(definition.num_inputs))
    return inputs, tuple(spec(definition.get_output(index)) for index in range(definition.num_outputs))


def _plan(
    flavour: Flavour, network: Network, facts: EngineFacts, tell: Tell | None
) -> tuple[Any, tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """TensorRT's bytes of a network, its inputs and outputs."""
    api, path = flavour.api, network.path
    model = network.model
    if facts.precision == "fp16":
        model = half_network(model, str(path.parent), facts.keep)
    elif facts.precision == "int8":
        model = symmetric(model)
    monitor = Monitor.of(api, tell)
    with _BUILDING, flavour.said.listening() as said, StopOnSignal(monitor.stop) as signals:
        builder = api.Builder(flavour.said.logger)
        definition = builder.create_network(_network_flags(api))
        parser = api.OnnxParser(definition, flavour.said.logger)
        if not parser.parse(model.SerializeToString(), path=str(path)):
            raise refused(flavour.title, path.name, model, parser)
        inputs, outputs = _ports(flavour, network, definition)
        plan = builder.build_serialized_network(definition, _configured(flavour, builder, facts, monitor))
        errors = list(said)
    if signals.received is not None:
        signal.raise_signal(signals.received)
        raise KeyboardInterrupt
    monitor.reraise()
    if plan is None:
        _raise_out_of_memory(flavour, path.name, errors)
        raise not_built(flavour.title, path.name, model, errors)
    return plan, inputs, outputs


def _network_flags(api: Any) -> int:
    """Strongly typed, and in TensorRT 10 an explicit batch where the flag is still there."""
    flags = api.NetworkDefinitionCreationFlag
    return sum(1 << int(getattr(flags, name)) for name in ("STRONGLY_TYPED", "EXPLICIT_BATCH") if hasattr(flags, name))


def _configured(flavour: Flavour, builder: Any, facts: EngineFacts, monitor: Monitor) -> Any:
    api, config = flavour.api, builder.create_builder_config()
    config.clear_flag(api.BuilderFlag.TF32)  # 10 bits of 23: what is to be in fp32 would not be
    config.progress_monitor = monitor.monitor
    if flavour.architectures:
        config.num_compute_capabilities = len(facts.architectures)
        for index, architecture in enumerate(facts.architectures):
            config.set_compute_capability(getattr(api.ComputeCapability, f"SM{architecture.replace('.', '')}"), index)
    else:
        _set_timing_cache(config, facts)
        monitor.finally_do(lambda: _keep_timing_cache(config, facts))
    return config


def _timing_key(facts: EngineFacts) -> str:
    return f"{key_of(facts.flavour, facts.version, facts.card, repr(facts.architectures))}.timing"


def _set_timing_cache(config: Any, facts: EngineFacts) -> None:
    """What earlier builds for this card have measured."""
    known = find("engines", _timing_key(facts))
    config.set_timing_cache(config.create_timing_cache(known.read_bytes() if known else b""), False)


def _keep_timing_cache(config: Any, facts: EngineFacts) -> None:
    content = bytes(config.get_timing_cache().serialize())
    replace_entry("engines", _timing_key(facts), content)


def _raise_out_of_memory(flavour: Flavour, name: str, said: Any) -> None:
    if any("out of memory" in text.lower() or "outofmemory" in text.lower() for text in said):
        raise EngineError(
            f"cannot build {name} with {flavour.title}: there is not enough memory; build a smaller size or batch, "
            f"or end what else runs. {ON_THE_CPU}"
        )


class Monitor:
    """Follows a build, and stops it on Ctrl-C and where ``tell`` raises: an exception must not pass through C++."""

    def __init__(self, monitor: Any) -> None:
        self.monitor = monitor
        self.raised: BaseException | None = None
        self.stopped = False
        self._after: list[Callable[[], None]] = []

    @classmethod
    def of(cls, api: Any, tell: Tell | None) -> Monitor:
        """For a library."""
        self = cls(None)
        phases: dict[str, tuple[int, int]] = {}

        def report(name: str) -> bool:
            try:
                if tell is not None and name in phases:
                    tell(name, *phases[name])
            except BaseException as error:  # raised again when the build has ended
                self.raised = error
            return self.raised is None and not self.stopped

        def start(this: Any, name: str, parent: str | None, steps: int) -> None:
            if not parent:  # inner phases come by the hundred
                phases[name] = (0, steps)
                report(name)

        def step(this: Any, name: str, index: int) -> bool:
            if name in phases:
                phases[name] = (index, phases[name][1])
            return report(name)

        def finish(this: Any, name: str) -> None:
            if name in phases:
                phases[name] = (phases[name][1], phases[name][1])
                report(name)

        def make(this: Any) -> None:
            api.IProgressMonitor.__init__(this)

        methods = {"__init__": make, "phase_start": start, "step_complete": step, "phase_finish": finish}
        self.monitor = type("Monitor", (api.IProgressMonitor,), methods)()
        return self

    def stop(self, now: bool) -> None:
        """End the build at its next step."""
        self.stopped = True

    def finally_do(self, action: Callable[[], None]) -> None:
        """Once the build has ended without an exception."""
        self._after.append(action)

    def reraise(self) -> None:
        """What stopped the build."""
        if self.raised is not None:
            raise self.raised
        for action in self._after:
            action()

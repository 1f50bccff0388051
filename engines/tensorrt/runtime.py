"""A built engine that runs: every calling thread has an execution context with buffers on the card, bound once.

A run queues its work on the compute stream of the card, and does not wait. Feeds that are written on another stream are
waited for there. Of TensorRT, the second run of a thread is captured as a CUDA graph here. TensorRT-RTX captures one by
itself, on a stream beside the compute stream, where nothing else gets into it; the two wait for one another.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from ...kernels.cuda.driver import Card, CudaError, Driver, address_of, driver
from ...kernels.device import Device, DeviceArray
from ...pipeline.errors import EngineError
from ..cache import find, key_of, replace_entry
from ..card import ON_THE_CPU, CardBuffers, card_errors, out_of_memory
from ..forks import ForkGuard
from ..pool import Pool
from ..spec import EngineOptions, TensorSpec, check_feeds, fixed_spec
from .engine_file import EngineFacts
from .flavour import Flavour
from .refusals import reason_of

LOG = logging.getLogger("vidgraph")
FORKS = ForkGuard("TensorRT", instead=f". {ON_THE_CPU}")
_BUILD_AGAIN = f"give the network as ONNX, or build it with linear inputs and outputs on the card. {ON_THE_CPU}"


class TensorRTEngine:
    """A network run by TensorRT or TensorRT-RTX; see :class:`vidgraph.engines.Engine`.

    Feeds and outputs lie on ``device``. Feeds are read in the order of their stream: whoever writes them again does so
    on that stream, or waits for the outputs. Outputs are those of the calling thread until it runs the engine again.
    """

    def __init__(
        self, flavour: Flavour, name: str, engine: Any, facts: EngineFacts, card: Card, options: EngineOptions
    ) -> None:
        self.engine, self.name, self.precision = flavour.name, name, facts.precision
        self.inputs, self.outputs = facts.inputs, facts.outputs
        self._place = Device("cuda", card.index)
        self.device = str(self._place)
        self._flavour = flavour
        self._contexts = Contexts(flavour, name, engine, facts, card)
        self._turns = Pool(name, range(options.requests))
        self._local = threading.local()
        self._requests: weakref.WeakSet[_Request] = weakref.WeakSet()

    def run(self, feeds: Mapping[str, Any]) -> dict[str, DeviceArray]:
        """Queue one run; the outputs are this thread's until it runs the engine again.

        Raises:
            EngineError: the feeds do not fit, the engine is closed, the card has no memory left or fails, or this
                process was forked.
        """
        given = check_feeds(self.name, self.inputs, feeds, self._place)
        FORKS.check(self.name)
        with self._turns.take(), card_errors(self.name), driver().active(self._place):
            return self._request().run(given)

    def _request(self) -> _Request:
        """That of the calling thread."""
        request: _Request | None = getattr(self._local, "request", None)
        if request is None:
            request = _Request(self._contexts, self.inputs, self.outputs, self._place)
            self._requests.add(request)
            self._local.request = request
        return request

    def close(self) -> None:
        """Wait for runs under way and free the network; outputs already given stay valid."""
        self._turns.close()
        requests = list(self._requests)
        if not requests and self._contexts.closed:
            return
        with card_errors(self.name), driver().active(self._place):
            driver().synchronise(self._place)
            for request in requests:
                request.close()
            self._contexts.close()


class Contexts:
    """Makes the execution contexts of an engine, with TensorRT-RTX's cache of compiled kernels where there is one."""

    def __init__(self, flavour: Flavour, name: str, engine: Any, facts: EngineFacts, card: Card) -> None:
        self.flavour, self.name, self.engine = flavour, name, engine
        self._making = threading.Lock()
        self._config: Any = None
        self._cache: Any = None
        self._stored = b""
        self._key = key_of(facts.network, facts.precision, repr(sorted(facts.keep)), flavour.version, repr(card))
        if hasattr(engine, "create_runtime_config"):
            self._config = engine.create_runtime_config()
        self.captures_itself = hasattr(self._config, "cuda_graph_strategy")
        if self.captures_itself:
            self._config.cuda_graph_strategy = flavour.api.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        if hasattr(self._config, "create_runtime_cache"):
            self._use_cache()

    @property
    def closed(self) -> bool:
        """Whether nothing can be made any more."""
        return self.engine is None

    def make(self) -> Any:
        """
        Raises:
            EngineError: there is no memory left for it.
        """
        with self._making, self.flavour.said.listening() as said:
            arguments = [] if self._config is None else [self._config]
            context = self.engine.create_execution_context(*arguments)
            if context is None:
                raise out_of_memory(self.name, reason_of(said[0]) if said else "")
        return context

    def _use_cache(self) -> None:
        self._cache = self._config.create_runtime_cache()
        known = find("engines", f"{self._key}.kernels")
        if known is not None:
            with suppress(OSError):  # removed since
                self._stored = known.read_bytes()
            if not self._cache.deserialize(self._stored):
                LOG.debug("the compiled kernels of %s in the cache do not fit", self.name)
        self._config.set_runtime_cache(self._cache)

    def close(self) -> None:
        """Keep what was compiled, and let go of the engine."""
        if self._cache is not None:
            compiled = bytes(self._cache.serialize() or b"")
            if compiled and compiled != self._stored:
                replace_entry("engines", f"{self._key}.kernels", compiled)
        self.engine = self._config = self._cache = None


class _Request:
    """One execution context, bound to buffers of its own."""

    def __init__(
        self, contexts: Contexts, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...], place: Device
    ) -> None:
        self._contexts, self._name, self._place = contexts, contexts.name, place
        self._context: Any = contexts.make()
        self._graphs: list[int] = []  # one, once it is captured
        here = driver()
        self._side = here.new_stream(place) if contexts.captures_itself else None
        weakref.finalize(self, _release, here, place, self._side, self._graphs).atexit = False
        self._buffers = CardBuffers(self._name, inputs, outputs, place)
        engine = contexts.engine
        taken = {engine.get_tensor_name(index) for index in range(engine.num_io_tensors)}
        for name, array in {**self._buffers.inputs, **self._buffers.outputs}.items():
            if name in taken and not self._context.set_tensor_address(name, array.pointer):
                raise EngineError(f"{self._name}: {contexts.flavour.title} does not take a buffer for {name!r}")
        self._may_capture = not contexts.captures_itself
        self._runs = 0

    def run(self, given: Mapping[str, DeviceArray]) -> dict[str, DeviceArray]:
        """Queue copies of the feeds and the network."""
        here, place = driver(), self._place
        ours = here.stream(place)
        for name, array in given.items():
            packed = array if array.flags.c_contiguous else array.copy()
            here.copy(self._buffers.inputs[name].pointer, address_of(packed), packed.nbytes, place)
        for other in {array.stream for array in given.values() if array.stream is not None}:
            here.wait_for(other, ours, place)  # before a feed is written again
        self._runs += 1
        if self._may_capture and self._runs == 2:
            self._capture()
        if self._graphs:
            here.launch_graph(self._graphs[0], place)
        elif self._side is not None:
            here.wait_for(self._side, ours, place)
            self._execute(self._side)
            here.wait_for(ours, self._side, place)
        else:
            self._execute(ours)
        return dict(self._buffers.outputs)

    def _capture(self) -> None:
        """Have a graph of the network launched from now on, where it can be captured."""
        self._may_capture = False
        here = driver()
        here.synchronise(self._place)  # what the context still does may not be captured
        with self._contexts.flavour.said.listening():
            graph = here.capture(lambda stream: bool(self._context.execute_async_v3(stream)), self._place)
        if graph is not None:
            self._graphs.append(graph)
        else:
            LOG.debug("%s cannot be captured as a CUDA graph; it is queued each time", self._name)

    def _execute(self, stream: int) -> None:
        with self._contexts.flavour.said.listening() as said:
            if self._context.execute_async_v3(stream):
                return
        if said and "out of memory" in said[-1].lower():
            raise out_of_memory(self._name, reason_of(said[-1]))
        reason = reason_of(said[-1]) if said else "no reason is given"
        raise EngineError(f"{self._name}: {self._contexts.flavour.title} failed: {reason}. {ON_THE_CPU}")

    def close(self) -> None:
        """Free everything but the outputs that were given; nothing of it may be queued any more."""
        _destroy(driver(), self._place, self._graphs)
        self._context = None
        self._buffers.clear()


def _release(here: Driver, place: Device, side: int | None, graphs: list[int]) -> None:
    """What a thread that has ended held."""
    with suppress(CudaError):  # where the card has failed, whoever asks it next is told
        _destroy(here, place, graphs)
        if side is not None:
            here.destroy_stream(side, place)


def _destroy(here: Driver, place: Device, graphs: list[int]) -> None:
    while graphs:
        here.destroy_graph(graphs.pop(), place)


def described_engine(flavour: Flavour, name: str, engine: Any, card: Card) -> EngineFacts:
    """The facts of an engine that another program wrote, from the engine itself.

    Raises:
        EngineError: a shape is open, a type is none of NumPy's, or an input or output lies in host memory or has its
            numbers in an order of its own.
    """
    api = flavour.api
    ports: dict[bool, list[TensorSpec]] = {True: [], False: []}
    for index in range(engine.num_io_tensors):
        tensor = engine.get_tensor_name(index)
        try:
            dtype = np.dtype(api.nptype(engine.get_tensor_dtype(tensor)))
        except TypeError as error:
            raise EngineError(f"cannot open {name}: {tensor!r} has a type that NumPy does not have") from error
        if engine.get_tensor_location(tensor) != api.TensorLocation.DEVICE:
            raise EngineError(f"cannot open {name}: {tensor!r} lies in host memory; {_BUILD_AGAIN}")
        if engine.get_tensor_format(tensor) != api.TensorFormat.LINEAR:
            raise EngineError(f"cannot open {name}: {tensor!r} has its numbers in another order; {_BUILD_AGAIN}")
        taken = engine.get_tensor_mode(tensor) == api.TensorIOMode.INPUT
        ports[taken].append(fixed_spec(name, tensor, dtype, tuple(engine.get_tensor_shape(tensor))))
    inputs, outputs = tuple(ports[True]), tuple(ports[False])
    half = any(spec.dtype == np.float16 for spec in inputs)
    return EngineFacts(
        flavour.name, flavour.version, name, "", "fp16" if half else "fp32", (), (card.capability,), "", inputs, outputs
    )

"""Run a network with memory: what it gave for a frame, and that frame itself, are inputs of the next one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...engines.spec import Engine, TensorSpec
from ...kernels.device import HOST, Device, Tensor, device_of
from ...pipeline.packet import SKIPPED, Frame, Key, Packet
from ...pipeline.stage import EndReason, Stage
from ...pipeline.types.picture import Size
from .constants import DeviceConstants
from .engine_cache import Runner
from .infer import Arrays, RawOutputs, copy_outputs, outputs_on
from .preprocess import ModelInput

LOG = logging.getLogger("vidgraph")


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """One output that is an input of the next frame.

    Attributes:
        input, output: names.
        first: what the first frame is given, of the input's dtype; spread over its shape for one picture.
    """

    input: str
    output: str
    first: NDArray[Any] = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """What of the frames before it the outputs of a frame depend on.

    Attributes:
        states: outputs of the frame before.
        previous: the input that takes the picture of the frame before, of the first frame its own; None: there is none.
        hidden: names of outputs that are state and nothing else.
    """

    states: tuple[State, ...] = ()
    previous: str | None = None
    hidden: frozenset[str] = frozenset()

    def first_values(self, inputs: Iterable[TensorSpec]) -> dict[str, NDArray[Any]]:
        """What the first frame is given as state, by the name of the input.

        Args:
            inputs: of the network, for one picture.
        """
        shapes = {spec.name: spec.shape for spec in inputs}
        return {each.input: np.ascontiguousarray(np.broadcast_to(each.first, shapes[each.input]))
                for each in self.states}  # fmt: skip


class RecurrentRunner(Runner, Protocol):
    """A runner of one network: a ``QueueRunner``."""

    @property
    def first(self) -> Engine:
        """The engine for one picture."""


class RecurrentCache(Protocol):
    """Gives the runner of an input size; an ``EngineCache``."""

    def runner(self, size: Size) -> AbstractContextManager[RecurrentRunner]: ...


@dataclass(slots=True)
class _Stream:
    """What is remembered of one stream; ``state`` by the name of the input, None before its first frame."""

    epoch: int
    size: Size
    state: dict[str, Tensor] | None = None
    before: ModelInput | None = field(default=None, repr=False)

    def forget_picture(self) -> None:
        """Give the input of the frame before back to its pool."""
        before, self.before = self.before, None
        if before is not None:
            before.release()


class RecurrentInfer(Stage):
    """Consumes ``input_key``; creates ``key``. One frame of a stream after the other, as each needs the one before.

    State begins anew with a stream, an epoch and another input size. Frames that were dropped or that the network
    skips pass unchanged and leave it as it is, and so does one on which the network fails: the next frame goes on from
    the last one that went through. The picture of the frame before is that of the last one that the network was given.

    State is kept per stream, where the network gives it: on a card it stays there. ``end_stream`` frees it. Where more
    streams than ``most_streams`` have one, that whose last frame is the longest ago loses it and begins anew.

    Args:
        cache: gives the runner of an input size, which takes frames of several streams at one time.
        input_name: of the input that takes the picture.
        input_key, key: what is consumed and created.
        memory: what is remembered.
        select_outputs: what to keep of a frame's outputs (those that are not hidden), as arrays of its own.
        most_streams: that have a state at one time; None: as many as there are.
        device: where ``select_outputs`` and the stages behind this one work.

    Attributes:
        evictions: how often a stream has lost its state to another.
    """

    def __init__(
        self,
        cache: RecurrentCache,
        input_name: str,
        input_key: Key[ModelInput],
        key: Key[RawOutputs],
        *,
        memory: Memory,
        select_outputs: Callable[[Mapping[str, Any]], Arrays] = copy_outputs,
        name: str = "infer",
        most_streams: int | None = None,
        device: Device = HOST,
    ) -> None:
        self.name: str = name
        self.reads: frozenset[Key[Any]] = frozenset({input_key})
        self.creates: frozenset[Key[Any]] = frozenset({key})
        self._cache, self._input_name, self._input_key, self._key = cache, input_name, input_key, key
        self._memory, self._select, self._device, self._most_streams = memory, select_outputs, device, most_streams
        self._first = DeviceConstants()
        self._streams: dict[str, _Stream] = {}  # that whose last frame is the longest ago is the first
        self._lock = threading.Lock()
        self.evictions = 0

    def process(self, packet: Packet) -> Iterable[Packet]:
        """Replace the network's input by its outputs. Before ``open``, this takes in a frame of an earlier run.

        Raises:
            EngineError: what the network raised.
        """
        if packet.drop_cause is not None or packet.get(SKIPPED):
            return (packet,)
        given = packet[self._input_key]
        stream = self._remembered(packet.frame, given.size)
        try:
            arrays = self._run(stream, given, packet.frame.stream_id)
        finally:
            self._keep_picture(stream, given)
        raw = RawOutputs(arrays, given.size, given.affine)
        return (packet.without(self._input_key).with_item(self._key, raw),)

    def end_stream(self, stream_id: str, reason: EndReason) -> Iterable[Packet]:
        """Forget the stream."""
        with self._lock:
            stream = self._streams.pop(stream_id, None)
        if stream is not None:
            stream.forget_picture()
        return ()

    def close(self) -> None:
        """Forget all streams."""
        self._streams.clear()

    def _remembered(self, frame: Frame, size: Size) -> _Stream:
        """What is remembered of a frame's stream; nothing, where it begins anew."""
        name = frame.stream_id
        with self._lock:
            stream = self._streams.pop(name, None)
            if stream is not None and (stream.epoch, stream.size) != (frame.epoch, size):
                stream.forget_picture()
                stream = None
            self._streams[name] = stream = stream or _Stream(frame.epoch, size)
            most = len(self._streams) if self._most_streams is None else self._most_streams
            evicted = list(self._streams)[: len(self._streams) - most]
            for other in evicted:
                del self._streams[other]  # its frame may be in the network
            level = logging.DEBUG if self.evictions else logging.WARNING
            self.evictions += len(evicted)
        for other in evicted:
            LOG.log(level, "%s: more than %d streams; what is remembered of stream %s is lost", self.name, most, other)
        return stream

    def _feeds(self, stream: _Stream, given: ModelInput, engine: Engine) -> dict[str, Tensor]:
        """All that the network takes for a frame."""
        state = stream.state
        if state is None:
            place, first = device_of(given.tensor), self._memory.first_values(engine.inputs)
            state = {name: self._first.on(place, (name, values.shape), values) for name, values in first.items()}
        feeds = {self._input_name: given.tensor, **state}
        if self._memory.previous is not None:
            feeds[self._memory.previous] = (stream.before or given).tensor
        return feeds

    def _run(self, stream: _Stream, given: ModelInput, stream_id: str) -> Arrays:
        """What is kept of the outputs; the state goes to the stream."""
        with self._cache.runner(given.size) as runner:
            outputs = runner.submit(self._feeds(stream, given, runner.first), stream_id=stream_id).result()
            stream.state = {each.input: outputs[each.output].copy() for each in self._memory.states}
            shown = {name: array for name, array in outputs.items() if name not in self._memory.hidden}
            return self._select(outputs_on(shown, self._device))

    def _keep_picture(self, stream: _Stream, given: ModelInput) -> None:
        """Keep the frame's input for the next one where it is needed, and give back what is not."""
        stream.forget_picture()
        if self._memory.previous is None:
            given.release()
        else:
            stream.before = given

"""What a graph is made of: the protocols of sources, stages and sinks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any, Protocol, runtime_checkable

from .packet import Frame, Key, Packet


class EndReason(Enum):
    """Why a stream ended."""

    FINISHED = "finished"  # the source has no more frames
    CANCELLED = "cancelled"  # the run was stopped; outputs are still finished
    FAILED = "failed"  # the source or a stage failed; outputs are still finished


@runtime_checkable
class Source(Protocol):
    """Where the frames of one stream come from.

    ``frames`` runs in one thread of its own, and may be left early: ``close`` is then called from
    that same thread. A problem that does not end the stream (damaged frames) is counted in
    ``problems``: cause -> frames. A source whose reads can wait for long has a method ``interrupt``, safe
    from any thread, that ends such a read; it is called when a run is stopped.
    """

    stream_id: str
    live: bool

    def open(self) -> None: ...
    def frames(self) -> Iterator[Frame]: ...
    def close(self) -> None: ...
    @property
    def problems(self) -> dict[str, int]: ...
    @property
    def expected_frames(self) -> int | None: ...


@runtime_checkable
class Stage(Protocol):
    """One step of the graph.

    Optional attributes, read with ``getattr``: ``creates``, ``reads``, ``amends`` (frozensets of
    keys, default empty), ``stateless`` (bool, default False: may run concurrently within a
    stream), ``holds`` (int, default 0: frames it may keep back per stream), ``on_dropped`` (bool,
    default False: also sees packets with a ``drop_cause``).

    ``process`` is called in order within a stream, and may be called concurrently for different
    streams. ``end_stream`` flushes, then forgets the stream.
    """

    @property
    def name(self) -> str: ...
    def open(self) -> None: ...
    def process(self, packet: Packet) -> Iterable[Packet]: ...
    def end_stream(self, stream_id: str, reason: EndReason) -> Iterable[Packet]: ...
    def close(self) -> None: ...


@runtime_checkable
class Sink(Protocol):
    """Where packets leave the graph. Runs in a thread of its own; sees every frame in order, dropped ones too.

    Optional attribute ``reads`` as for stages. ``end_stream`` and ``close`` are called on every
    path, so that what was written is always whole.
    """

    name: str

    def open(self) -> None: ...
    def write(self, packet: Packet) -> None: ...
    def end_stream(self, stream_id: str, reason: EndReason) -> None: ...
    def close(self) -> None: ...


def keys_of(part: object, attribute: str) -> frozenset[Key[Any]]:
    """The keys that a part of the graph ``creates``, ``reads`` or ``amends``; empty where it does not say."""
    keys: frozenset[Key[Any]] = getattr(part, attribute, frozenset())
    return keys

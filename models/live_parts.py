"""Parts of a hub: what each camera is to be, the loop over its results, and the sinks that are one camera's own."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..pipeline.errors import UsageError
from ..pipeline.packet import Key, Packet
from ..pipeline.stage import EndReason, Sink
from ..stages.sample import Sample
from ..stages.sinks.iterator import IteratorSink
from ..stages.sinks.registry import Outputs
from ..stages.zones import Zones

AHEAD = 4
"""Results that may wait for a loop."""


@dataclass(slots=True)
class Choices:
    """What each camera is to be, by its name; the stages of a hub look it up while they run.

    Attributes:
        samples: on which frames the model runs; taken out by the stage that it goes to.
        classes: ids of those that are kept.
        zones: polygons.
        drawn: cameras with outputs that show the annotated pictures.
    """

    samples: dict[str, Sample] = field(default_factory=dict)
    classes: dict[str, frozenset[int]] = field(default_factory=dict)
    zones: dict[str, Zones] = field(default_factory=dict)
    drawn: set[str] = field(default_factory=set)

    def choose(
        self, name: str, sample: Sample | None, classes: frozenset[int] | None, zones: Zones | None, *, drawn: bool
    ) -> None:
        """Keep what a camera of that name is to be, in place of what one before it was."""
        self.forget(name)
        self.samples[name] = sample or Sample(every=1)
        if classes is not None:
            self.classes[name] = classes
        if zones is not None:
            self.zones[name] = zones
        if drawn:
            self.drawn.add(name)

    def forget(self, name: str) -> None:
        """Nothing is chosen for that name any more."""
        kept: list[dict[str, Any]] = [self.samples, self.classes, self.zones]
        for one in kept:
            one.pop(name, None)
        self.drawn.discard(name)

    def forget_but(self, here: Collection[str]) -> None:
        """Forget what those were to be that are not ``here``; in weeks there may be many."""
        for name in {*self.samples, *self.classes, *self.zones, *self.drawn}.difference(here):
            self.forget(name)


class Loop(IteratorSink):
    """Hands packets that were not dropped to a loop where there is one, and throws them away where there is none."""

    name = "loop"

    def __init__(self) -> None:
        super().__init__(ahead=AHEAD)
        self._ended = True
        self._closed = False
        self._unbounded = 0

    def write(self, packet: Packet) -> None:
        if packet.drop_cause is None:
            super().write(packet)

    def packets(self) -> Iterator[Packet]:
        with self._changed:
            if not (self._ended or self._closed):
                raise UsageError("there is a loop over this hub already; one at a time")
            self._ended = self._closed
        return super().packets()

    @contextmanager
    def unbounded(self) -> Iterator[None]:
        """Meanwhile, any number of packets may wait for the loop."""
        with self._changed:
            self._unbounded += 1
            self.ahead = sys.maxsize
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._unbounded -= 1
                self.ahead = self.ahead if self._unbounded else AHEAD

    def close(self) -> None:
        self._closed = True
        super().close()


def owned(sinks: Sequence[Sink], outputs: Outputs) -> list[OwnSink]:
    """``sinks`` of one camera, which let go of ``outputs`` when all are closed."""
    open_ones: list[Sink] = []
    return [OwnSink(sink, outputs, open_ones) for sink in sinks]


class OwnSink(Sink):
    """One of a camera's own sinks; the last that is closed lets go of the camera's outputs."""

    def __init__(self, sink: Sink, outputs: Outputs, open_ones: list[Sink]) -> None:
        self.name: str = sink.name
        self.reads: frozenset[Key[Any]] = sink.reads
        self._sink, self._outputs, self._open_ones = sink, outputs, open_ones
        open_ones.append(self)

    @property
    def left_out(self) -> dict[str, int]:
        return self._sink.left_out

    def open(self) -> None:
        self._sink.open()

    def write(self, packet: Packet) -> None:
        self._sink.write(packet)

    def end_stream(self, stream_id: str, reason: EndReason) -> None:
        self._sink.end_stream(stream_id, reason)

    def close(self) -> None:
        try:
            self._sink.close()
        finally:
            self._open_ones.remove(self)
            if not self._open_ones:
                self._outputs.close()

"""Sources, stages and sinks of a few lines each, to put graphs together in tests."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from vidgraph.pipeline.packet import Frame, Key, Packet
from vidgraph.pipeline.stage import EndReason, Sink, Source, Stage
from vidgraph.pipeline.types.picture import Picture

PICTURE = Picture.from_rgb(np.zeros((4, 6, 3), np.uint8))
VALUE: Key[int] = Key("value", int)
OTHER: Key[int] = Key("other", int)


def frame(index: int, stream_id: str = "a", picture: Picture = PICTURE) -> Frame:
    return Frame(stream_id, index, 0, index * 40_000_000, 40_000_000, picture)


class Numbers(Source):
    """A source of ``count`` frames."""

    def __init__(
        self,
        count: int,
        stream_id: str = "a",
        *,
        delay_s: float = 0.0,
        fail_at: int | None = None,
        error: BaseException | None = None,
    ) -> None:
        self.count, self.stream_id, self.delay_s, self.fail_at = count, stream_id, delay_s, fail_at
        self.error = error or OSError("the cable is out")
        self.expected_frames: int | None = count
        self.log: list[str] = []
        self.left = False

    def open(self) -> None:
        self.log.append("open")

    def frames(self) -> Iterator[Frame]:
        self.reader = threading.current_thread()
        try:
            for index in range(self.count):
                if index == self.fail_at:
                    raise self.error
                if self.delay_s:
                    time.sleep(self.delay_s)
                yield frame(index, self.stream_id)
        finally:
            self.left = True

    def close(self) -> None:
        self.log.append("close")
        self.closed_by = threading.current_thread()


class Part(Stage):
    """A stage that gives every packet back; the base of the others. It notes what is called."""

    def __init__(self, name: str = "part", **attributes: Any) -> None:
        self.name: str = name
        self.log: list[str] = []
        for attribute, value in attributes.items():
            setattr(self, attribute, value)

    def open(self) -> None:
        self.log.append("open")

    def process(self, packet: Packet) -> Iterable[Packet]:
        yield packet

    def end_stream(self, stream_id: str, reason: EndReason) -> Iterable[Packet]:
        self.log.append(f"end {stream_id} {reason.value}")
        return ()

    def close(self) -> None:
        self.log.append("close")


class Call(Part):
    """A stage that does what a function says: ``packet -> packets``."""

    def __init__(self, function: Callable[[Packet], Any], name: str = "call", **attributes: Any) -> None:
        super().__init__(name, **attributes)
        self.function = function

    def process(self, packet: Packet) -> Any:
        return self.function(packet)


class Create(Part):
    """Creates VALUE: a number that depends on the frame."""

    creates = frozenset({VALUE})
    stateless = True

    def __init__(self, name: str = "create") -> None:
        super().__init__(name)

    def process(self, packet: Packet) -> Iterable[Packet]:
        yield packet.with_item(VALUE, packet.frame.index * 31 % 101)


class Jitter(Part):
    """Stateless: takes a random time, so that packets overtake each other; updates VALUE."""

    updates = frozenset({VALUE})
    stateless = True

    def process(self, packet: Packet) -> Iterable[Packet]:
        time.sleep(random.random() * 0.002)
        yield packet.with_item(VALUE, packet[VALUE] * 3 + 1)


class RunningSum(Part):
    """Stateful: VALUE becomes the sum of all so far, so any other order shows in the result. Notes overlaps."""

    updates = frozenset({VALUE})

    def __init__(self, name: str = "sum") -> None:
        super().__init__(name)
        self.sums: dict[str, int] = {}
        self.inside: set[str] = set()
        self.overlapped = False

    def process(self, packet: Packet) -> Iterable[Packet]:
        stream_id = packet.frame.stream_id
        self.overlapped |= stream_id in self.inside
        self.inside.add(stream_id)
        time.sleep(random.random() * 0.0005)
        self.sums[stream_id] = (self.sums.get(stream_id, 0) * 7 + packet[VALUE]) % 1_000_003
        self.inside.discard(stream_id)
        yield packet.with_item(VALUE, self.sums[stream_id])

    def end_stream(self, stream_id: str, reason: EndReason) -> Iterable[Packet]:
        self.sums.pop(stream_id, None)
        return super().end_stream(stream_id, reason)


class LookAhead(Part):
    """Keeps ``holds`` frames back, then gives the oldest, plus the newest's VALUE; with ``burst`` all, reversed."""

    updates = frozenset({VALUE})
    on_dropped = True

    def __init__(self, name: str = "look_ahead", *, holds: int = 3, burst: bool = False) -> None:
        super().__init__(name)
        self.holds: int = holds
        self.burst = burst
        self.kept: dict[str, list[Packet]] = {}

    def process(self, packet: Packet) -> Iterable[Packet]:
        kept = self.kept.setdefault(packet.frame.stream_id, [])
        kept.append(packet)
        if len(kept) > self.holds:
            out = kept[::-1] if self.burst else kept[:1]
            del kept[: len(out)]
            for old in out:
                yield self.seen(old, packet)

    def seen(self, old: Packet, newest: Packet) -> Packet:
        if old.drop_cause is not None:
            return old
        return old.with_item(VALUE, old[VALUE] + (newest.get(VALUE) or 0))

    def end_stream(self, stream_id: str, reason: EndReason) -> Iterable[Packet]:
        super().end_stream(stream_id, reason)
        return self.kept.pop(stream_id, [])


class FailOn(Part):
    """Raises on some frames."""

    def __init__(
        self, fails: Callable[[int], bool], name: str = "fail", error: BaseException | None = None, **attributes: Any
    ) -> None:
        super().__init__(name, **attributes)
        self.fails, self.error = fails, error or RuntimeError("bad luck")

    def process(self, packet: Packet) -> Iterable[Packet]:
        if self.fails(packet.frame.index):
            raise self.error
        yield packet


class Collect(Part, Sink):
    """A sink that keeps what it is given, without pixels: stream -> [(index, drop cause, VALUE)]."""

    def __init__(self, name: str = "collect", *, delay_s: float = 0.0, fail_at: int | None = None) -> None:
        super().__init__(name)
        self.delay_s, self.fail_at = delay_s, fail_at
        self.seen: dict[str, list[tuple[int, str | None, int | None]]] = {}

    def write(self, packet: Packet) -> None:
        if self.delay_s:
            time.sleep(self.delay_s)
        if packet.frame.index == self.fail_at:
            raise OSError(28, "No space left on device")
        row = packet.frame.index, packet.drop_cause, packet.get(VALUE)
        self.seen.setdefault(packet.frame.stream_id, []).append(row)

    def end_stream(self, stream_id: str, reason: EndReason) -> None:  # type: ignore[override]
        super().end_stream(stream_id, reason)

    def indices(self, stream_id: str = "a") -> list[int]:
        return [index for index, _, _ in self.seen.get(stream_id, [])]

    def causes(self, stream_id: str = "a") -> dict[int, str]:
        return {index: cause for index, cause, _ in self.seen.get(stream_id, []) if cause is not None}


def threads_of_runs() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("vidgraph")]

"""What a graph is made of: the base classes of sources, stages and sinks, and the rules they live by.

Life of a run:

1. Every source is opened, then every stage, then every sink; nothing is written where an input is wrong.
2. ``frames`` of each source is iterated. Each packet goes through ``process`` of the stages in the order of the graph
   and then to ``write`` of every sink.
3. When a stream ends, for whatever reason, ``end_stream`` of each stage flushes what it kept back; the stages after it
   still get that. Then ``end_stream`` of each sink is called.
4. What was opened is closed on every path, sinks before stages. A source is closed as soon as its stream is over. All
   may be opened again for another run of the graph.

Threads, in a run with the ``threaded`` executor (``serial`` calls everything from one thread):

- A source has a thread of its own, which calls ``open``, ``frames`` and ``close``; ``frames`` may be left early.
  Only ``interrupt`` is called from another thread, at any time.
- A stage is called by several workers: for one stream in order and one call at a time, for different streams at the
  same time. With ``stateless`` several frames of one stream are processed at the same time too.
- A sink has a thread of its own for ``write``, ``end_stream`` and ``close``. It sees every frame of every stream, in
  order within a stream, dropped ones too.

An exception in a stage drops the frame, with the cause ``failed``; in a source it ends the stream, in a sink the run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import GraphError
from .packet import Frame, Key, Packet

_WORDS = frozenset(
    (
        *("opens", "pen", "closes", "lose", "lives", "lie", "problem", "file", "flies", "picture", "frame", "fames"),
        *("interrupts", "create", "crates", "read", "reds", "rads", "update", "hold", "writes", "rite", "writ"),
        *("stats", "statu", "decode", "decoders"),
    )
)
"""All English words that would count as misspelt attributes."""


class EndReason(Enum):
    """Why a stream ended."""

    FINISHED = "finished"  # the source has no more frames
    CANCELLED = "cancelled"  # the run was stopped; outputs are still finished
    FAILED = "failed"  # the source or a stage failed; outputs are still finished


if TYPE_CHECKING:
    default = property
else:

    class default:
        """An attribute's default. A subclass has the attribute in whatever way suits it: of the class, of the
        instance, a property or a field of a dataclass, for which it counts as no default."""

        def __init__(self, function: Callable[[Any], Any]) -> None:
            self.fget, self.__doc__ = function, function.__doc__

        def __set_name__(self, owner: type, name: str) -> None:
            self._name = name

        def __get__(self, part: object, owner: type) -> Any:
            if part is None:
                raise AttributeError(f"{self._name!r} is an attribute of instances of {owner.__name__}")
            return self.fget(part)


class Part:
    """What sources, stages and sinks share. ``open`` and ``close`` do nothing by default.

    A subclass may have any attributes of its own, but none that is one of its base class with a letter dropped,
    doubled, swapped with the next or in another case, or with an s too many (``stateles``), unless that is an English
    word (``read``, ``opens``): it is refused when the class is made, and in an instance by ``Graph``.
    """

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        names = (name for base in cls.__mro__ for name in (*vars(base), *vars(base).get("__annotations__", ())))
        refuse_misspelt(cls, names)

    def open(self) -> None:
        """Get ready for a run, the first or another one."""

    def close(self) -> None:
        """Free what ``open`` took."""


def refuse_misspelt(cls: type[Part], names: Iterable[str]) -> None:
    """Refuse names of attributes that are misspelt ones of the base class, as :class:`Part` says.

    Raises:
        GraphError: with the name that was meant.
    """
    bases = [base for base in cls.__mro__ if base.__module__ == __name__]
    known = {name for base in bases for name in vars(base) if not name.startswith("_")}
    misspelt = {wrong: name for name in known for wrong in _misspellings(name) - _WORDS}
    for name in names:
        if name not in known and (meant := misspelt.get(name.lower())):
            raise GraphError(
                f"class {cls.__name__} has {name!r}, which is nearly {meant!r} of {bases[0].__name__}; "
                f"write {meant!r}, or choose a name that is less like it"
            )


@cache
def _misspellings(name: str) -> set[str]:
    halves = [(name[:cut], name[cut:]) for cut in range(len(name))]
    changed = ((head + tail[1:], head + tail[0] + tail, head + tail[1:2] + tail[0] + tail[2:]) for head, tail in halves)
    return {name, name + "s"}.union(*changed)


class Source(Part, ABC):
    """Where the frames of one stream come from. A subclass has ``stream_id`` and ``frames``.

    Attributes:
        stream_id: the stream's name, unique in a run; may be set before ``open``.
    """

    stream_id: str

    @default
    def live(self) -> bool:
        """Frames come in real time: only the newest is kept, where the graph is not done with those before it."""
        return False

    @default
    def problems(self) -> dict[str, int]:
        """Problems so far that did not end the stream, as damaged frames: cause -> frames."""
        return {}

    @default
    def status(self) -> Any:
        """Of a camera, how it is now: a ``CameraStatus``; None of other sources."""
        return None

    @default
    def expected_frames(self) -> int | None:
        """How many frames will come; None where it is not known. Once it is open, for sources that must look."""
        return None

    @default
    def address(self) -> str:
        """What it was opened from, with its secrets; empty where it has no address of its own."""
        return ""

    @default
    def has_audio(self) -> bool:
        """Whether it is a video with sound; once it is open."""
        return False

    @default
    def audio_address(self) -> str:
        """The file or web address that a video's sound can be copied from; empty where there is none."""
        return ""

    @default
    def files(self) -> list[Path]:
        """Files besides its audio_address that it reads, and that no output may write."""
        return []

    @default
    def pictures(self) -> tuple[tuple[str, Path], ...] | None:
        """Name and file of each picture, by frame number, of a stream of picture files; None of a video."""
        return None

    @default
    def decoder(self) -> str:
        """Where its video is decoded: ``cpu``, ``cuda:0``; empty where it is no video, or no frame has come yet."""
        return ""

    @abstractmethod
    def frames(self) -> Iterator[Frame]:
        """The frames, with rising indices."""

    def interrupt(self) -> None:
        """End a read that waits, because the run is stopped; safe from any thread."""


class Reader(Part):
    """What stages and sinks share."""

    if TYPE_CHECKING:

        @property
        def name(self) -> str: ...
    else:
        name: str

    @default
    def reads(self) -> frozenset[Key[Any]]:
        """Keys that packets must have here."""
        return frozenset()


class Stage(Reader, ABC):
    """One step of a graph. A subclass has ``name`` and ``process``, and says which keys it needs and gives."""

    @default
    def creates(self) -> frozenset[Key[Any]]:
        """Keys that packets have from here on."""
        return frozenset()

    @default
    def updates(self) -> frozenset[Key[Any]]:
        """Keys that packets must have here, and whose values change."""
        return frozenset()

    @default
    def stateless(self) -> bool:
        """Frames of one stream may be processed in any order, and at the same time."""
        return False

    @default
    def holds(self) -> int:
        """The most frames of a stream that it keeps back."""
        return 0

    @default
    def on_dropped(self) -> bool:
        """Whether it is given packets with a ``drop_cause`` too; else these pass it by."""
        return False

    @abstractmethod
    def process(self, packet: Packet) -> Iterable[Packet]:
        """Packets for the stages after it: every frame exactly once, sooner or later."""

    def end_stream(self, stream_id: str, reason: EndReason) -> Iterable[Packet]:
        """The packets that were kept back; the stream is forgotten."""
        return ()


class Sink(Reader, ABC):
    """Where packets leave the graph. A subclass has ``name`` and ``write``."""

    @default
    def left_out(self) -> dict[str, int]:
        """Frames that it was given and left out, as those that a slow server had no time for: cause -> frames."""
        return {}

    @abstractmethod
    def write(self, packet: Packet) -> None:
        """Take a frame, which may be a dropped one."""

    def end_stream(self, stream_id: str, reason: EndReason) -> None:
        """The stream is over: what was written of it becomes whole. Called on every path."""


def through(stages: Iterable[Stage], packet: Packet) -> list[Packet]:
    """What comes of a packet that goes through all of ``stages``."""
    packets = [packet]
    for stage in stages:
        packets = [out for one in packets for out in stage.process(one)]
    return packets


def created_by(stages: Iterable[Stage]) -> frozenset[Key[Any]]:
    """All keys that ``stages`` create."""
    return frozenset[Key[Any]]().union(*(stage.creates for stage in stages))

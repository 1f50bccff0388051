"""The base classes: defaults, and attributes with a slip of the pen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import FrozenInstanceError, dataclass
from typing import Any

import pytest
import vidgraph
from vidgraph.pipeline.errors import GraphError
from vidgraph.pipeline.graph import Graph
from vidgraph.pipeline.packet import Frame, Key, Packet
from vidgraph.pipeline.stage import Sink, Source, Stage

from .parts import VALUE, Collect, Numbers, frame


class Plain(Stage):
    name = "plain"

    def process(self, packet: Packet) -> Iterable[Packet]:
        return (packet,)


def test_what_a_part_need_not_say() -> None:
    class Two(Source):
        def __init__(self, stream_id: str) -> None:
            self.stream_id = stream_id

        def frames(self) -> Iterator[Frame]:
            yield from (frame(index, self.stream_id) for index in range(2))

    class Last(Sink):
        name = "last"
        index = -1

        def write(self, packet: Packet) -> None:
            self.index = packet.frame.index

    source, stage, sink = Two("a"), Plain(), Last()
    assert (source.live, source.problems, source.expected_frames, source.address) == (False, {}, None, "")
    assert (source.has_audio, source.audio_address, source.files, source.pictures) == (False, "", [], None)
    assert (stage.creates, stage.reads, stage.updates) == (frozenset(), frozenset(), frozenset())
    assert (stage.stateless, stage.holds, stage.on_dropped, sink.reads) == (False, 0, False, frozenset())
    for executor in ("serial", "threaded"):
        assert Graph(source, stage, sink).run(executor=executor).complete
    assert sink.index == 1


def test_an_attribute_is_of_the_class_of_the_instance_a_property_or_a_field() -> None:
    @dataclass(frozen=True)
    class Given(Stage):
        name: str
        key: Key[int]
        holds: int = 3

        stateless = True

        @property
        def creates(self) -> frozenset[Key[int]]:
            return frozenset({self.key})

        def process(self, packet: Packet) -> Iterable[Packet]:
            return (packet,)

    given = Given("given", VALUE)
    assert (given.name, given.holds, given.stateless, given.creates) == ("given", 3, True, frozenset({VALUE}))
    with pytest.raises(FrozenInstanceError):
        given.name = "other"  # type: ignore[misc]
    plain = Plain()
    plain.stateless = True  # type: ignore[misc]
    assert (plain.stateless, Plain().stateless) == (True, False)
    with pytest.raises(TypeError, match=r"missing .* 'name' and 'key'"):
        Given()  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("base", "name", "value", "meant"),
    [
        (Stage, "stateles", True, "stateless"),
        (Stage, "updtaes", frozenset({VALUE}), "updates"),
        (Stage, "creats", frozenset({VALUE}), "creates"),
        (Stage, "raeds", frozenset({VALUE}), "reads"),
        (Stage, "hollds", 2, "holds"),
        (Stage, "onDropped", True, "on_dropped"),
        (Stage, "opne", lambda self: None, "open"),
        (Stage, "proces", lambda self, packet: (packet,), "process"),
        (Sink, "end_streams", lambda self, stream_id, reason: None, "end_stream"),
        (Source, "expected_frame", 3, "expected_frames"),
        (Source, "Live", True, "live"),
        (Source, "adress", "clip.mp4", "address"),
    ],
)
def test_a_misspelt_attribute_is_refused_when_the_class_is_made(
    base: type, name: str, value: object, meant: str
) -> None:
    with pytest.raises(GraphError) as refused:
        type("Mine", (base,), {name: value})
    assert str(refused.value) == (
        f"class Mine has {name!r}, which is nearly {meant!r} of {base.__name__}; "
        f"write {meant!r}, or choose a name that is less like it"
    )


def test_annotated_ones_and_those_of_an_instance_are_refused_too() -> None:
    with pytest.raises(GraphError, match="class Mine has 'hodls', which is nearly 'holds' of Stage"):

        class Mine(Plain):
            hodls: int

    part = Plain()
    part.stateles = True  # type: ignore[attr-defined]
    with pytest.raises(GraphError, match="class Plain has 'stateles', which is nearly 'stateless' of Stage"):
        Graph(Numbers(1), part)


def test_those_of_a_mixin_are_refused_too() -> None:
    class Mixin:
        stateles = True

    for bases in ((Mixin, Stage), (Stage, Mixin), (Mixin, Plain)):
        with pytest.raises(GraphError, match="class Mine has 'stateles', which is nearly 'stateless' of Stage"):
            type("Mine", bases, {})


ORDINARY: dict[Any, str] = {
    Stage: "names named read reader hold holder held update updated updater create created creator crates opens "
    "opened pen closes closed closer close_to lose processes processed processor state stateful drop dropped reds end",
    Sink: "names writer writes written closed opens read rewrite stream streams lose lie",
    Source: "file filename flies frame framed framerate problem problematic addresses addressed picture pictured lives "
    "alive lived live_since interrupts interrupted audio stream_ids expected",
}


@pytest.mark.parametrize("base", ORDINARY)
def test_ordinary_words_are_free(base: Any) -> None:
    type("Mine", (base,), dict.fromkeys(ORDINARY[base].split()))


@pytest.mark.parametrize("base", ORDINARY)
def test_singular_and_plural_are_free(base: Any) -> None:
    names = {name for each in base.__mro__ if each.__module__ == base.__module__ for name in vars(each)}
    words = {name for name in names if "_" not in name and not name.endswith("ss")}
    free = {word.removesuffix("s") for word in words} | {word.removesuffix("s") + "s" for word in words}
    type("Mine", (base,), dict.fromkeys(free))


def test_attributes_of_ones_own_are_free() -> None:
    class Mine(Plain):
        min_side_px: float = 16.0
        closest, statistics, _hold = 1, (), 2  # private ones may have any name

        def begin_with(self, packet: Packet) -> None: ...

    assert Mine().min_side_px == 16.0


def test_what_does_not_inherit_or_has_no_name_is_refused() -> None:
    class Duck:
        name = "duck"

        def open(self) -> None: ...
        def process(self, packet: Packet) -> Iterable[Packet]:
            return (packet,)

        def end_stream(self, stream_id: str, reason: object) -> Iterable[Packet]:
            return ()

        def close(self) -> None: ...

    class Nameless(Stage):
        def process(self, packet: Packet) -> Iterable[Packet]:
            return (packet,)

    with pytest.raises(GraphError) as refused:
        Graph(Numbers(1), [Duck()])  # type: ignore[list-item]
    assert str(refused.value) == (
        "stages[0] must be a stage, got Duck, which does not inherit vidgraph.Stage. "
        "A stage does, or is a function packet -> packet."
    )
    with pytest.raises(GraphError, match=r"stages\[1\] is a Nameless and has no name. Give it one"):
        Graph(Numbers(1), [Plain(), Nameless()])
    with pytest.raises(TypeError, match=r"abstract.*process"):
        Stage()  # type: ignore[abstract]


def test_the_base_classes_have_short_homes() -> None:
    assert (vidgraph.Source, vidgraph.Stage, vidgraph.Sink) == (Source, Stage, Sink)
    assert isinstance(Collect(), vidgraph.Sink)

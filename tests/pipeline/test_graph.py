"""What a graph accepts, in which order it runs, and what it refuses with which cure."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import pytest
from vidgraph.pipeline.errors import GraphError, StageError, UsageError
from vidgraph.pipeline.graph import Graph
from vidgraph.pipeline.packet import DETECTIONS, LANDMARKS, Key, Packet
from vidgraph.pipeline.types.detections import Detections
from vidgraph.pipeline.types.landmarks import Landmarks

from .parts import OTHER, VALUE, Collect, Numbers, Part

THIRD: Key[int] = Key("third", int)


def stage(name: str, *, creates: Any = (), reads: Any = (), updates: Any = ()) -> Part:
    return Part(name, creates=frozenset(creates), reads=frozenset(reads), updates=frozenset(updates))


def order(*stages: Part) -> list[str]:
    return [s.name for s in Graph(Numbers(1), stages).stages]


def test_listed_order_where_nothing_else_says() -> None:
    assert order(stage("b"), stage("a"), stage("c")) == ["b", "a", "c"]


def test_creators_run_before_readers_however_listed() -> None:
    draw = stage("draw", reads=[VALUE, OTHER])
    second = stage("second", reads=[VALUE], creates=[OTHER])
    first = stage("first", creates=[VALUE])
    assert order(draw, second, first) == ["first", "second", "draw"]


def test_amenders_run_in_listed_order_and_readers_between_them() -> None:
    detect = stage("detect", creates=[VALUE])
    parts = [stage("filter", updates=[VALUE]), stage("peek", reads=[VALUE]), stage("track", updates=[VALUE])]
    assert order(detect, *parts) == ["detect", "filter", "peek", "track"]
    assert order(detect, *parts[::-1]) == ["detect", "track", "peek", "filter"]


def test_data_beats_listing() -> None:
    detect = stage("detect", creates=[VALUE])
    late = stage("late", updates=[VALUE], reads=[OTHER])
    early = stage("early", updates=[VALUE], creates=[OTHER])
    assert order(detect, late, early) == ["detect", "early", "late"]


def test_branches_and_two_detectors_under_two_keys() -> None:
    faces: Key[Detections] = Key("faces", Detections)
    parts = [
        stage("draw", reads=[faces, DETECTIONS]),
        stage("find_faces", creates=[faces]),
        stage("find_things", creates=[DETECTIONS]),
    ]
    assert order(*parts) == ["find_faces", "find_things", "draw"]


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (
            [stage("filter_detections", updates=[DETECTIONS])],
            r"stage 'filter_detections' updates 'detections', which no stage creates. "
            r"Add a model that detects \(retinaface, …\) to the graph; it has nothing.",
        ),
        (
            [stage("find", creates=[VALUE]), stage("show", reads=[LANDMARKS])],
            r"stage 'show' reads 'landmarks', which no stage creates. Add a model that gives landmarks .* it has value",
        ),
        ([stage("show", reads=[THIRD])], r"Add a stage that creates it to the graph"),
        (
            [stage("one", creates=[DETECTIONS]), stage("two", creates=[DETECTIONS])],
            r"stages 'one' and 'two' both create 'detections'. Give one of them a key of its own, such as "
            r"Key\('detections_2', Detections\); .*'updates'",
        ),
        (
            [stage("filter", updates=[VALUE]), stage("draw", reads=[VALUE]), stage("find", creates=[VALUE])],
            r"stages 'filter' and 'draw' both use 'value', .* which comes first is not told: list both after 'find'",
        ),
        (
            [stage("filter", updates=[VALUE]), stage("find", creates=[VALUE]), stage("track", updates=[VALUE])],
            r"stages 'filter' and 'track' both use 'value'",
        ),
        (
            [
                stage("x", creates=[VALUE], reads=[THIRD]),
                stage("y", creates=[OTHER], reads=[VALUE]),
                stage("z", creates=[THIRD], reads=[OTHER]),
            ],
            r"stages need each other in a circle: 'x' -> 'y' -> 'z' -> 'x'",
        ),
        (
            [stage("find", creates=[DETECTIONS]), stage("show", reads=[Key("detections", Landmarks)])],
            r"stage 'show' reads 'detections' as Landmarks, but it is created as Detections",
        ),
        ([stage("same"), stage("same")], r"two stages have the name 'same': give one of them another name"),
        (["retinaface"], r"stages\[0\] must be a stage, got str, which does not inherit vidgraph.Stage. A stage"),
        ([Part], r"stages\[0\] is the class Part. Make one: Part\(…\)"),
        ([Part("hold", holds=2)], r"'hold' holds frames back and does not see dropped ones.*on_dropped = True"),
        ([Part("hold", holds=2, stateless=True)], r"'hold' is stateless and holds frames back"),
        ([Part("say", holds=-1)], r"stages\[0\] \('say'\): holds must be a whole number from 0, got -1\.$"),
        ([Part("say", holds=True)], r"holds must be a whole number from 0, got True"),
        ([Part("say", stateless="no")], r"stages\[0\] \('say'\): stateless must be True or False, got 'no'\.$"),
        ([Part("say", on_dropped=None)], r"on_dropped must be True or False, got None"),
        ([stage("a"), Part(3)], r"stages\[1\] \(3\): name must be text such as 'door', got 3\.$"),  # type: ignore[arg-type]
        ([Part(["a"])], r"name must be text such as 'door', got \['a'\]"),  # type: ignore[arg-type]
    ],
)
def test_refused_with_the_cure(stages: list[Any], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        Graph(Numbers(1), stages)


@pytest.mark.parametrize("attribute", ["creates", "reads", "updates"])
@pytest.mark.parametrize("value", [VALUE, [VALUE], "value", {"value"}, {VALUE: 1}, None, 3])
def test_what_is_no_set_of_keys_is_refused(attribute: str, value: object) -> None:
    message = rf"^stages\[0\] \('say'\): {attribute} must be a set of keys such as frozenset\(\{{KEY\}}\), got \S.*\.$"
    with pytest.raises(GraphError, match=message):
        Graph(Numbers(1), Part("say", **{attribute: value}))
    say: Any = lambda packet: None  # noqa: E731
    setattr(say, attribute, value)
    with pytest.raises(GraphError, match=f"{attribute} must be a set of keys"):
        Graph(Numbers(1), say)


def test_a_set_that_may_change_is_a_set_of_keys() -> None:
    graph = Graph(Numbers(1), [Part("show", reads={VALUE}), Part("find", creates={VALUE})])
    assert [s.name for s in graph.stages] == ["find", "show"]


def test_sources_and_sinks_are_checked_too() -> None:
    with pytest.raises(GraphError, match=r"needs at least one source. Open one with open_source"):
        Graph([])
    with pytest.raises(
        GraphError, match=r"sources\[0\] must be a source, got str, .*inherit vidgraph.Source. .*open_source\(address\)"
    ):
        Graph("clip.mp4")  # type: ignore[arg-type]
    with pytest.raises(GraphError, match=r"two sources have the stream id 'a': NAME=ADDRESS names a stream"):
        Graph([Numbers(1), Numbers(2)])
    with pytest.raises(GraphError, match=r"sinks\[0\] must be a sink, got str, .*inherit vidgraph.Sink. .*open_sink"):
        Graph(Numbers(1), [], ["out.mp4"])  # type: ignore[list-item]
    with pytest.raises(GraphError, match=r"^sources\[1\] \(None\): stream_id must be text such as 'door', got None\.$"):
        Graph([Numbers(1), Numbers(1, None)])  # type: ignore[arg-type]
    source = Numbers(1)
    source.live = "no"  # type: ignore[misc, assignment]
    with pytest.raises(GraphError, match=r"^sources\[0\] \('a'\): live must be True or False, got 'no'\.$"):
        Graph(source)
    with pytest.raises(GraphError, match=r"^sinks\[0\] \(b'x'\): name must be text such as 'door', got b'x'\.$"):
        Graph(Numbers(1), [], Collect(b"x"))  # type: ignore[arg-type]
    sink = Collect("out.jsonl")
    sink.reads = [DETECTIONS]  # type: ignore[misc, assignment]
    with pytest.raises(GraphError, match=r"^sinks\[0\] \('out.jsonl'\): reads must be a set of keys"):
        Graph(Numbers(1), [], [sink])
    sink.reads = frozenset({DETECTIONS})  # type: ignore[misc]
    with pytest.raises(GraphError, match=r"output 'out.jsonl' reads 'detections', which no stage creates"):
        Graph(Numbers(1), [], [sink])


def test_run_arguments_are_checked() -> None:
    graph = Graph(Numbers(1), [Part("hold", holds=2, on_dropped=True)])
    with pytest.raises(UsageError, match=r"unknown executor 'serail'; did you mean serial\? known: threaded, serial"):
        graph.run(executor="serail")
    with pytest.raises(
        UsageError, match="max_in_flight must be more than the 2 frames that the stages hold back, got 2"
    ):
        graph.run(max_in_flight=2)
    with pytest.raises(UsageError, match="max_in_flight must be at least 1"):
        graph.run(max_in_flight=0)
    with pytest.raises(UsageError, match="threads must be at least 1"):
        graph.run(threads=0)


@pytest.mark.parametrize("executor", ["serial", "threaded"])
def test_functions_are_stages_and_sinks(executor: str) -> None:
    looked: list[int] = []
    written: list[int | None] = []

    def look(packet: Packet) -> None:
        looked.append(packet.frame.index)

    def add(packet: Packet) -> Packet:
        return packet.with_item(VALUE, packet.frame.index * 10)

    def odd_out(packet: Packet) -> list[Packet]:
        return [packet.dropped("odd") if packet.frame.index % 2 else packet]

    add.creates = frozenset({VALUE})  # type: ignore[attr-defined]
    graph = Graph(Numbers(4), [look, add, odd_out, lambda p: p, lambda p: p], lambda p: written.append(p[VALUE]))
    here = f"<lambda> (test_graph.py:{inspect.currentframe().f_lineno - 1})"  # type: ignore[union-attr]
    assert [s.name for s in graph.stages] == ["look", "add", "odd_out", here, f"{here}_2"]
    stats = graph.run(executor=executor)
    assert looked == [0, 1, 2, 3]
    assert written == [0, 20]
    assert stats.dropped == {"odd": 2}
    assert stats.complete


def test_functions_have_names_by_which_they_are_found() -> None:
    class Look:
        def __call__(self, packet: Packet) -> None: ...

    first = lambda packet: packet  # noqa: E731
    cached = functools.lru_cache(first)
    line = first.__code__.co_firstlineno
    graph = Graph(Numbers(1), [first, Look(), functools.partial(wrong), cached], [wrong, lambda packet: None])
    here = f"<lambda> (test_graph.py:{line})"
    assert [s.name for s in graph.stages] == [here, "Look", "partial", f"{here}_2"]
    assert [s.name for s in graph.sinks] == ["wrong", f"<lambda> (test_graph.py:{line + 3})"]
    with pytest.raises(StageError, match=r"stage '<lambda> \(test_graph\.py:\d+\)' failed on frame 0"):
        Graph(Numbers(1), lambda packet: 1 / 0).run(strict=True)


def test_a_function_that_returns_something_else() -> None:
    with pytest.raises(
        StageError, match=r"stage 'wrong' failed on frame 0 .*must return a packet, packets or None, got int"
    ):
        Graph(Numbers(1), [wrong]).run()


def wrong(packet: Packet) -> int:
    return packet.frame.index


@pytest.mark.parametrize("executor", ["serial", "threaded"])
def test_a_graph_runs_again_but_not_twice_at_once(executor: str) -> None:
    graph = Graph(Numbers(5, delay_s=0.02), [], collect := Collect())
    run = graph.start(executor=executor)
    with pytest.raises(UsageError, match="the graph is running"):
        graph.run()
    run.wait()
    graph.run(executor=executor)
    assert collect.indices() == [*range(5), *range(5)]

"""A graph as text and as a flow chart."""

from __future__ import annotations

import pytest
from vidgraph.pipeline.errors import UsageError
from vidgraph.pipeline.graph import Graph
from vidgraph.pipeline.packet import Key

from .parts import OTHER, VALUE, Collect, Create, Jitter, LookAhead, Numbers, Part


class Camera(Numbers):
    live = True


def graph() -> Graph:
    reader = Part('say "<b>"', reads=frozenset({VALUE}), creates=frozenset({OTHER}))
    sink = Collect("out.jsonl")
    sink.reads = frozenset({VALUE, OTHER})  # type: ignore[misc]
    parts = [reader, Jitter("jitter"), LookAhead(), Create("create"), Part("look")]
    parts = [parts[3], parts[0], *parts[1:3], parts[4]]
    return Graph([Numbers(1), Camera(1, "door")], parts, [sink, Collect("count")])


TEXT = """
sources
  a
  door, live
stages
  1. create: any frames in parallel; creates value
      frames <- a, door
  2. say "<b>": frames of a stream in order; creates other
      value <- create
  3. jitter: any frames in parallel
      value <- create (updates it)
  4. look_ahead: frames of a stream in order, keeps up to 3 frames back
      value <- jitter (updates it)
  5. look: frames of a stream in order
      frames <- a, door
sinks
  out.jsonl
      other <- say "<b>"
      value <- look_ahead
  count
      frames <- a, door
"""

MERMAID = """
flowchart LR
  source0(["a"])
  source1(["door<br>live"])
  stage0["create<br>any frames in parallel"]
  stage1["say &quot;&lt;b&gt;&quot;<br>frames of a stream in order"]
  stage2["jitter<br>any frames in parallel"]
  stage3["look_ahead<br>frames of a stream in order, keeps up to 3 frames back"]
  stage4["look<br>frames of a stream in order"]
  sink0[/"out.jsonl"/]
  sink1[/"count"/]
  source0 -- "frames" --> stage0
  source1 -- "frames" --> stage0
  stage0 -- "value" --> stage1
  stage0 -- "value, updated" --> stage2
  stage2 -- "value, updated" --> stage3
  source0 -- "frames" --> stage4
  source1 -- "frames" --> stage4
  stage1 -- "other" --> sink0
  stage3 -- "value" --> sink0
  source0 -- "frames" --> sink1
  source1 -- "frames" --> sink1
"""


def test_as_text() -> None:
    assert graph().describe() == TEXT.strip("\n")


def test_as_mermaid() -> None:
    assert graph().describe("mermaid") == MERMAID.strip("\n")


def test_names_with_characters_that_mean_something_are_escaped() -> None:
    stage = Part("`a` #35;\nstages \x1b[2J & more", creates=frozenset({Key("two\nlines", int)}))
    made = Graph(Numbers(1, "door\n1"), stage, Collect("sink"))
    assert made.describe().splitlines() == [
        *("sources", r"  door\n1", "stages"),
        r"  1. `a` #35;\nstages \x1b[2J & more: frames of a stream in order; creates two\nlines",
        *(r"      frames <- door\n1", "sinks", "  sink", r"      frames <- door\n1"),
    ]
    assert made.describe("mermaid").splitlines() == [
        *("flowchart LR", r'  source0(["door\n1"])'),
        r'  stage0["#96;a#96; #35;35;\nstages \x1b[2J &amp; more<br>frames of a stream in order"]',
        *('  sink0[/"sink"/]', '  source0 -- "frames" --> stage0', '  source0 -- "frames" --> sink0'),
    ]


def test_another_form_is_refused() -> None:
    with pytest.raises(UsageError, match="form must be one of text, mermaid, got 'dot'"):
        graph().describe("dot")

"""A graph as text and as a Mermaid diagram: who hands what to whom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .packet import Key
from .redaction import printable
from .stage import Sink, Source, Stage


@dataclass(frozen=True, slots=True)
class Arrow:
    """Something that one part of a graph has from another.

    Attributes:
        start: who gives it: all sources, for frames; else the number of a stage, in the order in which they run.
        what: name of the key, or ``frames``.
        updates: it is changed, and those that come later have it from there.
    """

    start: int | None
    what: str
    updates: bool = False


def text_of(sources: Sequence[Source], stages: Sequence[Stage], sinks: Sequence[Sink]) -> str:
    """Sources, stages in the order in which they run, and sinks, each with what it has from whom."""
    streams = ", ".join(source.stream_id for source in sources)

    def lines(arrows: Sequence[Arrow]) -> Iterator[str]:
        for arrow in arrows:
            start = streams if arrow.start is None else stages[arrow.start].name
            yield f"      {arrow.what} <- {start}{' (updates it)' if arrow.updates else ''}"

    found = ["sources", *(f"  {source.stream_id}{', live' if source.live else ''}" for source in sources), "stages"]
    for number, (stage, arrows) in enumerate(zip(stages, _into_stages(stages), strict=True), 1):
        creates = f"; creates {_names(stage.creates)}" if stage.creates else ""
        found += [f"  {number}. {stage.name}: {_manner(stage)}{creates}", *lines(arrows)]
    found.append("sinks")
    for sink in sinks:
        found += [f"  {sink.name}", *lines(_into_sink(sink, stages))]
    return "\n".join(map(printable, found))


def mermaid_of(sources: Sequence[Source], stages: Sequence[Stage], sinks: Sequence[Sink]) -> str:
    """The same as a flow chart of Mermaid, which GitHub and many editors draw."""
    found = ["flowchart LR"]
    found += [
        f'  source{n}(["{_quoted(source.stream_id)}{"<br>live" if source.live else ""}"])'
        for n, source in enumerate(sources)
    ]
    found += [f'  stage{n}["{_quoted(stage.name)}<br>{_manner(stage)}"]' for n, stage in enumerate(stages)]
    found += [f'  sink{n}[/"{_quoted(sink.name)}"/]' for n, sink in enumerate(sinks)]
    ends = [(f"stage{n}", arrows) for n, arrows in enumerate(_into_stages(stages))]
    ends += [(f"sink{n}", _into_sink(sink, stages)) for n, sink in enumerate(sinks)]
    for end, arrows in ends:
        for arrow in arrows:
            label = _quoted(f"{arrow.what}, updated" if arrow.updates else arrow.what)
            starts = [f"source{n}" for n in range(len(sources))] if arrow.start is None else [f"stage{arrow.start}"]
            found += [f'  {start} -- "{label}" --> {end}' for start in starts]
    return "\n".join(map(printable, found))


def _into_stages(stages: Sequence[Stage]) -> list[list[Arrow]]:
    """For each stage what it has from others; what it needs nothing for has frames from the sources."""
    has: dict[Key[Any], int] = {}  # who created or last updated a key
    found = []
    for number, stage in enumerate(stages):
        needs = sorted(stage.reads | stage.updates, key=str)
        found.append([Arrow(has[key], key.name, key in stage.updates) for key in needs] or [Arrow(None, "frames")])
        has.update(dict.fromkeys(stage.creates | stage.updates, number))
    return found


def _into_sink(sink: Sink, stages: Sequence[Stage]) -> list[Arrow]:
    has = {key: number for number, stage in enumerate(stages) for key in stage.creates | stage.updates}
    return [Arrow(has[key], key.name) for key in sorted(sink.reads, key=str)] or [Arrow(None, "frames")]


def _manner(stage: Stage) -> str:
    holds = f", keeps up to {stage.holds} frames back" if stage.holds else ""
    return ("any frames in parallel" if stage.stateless else "frames of a stream in order") + holds


def _names(keys: frozenset[Key[Any]]) -> str:
    return ", ".join(sorted(key.name for key in keys))


# The last two are Mermaid's own.
_ENTITIES = str.maketrans({"&": "&amp;", '"': "&quot;", "<": "&lt;", ">": "&gt;", "#": "#35;", "`": "#96;"})


def _quoted(text: str) -> str:
    return text.translate(_ENTITIES)

"""The order in which stages run, from what they create, read and update."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import GraphError
from ..packet import HELD_FROM, SKIPPED, Key
from ..results.result_types import RESULT_TYPES
from ..stage import Sink, Stage

CREATORS = {SKIPPED: "a stage that samples frames", HELD_FROM: "a stage that holds results"}
"""What gives well-known keys but those of results, for the cure in a message."""

Edges = list[set[int]]


def ordered(stages: Sequence[Stage], sinks: Sequence[Sink]) -> tuple[Stage, ...]:
    """``stages`` in the order in which they run.

    The creator of a key runs before all that read or update it. Of these, where at least one updates it, those
    listed first run first, unless what else they need says otherwise. Ties are broken by the listed order.

    Raises:
        GraphError: a key has no creator or two; stages need each other in a circle; or what one stage updates
            and another reads or updates, and the listing does not say which of them comes first.
    """
    creators = _creators(stages)
    for stage in stages:
        _check_created(f"stage {stage.name!r} reads", stage.reads, creators)
        _check_created(f"stage {stage.name!r} updates", stage.updates, creators)
    for sink in sinks:
        _check_created(f"output {sink.name!r} reads", sink.reads, creators)
    before: Edges = [set() for _ in stages]
    for position, stage in enumerate(stages):
        needs = stage.reads | stage.updates
        before[position] = {creators[key] for key in needs} - {position}
    by_data = [_ancestors(position, before) for position in range(len(stages))]
    for key, creator in creators.items():
        _order_touchers(key, creator, stages, before, by_data)
    return tuple(stages[position] for position in _sorted(stages, before))


def _creators(stages: Sequence[Stage]) -> dict[Key[Any], int]:
    creators: dict[Key[Any], int] = {}
    for position, stage in enumerate(stages):
        for key in sorted(stage.creates, key=str):
            if key in creators:
                other = stages[creators[key]].name
                raise GraphError(
                    f"stages {other!r} and {stage.name!r} both create {key.name!r}. Give one of them a key of its "
                    f"own, such as Key({key.name + '_2'!r}, {key.type.__name__}); a stage that changes what is there "
                    f"says 'updates'."
                )
            creators[key] = position
    return creators


def _check_created(who: str, keys: Iterable[Key[Any]], creators: dict[Key[Any], int]) -> None:
    for key in sorted(keys, key=str):
        if key not in creators:
            have = ", ".join(sorted(known.name for known in creators)) or "nothing"
            row = RESULT_TYPES.get(key)
            cure = CREATORS.get(key, "a stage that creates it") if row is None else row.creator
            raise GraphError(f"{who} {key.name!r}, which no stage creates. Add {cure} to the graph; it has {have}.")
        created = next(known for known in creators if known == key)
        if created.type is not key.type:
            raise GraphError(
                f"{who} {key.name!r} as {key.type.__name__}, but it is created as {created.type.__name__}. "
                f"Use one Key object for both."
            )


def _order_touchers(key: Key[Any], creator: int, stages: Sequence[Stage], before: Edges, by_data: Edges) -> None:
    """Put an edge between any two stages of which one updates ``key`` and the other updates or reads it."""
    update = [key in stage.updates for stage in stages]
    touch = [p for p, stage in enumerate(stages) if p != creator and (update[p] or key in stage.reads)]
    for index, first in enumerate(touch):
        for second in touch[index + 1 :]:
            if not (update[first] or update[second]):
                continue
            if first in by_data[second] or second in by_data[first]:
                continue
            if first < creator:
                raise GraphError(
                    f"stages {stages[first].name!r} and {stages[second].name!r} both use {key.name!r}, at least one "
                    f"updates it, and which comes first is not told: list both after {stages[creator].name!r}, which "
                    f"creates it, in the order in which they are to run."
                )
            before[second].add(first)


def _ancestors(position: int, before: Edges) -> set[int]:
    """All that must run before ``position``."""
    found: set[int] = set()
    todo = list(before[position])
    while todo:
        if (ancestor := todo.pop()) not in found:
            found.add(ancestor)
            todo += before[ancestor]
    return found


def _sorted(stages: Sequence[Stage], before: Edges) -> list[int]:
    """Positions in topological order, the earliest listed first."""
    left = [len(needed) for needed in before]
    ready = [position for position, count in enumerate(left) if count == 0]
    order: list[int] = []
    while ready:
        position = heapq.heappop(ready)
        order.append(position)
        for other, needed in enumerate(before):
            if position in needed:
                left[other] -= 1
                if left[other] == 0:
                    heapq.heappush(ready, other)
    if len(order) < len(stages):
        circle = _circle(before, set(range(len(stages))) - set(order))
        names = " -> ".join(repr(stages[position].name) for position in circle)
        cure = "Let one of them create its result under a new key"
        raise GraphError(f"stages need each other in a circle: {names}. {cure}.")
    return order


def _circle(before: Edges, rest: set[int]) -> list[int]:
    """Positions of a circle, in the order in which they would have to run, the first again at the end."""
    path = [min(rest)]
    while (needed := min(before[path[-1]] & rest)) not in path:
        path.append(needed)
    circle = path[path.index(needed) :][::-1]
    first = circle.index(min(circle))
    return [*circle[first:], *circle[: first + 1]]

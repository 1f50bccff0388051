"""What runs a model's graphs for one input size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ..engines import Engine, EngineQueue
from .temporal_engines import TemporalEngines

OpenEngine = Callable[[int, str], Engine]
"""Opens an engine of a batch size and a graph's name."""


@dataclass(frozen=True, slots=True)
class QueueRunner:
    """A queue over the engines of an image network's one graph, by batch size."""

    engines: Mapping[int, Engine]
    queue: EngineQueue

    @classmethod
    def open(cls, open_engine: OpenEngine, graph: str, *, batch: int, requests: int) -> QueueRunner:
        """Open the engines for single pictures and for ``batch`` of them."""
        engines = {size: open_engine(size, graph) for size in sorted({1, batch})}
        return cls(engines, EngineQueue(engines, workers=requests))

    @property
    def first(self) -> Engine:
        """The engine for one picture."""
        return self.engines[1]

    def submit(self, feeds: Mapping[str, NDArray[Any]], *, stream_id: str = "") -> Future[dict[str, NDArray[Any]]]:
        """As ``EngineQueue.submit``."""
        return self.queue.submit(feeds, stream_id=stream_id)

    def close(self) -> None:
        """Close the queue and its engines."""
        self.queue.close()


def open_temporal(open_engine: OpenEngine, graphs: Sequence[str], *, batch: int) -> TemporalEngines:
    """Open a video network's engines: key frames one at a time, the others one at a time and ``batch`` at once.

    Args:
        graphs: names of the key graph and of the other one.
    """
    key = open_engine(1, graphs[0])
    return TemporalEngines(key, {size: open_engine(size, graphs[1]) for size in sorted({1, batch})})

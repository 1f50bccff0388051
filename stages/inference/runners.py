"""What runs a model's graphs for one input size."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ...engines import Engine, EngineQueue
from ...kernels.device import Tensor, concatenate
from ...pipeline.types.picture import Size
from .engine_cache import EngineCache
from .infer import copy_outputs

Arrays = Mapping[str, Any]

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

    def submit(self, feeds: Mapping[str, Tensor], *, stream_id: str = "") -> Future[Arrays]:
        """As ``EngineQueue.submit``."""
        return self.queue.submit(feeds, stream_id=stream_id)

    def close(self) -> None:
        """Close the queue and its engines."""
        self.queue.close()


@dataclass(frozen=True, slots=True)
class GraphRunners:
    """The graphs of an image network for one input size, each with a queue of its own.

    Attributes:
        queues: by the graph's name, in their order.
    """

    queues: Mapping[str, QueueRunner]

    @classmethod
    def open(cls, open_engine: OpenEngine, graphs: Sequence[str], *, batch: int, requests: int) -> GraphRunners:
        """Open the engines of every graph for single inputs and for ``batch`` of them."""
        return cls({graph: QueueRunner.open(open_engine, graph, batch=batch, requests=requests) for graph in graphs})

    @property
    def first(self) -> Engine:
        """The first graph's engine for one picture."""
        return next(iter(self.queues.values())).first

    def submit(self, feeds: Mapping[str, Tensor], *, stream_id: str = "") -> Future[Arrays]:
        """Run the graphs one after the other; each takes what it names of the picture and of outputs before it.

        Returns:
            the outputs of all graphs, which are there when this returns.
        """
        outputs: dict[str, Tensor] = {}
        for queue in self.queues.values():
            known = {**feeds, **outputs}
            wanted = {spec.name: known[spec.name] for spec in queue.first.inputs}
            outputs |= queue.submit(wanted, stream_id=stream_id).result()
        done: Future[Arrays] = Future()
        done.set_result(outputs)
        return done

    def close(self) -> None:
        """Close all queues and their engines."""
        for queue in self.queues.values():
            queue.close()


@dataclass(frozen=True, slots=True)
class OneGraph:
    """The runners of one graph, for a stage that runs this one alone.

    Attributes:
        engines: gives :class:`GraphRunners`.
        graph: its name.
    """

    engines: EngineCache[GraphRunners]
    graph: str

    @contextmanager
    def runner(self, size: Size) -> Iterator[QueueRunner]:
        """The graph's queue, in the engines of an input of ``size``."""
        with self.engines.runner(size) as runners:
            yield runners.queues[self.graph]


def open_temporal(
    open_engine: OpenEngine, graphs: Sequence[str], *, together: int, batch: int = 1, requests: int = 1
) -> TemporalEngines | BatchedTemporal:
    """Open a video network's engines: key frames one at a time, the others one at a time and ``together`` at once.

    Args:
        graphs: names of the key graph and of the other one.
        together: frames between two key frames of one stream.
        batch: frames of any streams in one run of either graph; more than 1: these are the only batches.
        requests: such runs of each graph at one time.
    """
    if batch > 1:
        return BatchedTemporal(
            *(QueueRunner.open(open_engine, graph, batch=batch, requests=requests) for graph in graphs)
        )
    key = open_engine(1, graphs[0])
    return TemporalEngines(key, {size: open_engine(size, graphs[1]) for size in sorted({1, together})})


class TemporalEngines:
    """Key and non-key graphs that share weights; a ``TemporalRunner``. Safe from several threads.

    Args:
        key: from the picture to outputs and state.
        non_key: from pictures and state to outputs, by batch size; 1 is one of them.

    Attributes:
        first: the engine of key frames.
    """

    def __init__(self, key: Engine, non_key: Mapping[int, Engine]) -> None:
        self.first, self._non_key = key, dict(non_key)
        (self._input,) = (spec.name for spec in key.inputs)
        self._state = [spec.name for spec in non_key[1].inputs if spec.name != self._input]

    def key(self, image: Tensor) -> tuple[Arrays, Arrays]:
        """Outputs and state of a key frame, leases of the calling thread; image float32 [1, 3, h, w]."""
        outputs = self.first.run({self._input: image})
        state = {name: outputs[name] for name in self._state}
        return {name: array for name, array in outputs.items() if name not in state}, state

    def non_key(self, images: Tensor, state: Arrays) -> Arrays:
        """Outputs of frames [B, 3, h, w] that share ``state``; one run where there is a graph for B, else B runs."""
        count = len(images)
        if count in self._non_key:
            return self._run(count, images, state)
        single = [copy_outputs(self._run(1, images[row : row + 1], state)) for row in range(count)]
        return {name: concatenate([one[name] for one in single]) for name in single[0]}

    def close(self) -> None:
        """Close the engines."""
        for engine in (self.first, *self._non_key.values()):
            engine.close()

    def _run(self, count: int, images: Tensor, state: Arrays) -> Arrays:
        shared = state if count == 1 else {name: concatenate([array] * count) for name, array in state.items()}
        return self._non_key[count].run({self._input: images, **shared})


class BatchedTemporal:
    """Key and non-key graphs that run frames of several streams at once, each with its own state; a ``TemporalRunner``.

    Safe from several threads, of which as many have to be waiting as a batch is to have frames.

    Args:
        key: from the picture to outputs and state.
        non_key: from picture and state to outputs.

    Attributes:
        first: the engine of one key frame.
    """

    def __init__(self, key: QueueRunner, non_key: QueueRunner) -> None:
        self._key, self._non_key, self.first = key, non_key, key.first
        (self._input,) = (spec.name for spec in key.first.inputs)
        self._state = [spec.name for spec in non_key.first.inputs if spec.name != self._input]

    def key(self, image: Tensor) -> tuple[Arrays, Arrays]:
        """Outputs and state of a key frame; image float32 [1, 3, h, w]."""
        outputs = _submit(self._key, {self._input: image}).result()
        state = {name: outputs[name] for name in self._state}
        return {name: array for name, array in outputs.items() if name not in state}, state

    def non_key(self, images: Tensor, state: Arrays) -> Arrays:
        """Outputs of frames [B, 3, h, w] that share ``state``."""
        rows = (images[row : row + 1] for row in range(len(images)))
        parts = [future.result() for future in [_submit(self._non_key, {self._input: row, **state}) for row in rows]]
        return parts[0] if len(parts) == 1 else {name: concatenate([one[name] for one in parts]) for name in parts[0]}

    def close(self) -> None:
        """Close both queues and their engines."""
        self._key.close()
        self._non_key.close()


def _submit(queue: QueueRunner, feeds: Mapping[str, Tensor]) -> Future[Arrays]:
    """Ask for a run whose answer waits for no other thread's."""
    return queue.submit(feeds, stream_id=str(threading.get_ident()))

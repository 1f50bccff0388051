"""Single requests from many stages and streams, grouped into the batch sizes a network was exported for."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from ..kernels.device import Tensor, concatenate
from ..pipeline.errors import EngineError
from .spec import Engine, check_feeds

Outputs = Mapping[str, Any]

_ran: defaultdict[str, Counter[int]] = defaultdict(Counter)
_counting = threading.Lock()


def batches_run() -> dict[str, dict[int, int]]:
    """Networks that were run in batches by this process: name -> size of a batch -> how often."""
    with _counting:
        return {name: dict(sizes) for name, sizes in _ran.items()}


@dataclass(slots=True, eq=False)
class _Request:
    feeds: Mapping[str, Tensor]
    stream_id: str
    due: float  # time.monotonic() at which it stops waiting for others
    future: Future[Outputs] = field(default_factory=Future)
    outcome: Outputs | Exception | None = None


class EngineQueue:
    """Groups requests for one network that may come from any thread and any stream.

    Where the network was exported for batch 1 only, ``submit`` runs it at once in the calling thread, and
    the result is that thread's lease (:class:`vidgraph.engines.Engine`). Otherwise worker threads
    wait until the largest batch is full, or the oldest request has waited ``deadline_ms``, and run
    the largest batch that the waiting requests fill; each result is a view, owned by whoever asked,
    of that batch's outputs. Futures of one stream are answered in the order of its requests.

    Args:
        engines: batch size -> the network exported for that size; 1 must be among them. The queue
            owns them: its ``close`` closes them.
        deadline_ms: how long a request may wait for others.
        workers: batches that may run at the same time.

    Attributes:
        batches: batch size -> how often it ran.

    Raises:
        ValueError: batch 1 is missing, or an engine's shapes are not its batch size times those of batch 1.
    """

    def __init__(self, engines: Mapping[int, Engine], *, deadline_ms: float = 5.0, workers: int = 1) -> None:
        _check_sizes(engines)
        self._engines = dict(sorted(engines.items()))
        self._largest = max(engines)
        self._deadline_s = deadline_ms / 1e3
        self._pending: deque[_Request] = deque()
        self._streams: dict[str, deque[_Request]] = {}
        self._changed = threading.Condition()
        self._delivery = threading.RLock()  # not _changed: a callback may submit, or wait
        self._closed = False
        self.batches: Counter[int] = Counter()
        inline = self._largest == 1
        self._workers = [
            threading.Thread(target=self._work, name=f"engine-queue-{number}", daemon=True)
            for number in range(0 if inline else workers)
        ]
        for worker in self._workers:
            worker.start()

    def submit(self, feeds: Mapping[str, Tensor], *, stream_id: str = "") -> Future[Outputs]:
        """Ask for one run; the arrays must stay as they are until the future is done.

        Errors, wrong feeds among them, are the future's.

        Raises:
            EngineError: the queue is closed, or was made before this process was forked.
        """
        request = _Request(feeds, stream_id, time.monotonic() + self._deadline_s)
        if not self._workers:
            self._run_inline(request)
            return request.future
        single = self._engines[1]
        with self._changed:
            self._refuse_if_closed()
            self._streams.setdefault(stream_id, deque()).append(request)
            try:
                check_feeds(single.name, single.inputs, feeds, device=None)
            except EngineError as error:
                request.outcome = error
            else:
                self._pending.append(request)
                self._changed.notify()
        if request.outcome is not None:
            self._deliver([request])
        return request.future

    def close(self) -> None:
        """Refuse further requests, answer those waiting (without further delay), close the engines; twice is once."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for worker in self._workers:
            if worker is not threading.current_thread():
                worker.join()
        for engine in self._engines.values():
            engine.close()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise EngineError(f"{self._engines[1].name}: submit() after close()")
        if self._workers and not self._workers[0].is_alive():  # they live until it is closed
            raise EngineError(f"{self._engines[1].name}: was opened before this process was forked; open it again here")

    def _run_inline(self, request: _Request) -> None:
        with self._changed:
            self._refuse_if_closed()
            self.batches[1] += 1
        try:
            request.future.set_result(self._engines[1].run(request.feeds))
        except Exception as error:  # whoever waits for the future gets it
            request.future.set_exception(error)

    def _work(self) -> None:
        while batch := self._next_batch():
            try:
                outcomes: Sequence[Outputs | Exception] = self._run(batch)
            except Exception as error:  # whoever waits for the futures gets it
                outcomes = [error] * len(batch)
            with self._changed:
                for request, outcome in zip(batch, outcomes, strict=True):
                    request.outcome = outcome
            self._deliver(batch)

    def _next_batch(self) -> list[_Request]:
        """Wait for the next batch; empty once the queue is closed and nothing waits."""
        with self._changed:
            while True:
                if self._pending and (len(self._pending) >= self._largest or self._closed):
                    break
                if not self._pending and self._closed:
                    return []
                left = self._pending[0].due - time.monotonic() if self._pending else None
                if left is not None and left <= 0:
                    break
                self._changed.wait(left)
            size = max(size for size in self._engines if size <= len(self._pending))
            self.batches[size] += 1
            with _counting:
                _ran[self._engines[1].name][size] += 1
            batch = [self._pending.popleft() for _ in range(size)]
            if self._pending:
                self._changed.notify()  # another worker may sleep without a time limit
            return batch

    def _run(self, batch: list[_Request]) -> list[Outputs]:
        engine = self._engines[len(batch)]
        if len(batch) == 1:
            feeds = batch[0].feeds
        else:
            feeds = {spec.name: concatenate([request.feeds[spec.name] for request in batch]) for spec in engine.inputs}
        owned = {name: array.copy() for name, array in engine.run(feeds).items()}
        return [_part(owned, row, len(batch)) for row in range(len(batch))]

    def _deliver(self, batch: list[_Request]) -> None:
        """Answer, per stream, every request that no unanswered one of its stream precedes."""
        with self._delivery:
            for stream_id in {request.stream_id for request in batch}:
                while request := self._next_answered(stream_id):
                    if request.future.set_running_or_notify_cancel():
                        if isinstance(request.outcome, Exception):
                            request.future.set_exception(request.outcome)
                        elif request.outcome is not None:
                            request.future.set_result(request.outcome)

    def _next_answered(self, stream_id: str) -> _Request | None:
        with self._changed:
            waiting = self._streams.get(stream_id)
            if not waiting or waiting[0].outcome is None:
                return None
            request = waiting.popleft()
            if not waiting:
                del self._streams[stream_id]
            return request


def _part(outputs: Outputs, row: int, size: int) -> Outputs:
    """Views of the rows of one request; an output may have several rows per request."""
    parts: dict[str, Any] = {}
    for name, array in outputs.items():
        rows = len(array) // size
        parts[name] = array[row * rows : (row + 1) * rows]
    return parts


def _check_sizes(engines: Mapping[int, Engine]) -> None:
    single = engines.get(1)
    if single is None:
        raise ValueError(f"an engine queue needs the network exported for batch 1, got {sorted(engines)}")
    for size, engine in engines.items():
        for ours, theirs in ((single.inputs, engine.inputs), (single.outputs, engine.outputs)):
            expected = {spec.name: (spec.dtype, (spec.shape[0] * size, *spec.shape[1:])) for spec in ours if spec.shape}
            if expected != {spec.name: (spec.dtype, spec.shape) for spec in theirs if spec.shape}:
                raise ValueError(f"{engine.name} is not {single.name} for batch {size}: shapes or names differ")

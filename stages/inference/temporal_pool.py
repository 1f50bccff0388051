"""What a video network computes at one time: key frames, and frames that wait for the state of theirs."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from ...kernels.device import HOST, Device, Tensor, concatenate
from ...pipeline.errors import EngineError
from ...pipeline.packet import Packet
from ...pipeline.types.picture import Size
from .infer import Arrays, copy_outputs, outputs_on
from .preprocess import ModelInput


class TemporalRunner(Protocol):
    """A network's two graphs for one input size. Safe from several threads; outputs are leases of the calling one."""

    def key(self, image: Tensor) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Outputs and state of a key frame; image float32 [1, 3, h, w]."""

    def non_key(self, images: Tensor, state: Mapping[str, Any]) -> Mapping[str, Any]:
        """Outputs of frames [B, 3, h, w] that share one key frame's ``state``; ``evidence`` float32 [B] among them."""


class TemporalCache(Protocol):
    """Gives the runner of an input size; an ``EngineCache``."""

    def runner(self, size: Size) -> AbstractContextManager[TemporalRunner]: ...


class KeyFrameGroup:
    """A key frame and the frames that are computed from it. ``lock`` of the pool guards it."""

    def __init__(self, index: int, size: Size, batch: int) -> None:
        self.index, self.size, self.batch = index, size, batch
        self.state: Arrays | None = None
        self.failed = self.complete = False
        self.waiting: list[FrameJob] = []


@dataclass(slots=True, eq=False)
class FrameJob:
    """One frame in the stage. Those without a ``group`` only wait for their turn to go on."""

    packet: Packet
    place: int
    group: KeyFrameGroup | None = None
    given: ModelInput | None = None
    is_key: bool = False
    done: threading.Event = field(default_factory=threading.Event)
    arrays: Arrays = field(default_factory=dict)
    evidence: float = 0.0
    wants_evidence: bool = False
    error: BaseException | None = None

    def result(self) -> tuple[ModelInput, Arrays]:
        """Wait for the outputs.

        Raises:
            BaseException: what the network raised.
        """
        self.done.wait()
        if self.error is not None:
            raise self.error
        assert self.given is not None
        return self.given, self.arrays


class JobPool:
    """Threads that run jobs, the oldest runnable first; a frame between key frames can run once its state is there."""

    def __init__(
        self, cache: TemporalCache, select: Callable[[Mapping[str, Any]], Arrays], workers: int, device: Device
    ) -> None:
        self._cache, self._select, self._workers, self._device = cache, select, workers, device
        self._ready: list[tuple[int, list[FrameJob]]] = []
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._closed = False

    def open(self) -> None:
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"temporal {number}", daemon=True)
            for number in range(self._workers)
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._ready.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._threads = []

    def submit(self, job: FrameJob) -> None:
        """Run ``job`` as soon as it can; a frame between key frames with others of its group, in batches."""
        assert job.group is not None
        with self._changed:
            if job.is_key:
                self._push([job])
            else:
                job.group.waiting.append(job)
                self._release(job.group)
        self._run_here()

    def flush(self, group: KeyFrameGroup) -> None:
        """No more frames of ``group`` are waited for: those that do not fill a batch run alone."""
        with self._changed:
            group.complete = True
            self._release(group)
        self._run_here()

    def _release(self, group: KeyFrameGroup) -> None:
        """Make the group's frames runnable, if its key frame is done; call with the lock held."""
        if group.state is None and not group.failed:
            return
        while len(group.waiting) >= group.batch or (group.complete and group.waiting):
            count = group.batch if len(group.waiting) >= group.batch else 1
            jobs, group.waiting = group.waiting[:count], group.waiting[count:]
            self._push(jobs)

    def _push(self, jobs: list[FrameJob]) -> None:
        heapq.heappush(self._ready, (jobs[0].place, jobs))
        self._changed.notify()

    def _run_here(self) -> None:
        """Without threads: run what can run on the calling one."""
        while not self._workers:
            with self._changed:
                if not self._ready:
                    return
                _, jobs = heapq.heappop(self._ready)
            self.run(jobs)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._ready and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                _, jobs = heapq.heappop(self._ready)
            self.run(jobs)

    def run(self, jobs: list[FrameJob]) -> None:
        """Compute ``jobs`` on the calling thread: one key frame, or frames of one group whose key frame is done."""
        group = jobs[0].group
        assert group is not None
        try:
            with self._cache.runner(group.size) as runner:
                if jobs[0].is_key:
                    self._key(runner, group, jobs[0])
                else:
                    self._non_key(runner, group, jobs)
        except BaseException as error:
            for job in jobs:
                job.error = error
            group.failed = group.failed or jobs[0].is_key
        for job in jobs:
            if job.given is not None:
                job.given.release()
            job.done.set()
        if jobs[0].is_key:
            with self._changed:
                self._release(group)

    def _key(self, runner: TemporalRunner, group: KeyFrameGroup, job: FrameJob) -> None:
        assert job.given is not None
        outputs, state = runner.key(job.given.tensor)
        job.arrays = self._select(outputs_on(outputs, self._device))
        group.state = copy_outputs(state)

    def _non_key(self, runner: TemporalRunner, group: KeyFrameGroup, jobs: list[FrameJob]) -> None:
        if group.state is None:
            raise EngineError(f"key frame {group.index} failed, and this frame is computed from it")
        tensors = [job.given.tensor for job in jobs if job.given is not None]
        outputs = runner.non_key(tensors[0] if len(tensors) == 1 else concatenate(tensors), group.state)
        # From a card, the evidence is a transfer of its own, with a wait: for a policy that asks for it, and no other.
        wanted = "evidence" in outputs and any(job.wants_evidence for job in jobs)
        evidence = outputs_on({"evidence": outputs["evidence"]}, HOST)["evidence"] if wanted else None
        outputs = outputs_on(outputs, self._device)
        for row, job in enumerate(jobs):
            job.arrays = self._select({name: array[row : row + 1] for name, array in outputs.items()})
            job.evidence = 0.0 if evidence is None else float(evidence[row])

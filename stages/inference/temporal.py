"""Run a video network: key frames whole, the frames between from what the key frame left behind."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from ...kernels.device import HOST, Device, Tensor, concatenate
from ...pipeline.errors import EngineError
from ...pipeline.packet import KEY_FRAME, SKIPPED, Frame, Key, Packet
from ...pipeline.stage import EndReason, Stage
from ...pipeline.types.picture import Size
from .infer import Arrays, RawOutputs, copy_outputs, outputs_on
from .key_frames import KeyPolicy, PolicyOf
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


class _Group:
    """A key frame and the frames that are computed from it. ``lock`` of the pool guards it."""

    def __init__(self, index: int, size: Size, batch: int) -> None:
        self.index, self.size, self.batch = index, size, batch
        self.state: Arrays | None = None
        self.failed = self.complete = False
        self.waiting: list[_Job] = []


@dataclass(slots=True, eq=False)
class _Job:
    """One frame in the stage. Those without a ``group`` only wait for their turn to go on."""

    packet: Packet
    place: int
    group: _Group | None = None
    given: ModelInput | None = None
    is_key: bool = False
    done: threading.Event = field(default_factory=threading.Event)
    arrays: Arrays = field(default_factory=dict)
    evidence: float = 0.0
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


@dataclass(slots=True)
class _Stream:
    """What the stage knows of one stream."""

    policy: KeyPolicy
    jobs: deque[_Job] = field(default_factory=deque)
    group: _Group | None = None
    epoch: int = 0
    last: _Job | None = None


class TemporalInfer(Stage):
    """Consumes ``input_key``; creates ``key`` and ``key_frame``. Frames come out in order, each exactly once.

    A frame is a key frame if the stream has none yet, after a new epoch or another input size, after a
    key frame that failed, and where the stream's policy says so. A dropped frame drops no state. The
    others use the state of the last key frame before them, however late it is computed: up to ``ahead``
    frames of a stream are in the network at one time, so key frames to come fill what waiting for a
    key frame's state would leave idle.

    State is kept per stream, for the frames in flight and the last key frame; ``end_stream`` frees it.

    Args:
        cache: gives a ``TemporalRunner`` for an input size.
        input_key, key: what is consumed and created.
        policy: makes the key-frame policy of a stream.
        select_outputs: what to keep of a frame's outputs (batch of one), as arrays of their own.
        workers: frames in the network at one time, of all streams; each runs on a thread of this stage.
        ahead: frames of a stream that may be held back; 0 (live): each runs at once, on the calling thread.
        batch: frames between two key frames that run as one, where so many are there (1: each alone).
        key_frame: where the index of a frame's key frame goes.
        device: where ``select_outputs`` and the stages behind this one work; the state stays where the network gives
            it.
    """

    on_dropped = True

    def __init__(
        self,
        cache: TemporalCache,
        input_key: Key[ModelInput],
        key: Key[RawOutputs],
        *,
        policy: PolicyOf,
        select_outputs: Callable[[Mapping[str, Any]], Arrays] = copy_outputs,
        workers: int = 1,
        ahead: int = 0,
        batch: int = 1,
        name: str = "infer",
        key_frame: Key[int] = KEY_FRAME,
        device: Device = HOST,
    ) -> None:
        self.name: str = name
        self.holds: int = ahead
        self.reads: frozenset[Key[Any]] = frozenset({input_key})
        self.creates: frozenset[Key[Any]] = frozenset({key, key_frame})
        self._input_key, self._key, self._key_frame, self._policy = input_key, key, key_frame, policy
        self._ahead, self._batch = ahead, batch
        self._pool = _Pool(cache, select_outputs, workers if ahead else 0, device)
        self._places = itertools.count()
        self._streams: dict[str, _Stream] = {}
        self._lock = threading.Lock()

    def begin_with(self, packet: Packet) -> Iterable[Packet]:
        """Take in a frame of an earlier run that goes on, before ``open``; gives it with its outputs.

        The first such frame of a stream is its key frame; those behind it are computed from that one, whatever the
        policy says, which is only shown them.

        Raises:
            BaseException: what the network raised.
        """
        stream = self._stream(packet.frame)
        job = _Job(packet, next(self._places), given=packet[self._input_key])
        assert job.given is not None
        if stream.group is None:
            self._begin_group(stream, job)
        else:
            stream.policy.is_key(packet.frame, job.given.tensor, stream.group.index)
        job.group, stream.last = stream.group, job
        self._pool.run([job])
        return (self._finished(job),)

    def open(self) -> None:
        """Start the threads."""
        self._pool.open()

    def process(self, packet: Packet) -> Iterator[Packet]:
        """Take a frame in; give those whose turn it is and that are done, waiting where too many are held."""
        stream = self._stream(packet.frame)
        job = _Job(packet, next(self._places))
        if packet.drop_cause is not None or packet.get(SKIPPED):
            job.done.set()
        else:
            self._submit(stream, job)
        stream.jobs.append(job)
        while stream.jobs and (len(stream.jobs) > self._ahead or stream.jobs[0].done.is_set()):
            yield self._finished(stream.jobs.popleft())

    def end_stream(self, stream_id: str, reason: EndReason) -> Iterable[Packet]:
        """Give what is held back, then forget the stream."""
        with self._lock:
            stream = self._streams.pop(stream_id, None)
        if stream is None:
            return
        if stream.group is not None:
            self._pool.flush(stream.group)
        while stream.jobs:
            job = stream.jobs.popleft()
            job.done.wait()
            yield job.packet.dropped("failed") if job.error is not None else self._finished(job)

    def close(self) -> None:
        """End the threads; frames that nobody waits for any more are not computed."""
        self._pool.close()
        self._streams.clear()

    def state_bytes(self, stream_id: str) -> int:
        """Memory of the stream's last key-frame state, in bytes; 0 for one that is not known."""
        with self._lock:
            stream = self._streams.get(stream_id)
        state = None if stream is None or stream.group is None else stream.group.state
        return sum(array.nbytes for array in state.values()) if state else 0

    def _stream(self, frame: Frame) -> _Stream:
        with self._lock:
            if frame.stream_id not in self._streams:
                self._streams[frame.stream_id] = _Stream(self._policy(frame.stream_id))
            return self._streams[frame.stream_id]

    def _submit(self, stream: _Stream, job: _Job) -> None:
        frame, given = job.packet.frame, job.packet[self._input_key]
        job.given = given
        job.is_key = self._is_key(stream, frame, given)
        if job.is_key:
            if stream.group is not None:
                self._pool.flush(stream.group)
            self._begin_group(stream, job)
        assert stream.group is not None
        job.group = stream.group
        stream.last = job
        self._pool.submit(job)

    def _begin_group(self, stream: _Stream, job: _Job) -> None:
        frame, given = job.packet.frame, job.given
        assert given is not None
        job.is_key = True
        stream.group, stream.epoch = _Group(frame.index, given.size, self._batch), frame.epoch
        stream.policy.key_taken(frame, given.tensor)

    def _is_key(self, stream: _Stream, frame: Frame, given: ModelInput) -> bool:
        if stream.policy.wants_evidence and stream.last is not None:
            stream.last.done.wait()
            if not stream.last.is_key:
                stream.policy.observe(stream.last.evidence)
        group = stream.group
        if group is None or group.failed or frame.epoch != stream.epoch or group.size != given.size:
            return True
        return stream.policy.is_key(frame, given.tensor, group.index)

    def _finished(self, job: _Job) -> Packet:
        """The packet with its outputs; waits for them. Raises what the network raised."""
        if job.group is None:
            return job.packet
        if not job.done.is_set():
            self._pool.flush(job.group)
        given, arrays = job.result()
        raw = RawOutputs(arrays, given.size, given.affine)
        packet = job.packet.without(self._input_key).with_item(self._key, raw)
        return packet.with_item(self._key_frame, job.group.index)


class _Pool:
    """Threads that run jobs, the oldest runnable first; a frame between key frames can run once its state is there."""

    def __init__(
        self, cache: TemporalCache, select: Callable[[Mapping[str, Any]], Arrays], workers: int, device: Device
    ) -> None:
        self._cache, self._select, self._workers, self._device = cache, select, workers, device
        self._ready: list[tuple[int, list[_Job]]] = []
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

    def submit(self, job: _Job) -> None:
        """Run ``job`` as soon as it can; a frame between key frames with others of its group, in batches."""
        assert job.group is not None
        with self._changed:
            if job.is_key:
                self._push([job])
            else:
                job.group.waiting.append(job)
                self._release(job.group)
        self._run_here()

    def flush(self, group: _Group) -> None:
        """No more frames of ``group`` are waited for: those that do not fill a batch run alone."""
        with self._changed:
            group.complete = True
            self._release(group)
        self._run_here()

    def _release(self, group: _Group) -> None:
        """Make the group's frames runnable, if its key frame is done; call with the lock held."""
        if group.state is None and not group.failed:
            return
        while len(group.waiting) >= group.batch or (group.complete and group.waiting):
            count = group.batch if len(group.waiting) >= group.batch else 1
            jobs, group.waiting = group.waiting[:count], group.waiting[count:]
            self._push(jobs)

    def _push(self, jobs: list[_Job]) -> None:
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

    def run(self, jobs: list[_Job]) -> None:
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

    def _key(self, runner: TemporalRunner, group: _Group, job: _Job) -> None:
        assert job.given is not None
        outputs, state = runner.key(job.given.tensor)
        job.arrays = self._select(outputs_on(outputs, self._device))
        group.state = copy_outputs(state)

    def _non_key(self, runner: TemporalRunner, group: _Group, jobs: list[_Job]) -> None:
        if group.state is None:
            raise EngineError(f"key frame {group.index} failed, and this frame is computed from it")
        tensors = [job.given.tensor for job in jobs if job.given is not None]
        outputs = runner.non_key(tensors[0] if len(tensors) == 1 else concatenate(tensors), group.state)
        evidence = outputs_on({"evidence": outputs["evidence"]}, HOST)["evidence"] if "evidence" in outputs else None
        outputs = outputs_on(outputs, self._device)
        for row, job in enumerate(jobs):
            job.arrays = self._select({name: array[row : row + 1] for name, array in outputs.items()})
            job.evidence = 0.0 if evidence is None else float(evidence[row])

"""Run a video network: key frames whole, the frames between from what the key frame left behind."""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...kernels.device import HOST, Device
from ...pipeline.packet import KEY_FRAME, SKIPPED, Frame, Key, Packet
from ...pipeline.stage import EndReason, Stage
from .infer import Arrays, RawOutputs, copy_outputs
from .key_frames import KeyPolicy, PolicyOf
from .preprocess import ModelInput
from .temporal_pool import FrameJob, JobPool, KeyFrameGroup, TemporalCache

LOG = logging.getLogger("vidgraph")

MOST_STREAMS = 128
"""With a state on a card at one time; one of the published networks takes 3 MB."""


@dataclass(slots=True)
class _Stream:
    """What the stage knows of one stream."""

    policy: KeyPolicy
    jobs: deque[FrameJob] = field(default_factory=deque)
    group: KeyFrameGroup | None = None
    epoch: int = 0
    last: FrameJob | None = None
    used: int = 0  # when its last frame came


class TemporalInfer(Stage):
    """Consumes ``input_key``; creates ``key`` and ``key_frame``. Frames come out in order, each exactly once.

    A frame is a key frame if the stream has none yet, after a new epoch or another input size, after a
    key frame that failed, and where the stream's policy says so. A dropped frame drops no state. The
    others use the state of the last key frame before them, however late it is computed: up to ``ahead``
    frames of a stream are in the network at one time, so key frames to come fill what waiting for a
    key frame's state would leave idle.

    State is kept per stream, for the frames in flight and the last key frame; ``end_stream`` frees it. Where more
    streams than ``most_streams`` have one, that whose last frame is the longest ago loses it: its next frame is a key
    frame.

    Args:
        cache: gives a ``TemporalRunner`` for an input size.
        input_key, key: what is consumed and created.
        policy: makes the key-frame policy of a stream.
        select_outputs: what to keep of a frame's outputs (batch of one), as arrays of their own.
        workers: frames in the network at one time, of all streams; each runs on a thread of this stage.
        ahead: frames of a stream that may be held back; 0 (live): each runs at once, on the calling thread.
        batch: frames between two key frames that run as one, where so many are there (1: each alone).
        key_frame: where the index of a frame's key frame goes.
        most_streams: with a state at one time; None: as many as there are.
        device: where ``select_outputs`` and the stages behind this one work; the state stays where the network gives
            it.

    Attributes:
        evictions: how often a stream has lost its state to another.
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
        most_streams: int | None = None,
        device: Device = HOST,
    ) -> None:
        self.name: str = name
        self.holds: int = ahead
        self.reads: frozenset[Key[Any]] = frozenset({input_key})
        self.creates: frozenset[Key[Any]] = frozenset({key, key_frame})
        self._input_key, self._key, self._key_frame, self._policy = input_key, key, key_frame, policy
        self._ahead, self._batch, self._most_streams = ahead, batch, most_streams
        self.evictions = 0
        self._pool = JobPool(cache, select_outputs, workers if ahead else 0, device)
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
        wanted = stream.policy.wants_evidence
        job = FrameJob(packet, next(self._places), given=packet[self._input_key], wants_evidence=wanted)
        assert job.given is not None
        group, stream.used = stream.group, job.place
        if group is None:
            group = self._begin_group(stream, job)
        else:
            stream.policy.is_key(packet.frame, job.given.tensor, group.index)
        job.group, stream.last = group, job
        self._pool.run([job])
        return (self._finished(job),)

    def open(self) -> None:
        """Start the threads."""
        self._pool.open()

    def process(self, packet: Packet) -> Iterator[Packet]:
        """Take a frame in; give those whose turn it is and that are done, waiting where too many are held."""
        stream = self._stream(packet.frame)
        job = FrameJob(packet, next(self._places))
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

    def _submit(self, stream: _Stream, job: FrameJob) -> None:
        frame, given = job.packet.frame, job.packet[self._input_key]
        job.given, job.wants_evidence, stream.used = given, stream.policy.wants_evidence, job.place
        group = stream.group  # which another stream may take away meanwhile
        job.is_key = self._is_key(stream, group, frame, given)
        if group is None or job.is_key:
            if group is not None:
                self._pool.flush(group)
            group = self._begin_group(stream, job)
        job.group = group
        stream.last = job
        self._pool.submit(job)

    def _begin_group(self, stream: _Stream, job: FrameJob) -> KeyFrameGroup:
        frame, given = job.packet.frame, job.given
        assert given is not None
        job.is_key = True
        stream.group, stream.epoch = KeyFrameGroup(frame.index, given.size, self._batch), frame.epoch
        stream.policy.key_taken(frame, given.tensor)
        made = stream.group
        self._evict()
        return made

    def _evict(self) -> None:
        """Take their state from those streams whose last frame is the longest ago, where too many have one."""
        most = self._most_streams
        if most is None:
            return
        with self._lock:
            holding = [(name, stream) for name, stream in self._streams.items() if stream.group is not None]
            holding.sort(key=lambda each: each[1].used)
            evicted = holding[: max(len(holding) - most, 0)]
            groups = [(name, stream.group) for name, stream in evicted]
            for _, stream in evicted:
                stream.group = None
            self.evictions += len(evicted)
            level = logging.DEBUG if self.evictions > len(evicted) else logging.WARNING
        for name, group in groups:
            text = "%s: more than %d streams; stream %s begins again with a key frame"
            LOG.log(level, text, self.name, most, name)
            if group is not None:
                self._pool.flush(group)

    def _is_key(self, stream: _Stream, group: KeyFrameGroup | None, frame: Frame, given: ModelInput) -> bool:
        if stream.policy.wants_evidence and stream.last is not None:
            stream.last.done.wait()
            if not stream.last.is_key:
                stream.policy.observe(stream.last.evidence)
        if group is None or group.failed or frame.epoch != stream.epoch or group.size != given.size:
            return True
        return stream.policy.is_key(frame, given.tensor, group.index)

    def _finished(self, job: FrameJob) -> Packet:
        """The packet with its outputs; waits for them. Raises what the network raised."""
        if job.group is None:
            return job.packet
        if not job.done.is_set():
            self._pool.flush(job.group)
        given, arrays = job.result()
        raw = RawOutputs(arrays, given.size, given.affine)
        packet = job.packet.without(self._input_key).with_item(self._key, raw)
        return packet.with_item(self._key_frame, job.group.index)

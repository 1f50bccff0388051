"""What a run that goes on sees again before it begins: what its model remembered when it was interrupted."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..pipeline.packet import Frame, Packet
from ..pipeline.stage import Stage, through
from ..stages.inference.recurrent import Memory
from ..stages.inference.temporal import TemporalInfer
from ..stages.session import Session
from .model import Model
from .resolve import ResolvedModel

LOG = logging.getLogger("vidgraph")

Passed = Iterable[tuple[Frame, bool]]
"""Frames that an earlier run has done, stream by stream, and whether it failed on them."""


def has_memory(model: Model | ResolvedModel) -> bool:
    """Whether a frame's outputs depend on those of all frames before it, or on the picture before.

    Raises:
        CheckpointError, UsageError: a custom model cannot be read.
    """
    if isinstance(model, Model):
        return model.memory is not None
    if model.row is not None:
        return model.row.family().memory(model.row.name) is not None
    from .custom.inspect import remembers

    return remembers(model.file)


def done_before(session: Session, model: Model, stages: Sequence[Stage], **about: Any) -> list[Packet]:
    """Results of a run that goes on, made again: ``stages`` then remember what they did when it was interrupted.

    Frames up to where the run goes on are seen by a network with memory, and of a video model the last key frame and
    the last frame, which is all that counts. The last results of each stream are given.

    Args:
        about: as for :meth:`..stages.session.Session.header`.

    Raises:
        UsageError: the results to go on with were written with other settings.
        VidgraphError: a frame fails that did not fail before.
    """
    if model.memory is not None:
        session.outputs.check_goes_on(session.header(stages, **about))
        return _remembered(session.take_passed(), model.memory, stages)
    done = []
    for frame in session.take_held():
        packets = [Packet(frame)]
        for stage in stages:
            go = stage.begin_with if isinstance(stage, TemporalInfer) else stage.process
            packets = [out for packet in packets for out in go(packet)]
        done += packets
    return done


def _remembered(passed: Passed, memory: Memory, stages: Sequence[Stage]) -> list[Packet]:
    last: dict[str, Packet] = {}
    count = 0
    for frame, failed in passed if memory.states else _last(passed):
        try:
            last[frame.stream_id] = through(stages, Packet(frame))[-1]
        except Exception:
            if not failed:
                raise
        count += 1
    if count > 1:
        LOG.info("the network has seen %d frames again, as its state comes from all of them", count)
    return list(last.values())


def _last(passed: Passed) -> Iterator[tuple[Frame, bool]]:
    """Of each stream the last frame on which it did not fail, and those behind it."""
    waiting: list[tuple[Frame, bool]] = []
    for frame, failed in passed:
        if waiting and (waiting[0][0].stream_id != frame.stream_id):
            yield from waiting
            waiting = []
        waiting = [*waiting, (frame, failed)] if failed else [(frame, failed)]
    yield from waiting

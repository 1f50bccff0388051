"""``vidgraph compare``: one network in two engines on the frames of a video."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass

from ..engines.compare import Difference, compare, format_differences
from ..engines.spec import Engine
from ..pipeline.errors import UsageError
from ..pipeline.packet import Packet
from ..stages.open_source import open_sources
from .base import load_model


@dataclass(frozen=True, slots=True)
class Compared:
    """The two engines as text, and for each output the worst element over all frames."""

    rows: tuple[Difference, ...]
    frames: int
    table: str


def compare_engines(
    source: str | os.PathLike[str],
    model: str,
    *,
    weights: str | os.PathLike[str] | None = None,
    reference: str = "onnxruntime:fp32",
    other: str = "auto",
    size: int | tuple[int, int] | None = None,
    frames: int = 1,
) -> Compared:
    """Run ``model`` in two engines on the first frames of ``source``.

    Args:
        source: what ``vidgraph run`` takes; the input is made of its frames as in a run.
        model, weights, size: as for :func:`load_model`.
        reference, other: ``ENGINE`` or ``ENGINE:PRECISION``.
        frames: how many frames.

    Raises:
        UsageError: unknown names, or several sources.
        SourceError, CheckpointError, EngineError: as in a run.
    """
    with ExitStack() as opened:
        models = [
            opened.enter_context(load_model(model, weights=weights, size=size, engine=engine, precision=precision))
            for engine, precision in (_engine(reference), _engine(other))
        ]
        sources = open_sources([source], frames=frames)
        if len(sources) != 1:
            raise UsageError(f"compare takes one source, {os.fspath(source)} stands for {len(sources)}")
        opened.callback(sources[0].close)
        sources[0].open()
        preprocess = models[0].stages()[0]
        worst: dict[str, Difference] = {}
        engines: dict[tuple[int, int], list[Engine]] = {}
        count = 0
        for frame in sources[0].frames():
            (packet,) = preprocess.process(Packet(frame))
            (given,) = packet.items.values()
            if given.size not in engines:
                engines[given.size] = [one.open_engine(given.size) for one in models]
                for engine in engines[given.size]:
                    opened.callback(engine.close)
            pair = engines[given.size]
            for row in compare(pair[0], pair[1], {pair[0].inputs[0].name: given.tensor}):
                if row.output not in worst or row.worst > worst[row.output].worst:
                    worst[row.output] = row
            given.release()
            count += 1
        rows = tuple(worst.values())
        return Compared(rows, count, format_differences(pair[0], pair[1], rows))


def _engine(text: str) -> tuple[str, str]:
    name, _, precision = text.partition(":")
    return name, precision or "auto"

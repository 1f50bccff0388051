"""``vidgraph compare``: one model in two engines, or from two files, on the frames of a video."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engines.compare import Difference, compare, format_differences
from ..engines.spec import Engine
from ..kernels.device import Tensor, to_host
from ..models.load import load_model
from ..models.model import Model
from ..models.resolve import resolve_model
from ..pipeline.errors import UsageError
from ..pipeline.limits import MAX_PIXELS
from ..pipeline.packet import DETECTIONS, Packet
from ..pipeline.stage import through
from ..pipeline.types.picture import Size
from ..stages.inference.recurrent import Memory
from ..stages.sources.camera.options import FEW_FRAMES
from ..stages.sources.registry import open_sources
from .result_difference import ResultDifference


@dataclass(frozen=True, slots=True)
class Compared:
    """The two engines as text, for each output the worst element over all frames, and what became of it.

    Attributes:
        rows: one for each output.
        frames: how many were compared.
        table: ``rows`` as text, under a line that names both engines.
        results: of models that detect: how far the detections are from each other.
    """

    rows: tuple[Difference, ...]
    frames: int
    table: str
    results: ResultDifference | None


def compare_engines(
    source: str | os.PathLike[str],
    model: str,
    *,
    weights: str | os.PathLike[str] | None = None,
    candidate_model: str | None = None,
    reference: str = "onnxruntime:fp32",
    candidate: str = "auto",
    frames: int = 1,
    max_pixels: int = MAX_PIXELS,
    **choices: Any,
) -> Compared:
    """Run ``model`` in two engines on the first frames of ``source``.

    The outputs are of the same input in both. The detections are those of two runs: of a video model, each
    carries its own features along.

    Args:
        source: what ``vidgraph run`` takes; the input is made of its frames as in a run.
        model, weights: as for :func:`load_model`; ``choices`` too.
        candidate_model: what the candidate runs, such as a quantised file; by default ``model``.
        reference, candidate: ``ENGINE`` or ``ENGINE:PRECISION``.
        frames: how many frames.
        max_pixels: larger pictures are refused.

    Raises:
        UsageError: unknown names, two models, or several sources.
        SourceError, CheckpointError, EngineError: as in a run.
    """
    first = resolve_model(model, weights=weights)
    second = first if candidate_model is None else resolve_model(candidate_model)
    if first.row is not second.row:
        raise UsageError(f"compare takes two files of one model, got {first.given} and {second.given}")
    with ExitStack() as opened:
        models = [
            opened.enter_context(load_model(each, engine=engine, precision=precision, **choices))
            for each, (engine, precision) in ((first, _engine(reference)), (second, _engine(candidate)))
        ]
        runs = [each.stages() for each in models]
        sources = open_sources([source], frames=frames, max_pixels=max_pixels, camera=FEW_FRAMES)
        if len(sources) != 1:
            raise UsageError(f"compare takes one source, {os.fspath(source)} stands for {len(sources)}")
        opened.callback(sources[0].close)
        sources[0].open()
        preprocess, results = models[0].preprocess(), ResultDifference()
        remembered = _Remembered(models[0].memory or Memory())
        worst: dict[str, Difference] = {}
        pairs: dict[Size, list[_Pair]] = {}
        count = 0
        for frame in sources[0].frames():
            (packet,) = preprocess.process(Packet(frame))
            (given,) = packet.items.values()
            if given.size not in pairs:
                pairs[given.size] = _open_pairs(models, given.size, opened)
            for row in _differences(pairs[given.size], given.tensor, remembered):
                if row.output not in worst or row.worst > worst[row.output].worst:
                    worst[row.output] = row
            given.release()
            found = [through(stages, Packet(frame))[-1].get(DETECTIONS) for stages in runs]
            if found[0] is not None and found[1] is not None:
                results.add(found[0], found[1])
            count += 1
        rows, pair = tuple(worst.values()), next(iter(pairs.values()))[0]
        table = format_differences(pair.reference, pair.candidate, rows)
        return Compared(rows, count, table, results if results.frames else None)


@dataclass(frozen=True, slots=True)
class _Pair:
    """One graph in both engines."""

    graph: str
    reference: Engine
    candidate: Engine


def _open_pairs(models: list[Model], size: Size, opened: ExitStack) -> list[_Pair]:
    pairs = []
    for graph in models[0].graphs:
        engines = [model.open_engine(size, graph=graph) for model in models]
        for engine in engines:
            opened.callback(engine.close)
        pairs.append(_Pair(graph, engines[0], engines[1]))
    return pairs


class _Remembered:
    """What both engines are given of the frame before: what the reference gave for it, and its picture."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._state: Mapping[str, NDArray[Any]] | None = None
        self._before: NDArray[Any] | None = None

    def besides(self, image: NDArray[Any], engine: Engine) -> dict[str, NDArray[Any]]:
        """What the network takes besides the picture."""
        state = self._memory.first_values(engine.inputs) if self._state is None else self._state
        previous = self._memory.previous
        before = image if self._before is None else self._before
        return {**state, **({} if previous is None else {previous: before})}

    def note(self, image: NDArray[Any], outputs: Mapping[str, Tensor]) -> None:
        """Keep what the next frame needs."""
        self._state = {each.input: to_host(outputs[each.output]).copy() for each in self._memory.states}
        self._before = image.copy()


def _differences(pairs: list[_Pair], image: NDArray[np.float32], remembered: _Remembered) -> Iterator[Difference]:
    """Every graph on one picture; what it takes besides is what the reference's graphs before it left.

    A graph that takes something else, such as crops, is left out.
    """
    known = remembered.besides(image, pairs[0].reference)
    picture = next(spec.name for spec in pairs[0].reference.inputs if spec.name not in known)
    if known:
        remembered.note(image, pairs[0].reference.run({**known, picture: image}))
    known[picture] = image
    for pair in pairs:
        wanted = [spec.name for spec in pair.reference.inputs]
        if not known.keys() >= set(wanted):
            continue
        given = {name: known[name] for name in wanted}
        for row in compare(pair.reference, pair.candidate, given):
            yield replace(row, output=f"{pair.graph}/{row.output}") if len(pairs) > 1 else row
        if pair is not pairs[-1]:
            known |= {name: np.array(array) for name, array in pair.reference.run(given).items()}


def _engine(text: str) -> tuple[str, str]:
    name, _, precision = text.partition(":")
    return name, precision or "auto"

"""``vidgraph build``: the engines of a model ahead of time, for an engine that builds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ...engines.cache import UNUSABLE, cache_limit_bytes, cache_root
from ...engines.open import ENGINES, EngineRow, choose_engine
from ...pipeline.errors import EngineError, UsageError
from ...pipeline.types.picture import Size
from ..load import load_model
from ..model import NOMINAL_FRAME, Model
from ..resolve import ResolvedModel

PRECISIONS = ("fp32", "fp16", "int8")
"""What engines are built in."""

Tell = Callable[[str, str, int, int], None]
"""Is told how far a build is: the graph, the phase, steps done, and of how many."""


@dataclass(frozen=True, slots=True)
class BuiltGraph:
    """One engine of a model.

    Attributes:
        graph: its name; of models with one, that of the model.
        batch: pictures in one run.
        input_size: height and width.
        precision: ``fp32``, ``fp16`` or ``int8``.
        kept: how many layers of an fp16 engine stay in fp32 because they were found to need it.
        bytes: of the engine file.
        seconds: of building; 0 where it was in the cache.
        architectures: compute capabilities that it is for.
        card: the card it was timed on; empty where it is for any.
    """

    graph: str
    batch: int
    input_size: tuple[int, int]
    precision: str
    kept: int
    bytes: int
    seconds: float
    architectures: tuple[str, ...]
    card: str

    @property
    def cached(self) -> bool:
        """Whether it was there before."""
        return self.seconds == 0.0


def builders() -> list[str]:
    """Names of the engines that build ahead of time, installed or not; OpenVINO and ONNX Runtime need none."""
    return [row.name for row in ENGINES.values() if row.builds]


def builder(engine: str) -> EngineRow:
    """The row of an engine that builds.

    Raises:
        UsageError: there is no such engine, it builds nothing, or the cache is turned off.
        MissingExtraError: it is not installed.
    """
    row = choose_engine(engine)
    if not hasattr(row.load(), "build_network"):
        raise UsageError(f"engine {row.name!r} compiles where it runs; engines that build are {', '.join(builders())}")
    if not cache_limit_bytes():
        raise UsageError(f"build keeps engines in {cache_root()}, which VIDGRAPH_CACHE_MAX=0 turns off")
    return row


def build(
    model: ResolvedModel,
    *,
    engine: str,
    precision: str,
    batch: int = 1,
    frame: Size = NOMINAL_FRAME,
    tell: Tell | None = None,
    **choices: Any,
) -> Iterator[BuiltGraph]:
    """Build all engines that a model needs, one after the other, into the cache.

    Args:
        model: what is built.
        engine: a name of :func:`builders`.
        precision: one of :data:`PRECISIONS`. What fp16 does to the networks is to be found out before
            (``benchmarks.half_check``); what was found out is looked up.
        batch: also for so many pictures in one run.
        frame: height and width of the frames to come, to which some models fit their input.
        tell: is told how far a build is.
        choices: as for :func:`load_model`.

    Raises:
        UsageError: an engine that builds nothing, an unknown precision, int8 of weights that are not quantised, or a
            cache that is turned off.
        MissingExtraError: the engine is not installed.
        EngineError: a network cannot be built, or its engine not be kept.
    """
    row = builder(engine)
    if precision not in PRECISIONS:
        raise UsageError(f"build makes {', '.join(PRECISIONS)}, got precision {precision!r}")
    with load_model(model, **{**choices, "engine": row.name, "precision": precision}) as loaded:
        size = loaded.input_size(frame)
        for graph in loaded.graphs:
            for count in sorted({1, batch}):
                yield _build(row, loaded, graph, size, count, precision, tell)


def _build(
    row: EngineRow, model: Model, graph: str, size: tuple[int, int], batch: int, precision: str, tell: Tell | None
) -> BuiltGraph:
    path, shown = model.weights.network_file(size, batch, graph), graph or model.name
    module = row.load()
    keep = module.kept_layers(path) if precision == "fp16" else ()
    told = None if tell is None else lambda phase, done, total: tell(shown, phase, done, total)
    made = module.build_network(path, precision, keep, told)
    if made.path is None:
        raise EngineError(f"cannot keep the engine of {shown}: {UNUSABLE.format(cache_root())}")
    facts = made.facts
    return BuiltGraph(
        shown, batch, size, facts.precision, len(keep), len(made.content), made.seconds, facts.architectures, facts.card
    )

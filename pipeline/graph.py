"""The graph: sources, stages and sinks, checked before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from typing import Any, TypedDict, TypeVar, Unpack

from ..kernels.scalars import shown
from .describe import mermaid_of, text_of
from .errors import GraphError, UsageError, nearest
from .execution.base import Execution, RunOptions
from .execution.run import GraphRun
from .execution.serial import SerialExecutor
from .execution.stage_order import ordered
from .execution.stats import RunStats
from .execution.threaded import ThreadedExecutor
from .execution.threads import ThreadBudget
from .functions import FunctionSink, FunctionStage, name_of
from .options import DURATION
from .packet import Key, Packet
from .stage import Sink, Source, Stage, refuse_misspelt

EXECUTORS: dict[str, type[Execution]] = {"threaded": ThreadedExecutor, "serial": SerialExecutor}

FORMS = {"text": text_of, "mermaid": mermaid_of}
"""Of :meth:`Graph.describe`."""

StageLike = Stage | Callable[[Packet], Any]
SinkLike = Sink | Callable[[Packet], Any]
T = TypeVar("T")

Rule = tuple[str, Callable[[Any], bool]]

_TEXT: Rule = "text such as 'door'", lambda value: isinstance(value, str)
_FLAG: Rule = "True or False", lambda value: isinstance(value, bool)
_COUNT: Rule = "a whole number from 0", lambda value: type(value) is not bool and isinstance(value, int) and value >= 0
_KEYS: Rule = (
    "a set of keys such as frozenset({KEY})",
    lambda value: isinstance(value, Set) and all(isinstance(key, Key) for key in value),
)
_RULES: dict[type, dict[str, Rule]] = {
    Source: {"stream_id": _TEXT, "live": _FLAG},
    Stage: {
        "name": _TEXT, "creates": _KEYS, "reads": _KEYS, "updates": _KEYS,
        "stateless": _FLAG, "holds": _COUNT, "on_dropped": _FLAG,
    },
    Sink: {"name": _TEXT, "reads": _KEYS},
}  # fmt: skip
"""Of what a graph asks its parts; first what has no default."""


class RunArguments(TypedDict, total=False):
    """Those of :meth:`Graph.prepare`."""

    executor: str
    threads: int | ThreadBudget | None
    max_in_flight: int | None
    strict: bool
    latest: bool | None
    stage_limit_s: float | None


class Graph:
    """Sources, stages and sinks that fit together; refused here, with the cure, where they do not.

    Stages run in the order in which their keys need each other; of those that do not need each other, the
    one listed first runs first. All streams go through all stages, and each sink gets every frame of every
    stream, in order within a stream. Plain functions are stages and sinks too, see ``FunctionStage`` and
    ``FunctionSink``. A graph may run again when a run is over, if its parts can be opened again.

    Args:
        sources: one or more; their stream ids differ. An open-ended graph may have none.
        stages: names differ; may be none.
        sinks: may be none: the graph then runs for its statistics.
        open_ended: a run goes on until it is cancelled, with whatever streams are added to it and removed from it;
            see ``Run.add``.

    Attributes:
        stages: in the order in which they run.

    Raises:
        GraphError: the parts do not fit together, or one is not what it must be.
    """

    def __init__(
        self,
        sources: Source | Iterable[Source],
        stages: StageLike | Iterable[StageLike] = (),
        sinks: SinkLike | Iterable[SinkLike] = (),
        *,
        open_ended: bool = False,
    ) -> None:
        self.sources: tuple[Source, ...] = tuple(_several(sources))
        self.open_ended = open_ended
        if not self.sources and not open_ended:
            raise GraphError("a graph needs at least one source. Open one with open_source(address).")
        listed = _functions_wrapped([*_several(stages)], Stage, FunctionStage)
        outputs = _functions_wrapped([*_several(sinks)], Sink, FunctionSink)
        _check_parts(self.sources, Source, "Open one with open_source(address).")
        _check_parts(listed, Stage, "A stage does, or is a function packet -> packet.")
        _check_parts(outputs, Sink, "Open one with open_sink(address).")
        for stage in listed:
            _check_holding(stage)
        stream_ids = [source.stream_id for source in self.sources]
        _check_unique("source", "stream id", stream_ids, "NAME=ADDRESS names a stream")
        _check_unique("stage", "name", [stage.name for stage in listed], "give one of them another name")
        self.stages = ordered(listed, outputs)
        self.sinks: tuple[Sink, ...] = tuple(outputs)
        self._run: GraphRun | None = None

    def describe(self, form: str = "text") -> str:
        """Sources, stages in the order in which they run, and sinks, with the keys that each has from which other.

        Args:
            form: ``text``, or ``mermaid``: a flow chart for Markdown.

        Raises:
            UsageError: another form.
        """
        if form not in FORMS:
            raise UsageError(f"form must be one of {', '.join(FORMS)}, got {form!r}")
        return FORMS[form](self.sources, self.stages, self.sinks)

    def run(self, **arguments: Unpack[RunArguments]) -> RunStats:
        """Run to the end and return the statistics; arguments and errors as for ``prepare`` and ``GraphRun.wait``."""
        return self.start(**arguments).wait()

    def start(self, **arguments: Unpack[RunArguments]) -> GraphRun:
        """Open everything and run in the background; arguments as for ``prepare``, errors as for ``GraphRun.start``."""
        return self.prepare(**arguments).start()

    def prepare(
        self,
        *,
        executor: str = "threaded",
        threads: int | ThreadBudget | None = None,
        max_in_flight: int | None = None,
        strict: bool = False,
        latest: bool | None = None,
        stage_limit_s: float | None = None,
    ) -> GraphRun:
        """A run that is not started yet, so that a signal handler can have its ``cancel`` before anything is opened.

        Args:
            executor: ``threaded``, or ``serial``: one frame at a time on one thread, with the same results.
            threads: threads for the stages, or a budget; None for all cores this process may use.
            max_in_flight: frames of a stream that may be in the graph at one time; see ``RunOptions``.
            strict: the first frame that fails or is damaged, and the first source that fails, ends the run.
            latest: every source keeps only its newest frame (True), or every frame (False); None: as it says itself.
            stage_limit_s: a stage that works on one frame for longer, as an inference that hangs, ends the run; None:
                it may take any time.

        Raises:
            UsageError: an argument is not one of these, or the graph is running.
        """
        if executor not in EXECUTORS:
            raise UsageError(f"unknown executor {executor!r}; {nearest(executor, EXECUTORS, always=True)}")
        if max_in_flight is not None and max_in_flight < 1:
            raise UsageError(f"max_in_flight must be at least 1, got {max_in_flight}")
        if stage_limit_s is not None and not DURATION.allows(stage_limit_s):
            raise UsageError(f"stage_limit_s must be {DURATION.expected}, got {stage_limit_s!r}")
        if self._run is not None and self._run.running:
            raise UsageError("the graph is running; wait for its run, or make another graph")
        if not isinstance(threads, ThreadBudget):
            live = self.open_ended or any(source.live if latest is None else latest for source in self.sources)
            threads = ThreadBudget.share_out(threads, live=live, sources=len(self.sources))
        options = RunOptions(threads, max_in_flight, strict, latest, self.open_ended, stage_limit_s)
        self._run = GraphRun(EXECUTORS[executor](self.sources, self.stages, self.sinks, options))
        return self._run


def _several(parts: Any) -> Iterable[Any]:
    """``parts`` itself where it is a collection, or the one part as one; text is no collection of parts."""
    return parts if isinstance(parts, Iterable) and not isinstance(parts, str | bytes) else (parts,)


def _functions_wrapped(parts: Sequence[Any], kind: type[Stage | Sink], wrapper: Callable[[Any, str], T]) -> list[T]:
    """``parts`` with plain callables wrapped; a name that is taken gets a number."""
    taken = [part.name for part in parts if isinstance(part, kind) and hasattr(part, "name")]
    wrapped: list[T] = []
    for part in parts:
        if callable(part) and not isinstance(part, kind | type):
            name = base = name_of(part)
            number = 1
            while name in taken:
                number += 1
                name = f"{base}_{number}"
            taken.append(name)
            part = wrapper(part, name)
        wrapped.append(part)
    return wrapped


def _check_parts(parts: Sequence[object], kind: type[Source | Stage | Sink], cure: str) -> None:
    """Raise GraphError unless all ``parts`` inherit ``kind`` and have its attributes, each of its type."""
    what, needed = kind.__name__.lower(), next(iter(_RULES[kind]))
    for position, part in enumerate(parts):
        who, own = f"{what}s[{position}]", type(part).__name__
        if isinstance(part, type):
            raise GraphError(f"{who} is the class {part.__name__}. Make one: {part.__name__}(…).")
        if not isinstance(part, kind):
            raise GraphError(
                f"{who} must be a {what}, got {own}, which does not inherit vidgraph.{kind.__name__}. {cure}"
            )
        if not hasattr(part, needed):
            raise GraphError(f"{who} is a {own} and has no {needed}. Give it one, which is unique in the graph.")
        refuse_misspelt(type(part), vars(part))
        for attribute, (rule, fits) in _RULES[kind].items():
            if not fits(value := getattr(part, attribute)):
                who = f"{who} ({shown(getattr(part, needed))})"
                raise GraphError(f"{who}: {attribute} must be {rule}, got {shown(value)}.")


def _check_holding(stage: Stage) -> None:
    """Raise GraphError for a stage that would keep frames back in a way that no executor can carry out."""
    if not stage.holds:
        return
    if stage.stateless:
        raise GraphError(f"stage {stage.name!r} is stateless and holds frames back. Say stateless = False.")
    if not stage.on_dropped:
        raise GraphError(
            f"stage {stage.name!r} holds frames back and does not see dropped ones, which would wait for it for ever. "
            f"Say on_dropped = True, and let them count among those it holds."
        )


def _check_unique(kind: str, what: str, names: Sequence[str], cure: str) -> None:
    for position, name in enumerate(names):
        if name in names[:position]:
            raise GraphError(f"two {kind}s have the {what} {name!r}: {cure}.")

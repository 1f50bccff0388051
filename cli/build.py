"""The command build: engines of a model ahead of time."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..pipeline.errors import UsageError
from .terminal import Progress, say, show

if TYPE_CHECKING:
    from ..models.export.build import BuiltGraph
    from ..models.resolve import ResolvedModel
    from ..pipeline.types.picture import Size

_HEADER = ("model", "graph", "batch", "input", "precision", "size", "seconds", "", "architectures")


def build(options: argparse.Namespace) -> int:
    """Check what fp16 does to each model, build all its engines, and list them."""
    from ..kernels.device import DEVICES
    from ..models.export.build import builder
    from ..models.resolve import resolve_model

    builder(options.engine)
    has_card = bool(DEVICES["cuda"].count())
    for option in ("source", "frames"):
        if getattr(options, option) is not None and options.precision != "fp16" and not has_card:
            raise UsageError(
                f"--{option} is for what fp16 is checked on, or an engine on a card; this builds {options.precision}, "
                "and there is no card here"
            )
    job = _Job(options, Progress(quiet=options.quiet), has_card)
    rows: list[tuple[str, ...]] = [_HEADER]
    try:
        for given in options.models:
            rows += job.build(resolve_model(given))
    finally:  # what was built stays, whatever happens to the next one
        if len(rows) > 1:
            show(_table(rows))
    return 0


@dataclass(frozen=True, slots=True)
class _Job:
    """What is done with each model."""

    options: argparse.Namespace
    progress: Progress
    has_card: bool

    @property
    def choices(self) -> dict[str, Any]:
        """How the model is loaded."""
        return {"size": self.options.size, "head": self.options.head}

    @property
    def frames(self) -> dict[str, Any]:
        """What engines are compared on."""
        from ..benchmarks.half_check import FRAMES, SOURCE

        source, frames = self.options.source, self.options.frames
        return {"source": SOURCE if source is None else source, "frames": FRAMES if frames is None else frames}

    def build(self, model: ResolvedModel) -> list[tuple[str, ...]]:
        """The rows of its engines."""
        from ..models.export.build import build as build_graphs

        options, frame = self.options, {}
        if options.precision == "fp16":
            frame = {"frame": self._check(model)}
        built = build_graphs(
            model, engine=options.engine, precision=options.precision, batch=options.batch, tell=self._tell,
            **frame, **self.choices,
        )  # fmt: skip
        rows = [_row(model.name, each) for each in built]
        Progress.clear()
        if self.has_card:
            self._compare(model)
        return rows

    def _check(self, model: ResolvedModel) -> Size:
        from ..benchmarks.half_check import check_half

        found = check_half(model, batch=self.options.batch, tell=self.progress.show, **self.frames, **self.choices)
        self._say(f"{model.name}: {found.text()}")
        return found.frame

    def _compare(self, model: ResolvedModel) -> None:
        """With fp32, on the card."""
        from ..benchmarks.half_check import check_engine
        from ..engines.spec import NetworkRefused

        self.progress.show("comparing on the card")
        chosen = {"engine": self.options.engine, "precision": self.options.precision}
        try:
            results = check_engine(model, **chosen, **self.frames, **self.choices)
        except NetworkRefused as error:  # built for cards of other kinds
            self._say(f"{model.name} was not compared on this card: {error}")
            return
        self._say(f"{model.name} on the card: {results or 'it detects nothing to compare'}")

    def _tell(self, graph: str, phase: str, done: int, total: int) -> None:
        bar = "#" * round(30 * done / max(total, 1))
        self.progress.show(f"[{bar:<30}] {graph}: {phase.lower()}, {done} of {total}")

    def _say(self, text: str) -> None:
        Progress.clear()
        if not self.options.quiet:
            say(text)


def _row(model: str, built: BuiltGraph) -> tuple[str, ...]:
    height, width = built.input_size
    precision = f"{built.precision}, {built.kept} layers fp32" if built.kept else built.precision
    where = ", ".join(built.architectures) + (f" ({built.card})" if built.card else "")
    return (
        model, built.graph, str(built.batch), f"{width}x{height}", precision, f"{built.bytes / 1e6:.1f} MB",
        "-" if built.cached else f"{built.seconds:.1f}", "cached" if built.cached else "built", where,
    )  # fmt: skip


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines)

"""The command build: engines of a model ahead of time."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ..pipeline.errors import UsageError
from .terminal import Progress, say, show

if TYPE_CHECKING:
    from ..models.export.build import BuiltGraph

_HEADER = ("model", "graph", "batch", "input", "precision", "size", "seconds", "", "architectures")


def build(options: argparse.Namespace) -> int:
    """Check what fp16 does to each model, build all its engines, and list them."""
    from ..benchmarks.half_check import FRAMES, SOURCE, check_engine, check_half
    from ..kernels.device import DEVICES
    from ..models.export.build import build as build_graphs, builder
    from ..models.resolve import resolve_model

    builder(options.engine)
    has_card = bool(DEVICES["cuda"].count())
    for option in ("source", "frames"):
        if getattr(options, option) is not None and options.precision != "fp16" and not has_card:
            raise UsageError(
                f"--{option} is for what fp16 is checked on, or an engine on a card; this builds {options.precision}, "
                "and there is no card here"
            )
    choices: dict[str, Any] = {"size": options.size, "head": options.head}
    progress = Progress(quiet=options.quiet)

    def tell(graph: str, phase: str, done: int, total: int) -> None:
        bar = "#" * round(30 * done / max(total, 1))
        progress.show(f"[{bar:<30}] {graph}: {phase.lower()}, {done} of {total}")

    rows: list[tuple[str, ...]] = [_HEADER]
    for given in options.models:
        model = resolve_model(given)
        settings = dict(choices)
        if options.precision == "fp16":
            found = check_half(
                model, source=options.source or SOURCE, frames=options.frames or FRAMES, batch=options.batch,
                tell=progress.show, **choices,
            )  # fmt: skip
            settings["frame"] = found.frame
            Progress.clear()
            if not options.quiet:
                say(f"{model.name}: {found.text()}")
        built = build_graphs(
            model, engine=options.engine, precision=options.precision, batch=options.batch, tell=tell, **settings
        )
        rows += [_row(model.name, each) for each in built]
        if has_card:
            progress.show("comparing on the card")
            on_card = check_engine(
                model, engine=options.engine, precision=options.precision, source=options.source or SOURCE,
                frames=options.frames or FRAMES, **choices,
            )  # fmt: skip
            Progress.clear()
            if on_card is not None and not options.quiet:
                say(f"{model.name} on the card: {on_card}")
        Progress.clear()
    show(_table(rows))
    return 0


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

"""What propagation over time costs and saves: precision and time of a video model for each choice of key frames.

    python -m vidgraph.benchmarks.bench_temporal --model yolact-edge-tiny --data 'synth:street?split=hard' -o t.json

Beside it the plain alternative: the network on every Nth frame, and its last detections for the others. One process;
every frame goes through all choices before the next comes, so their times are of the same machine at the same time.
Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..models.load import load_model
from ..training.evaluation import Report, RunVariant, Scope, evaluate_variants
from .harness import save

INTERVALS = (1, 2, 5, 10, 20)
HOLDS = (2, 5, 10, 20)
MIN_SCORE = 0.05
FIGURES = ("mask AP", "mask AP50", "mask AP small", "mask AP medium", "mask AP large")


def variants(intervals: Sequence[int] = INTERVALS, holds: Sequence[int] = HOLDS) -> dict[str, RunVariant]:
    """All choices by name; ``key 1``, every frame a key frame, is what the others are measured by."""
    return {
        **{f"key {interval}": RunVariant(keyframes=interval) for interval in intervals},
        "adaptive": RunVariant(keyframes="adaptive"),
        **{f"hold {every}": RunVariant(keyframes="all", every=every) for every in holds},
    }


def row(name: str, report: Report, base: Report) -> dict[str, Any]:
    """The figures of one choice, JSON-able; ``base`` has a key frame in every frame."""
    times = report.times
    return {
        "choice": name,
        **{figure: round(report.figures.values[figure], 4) for figure in FIGURES if figure in report.figures.values},
        "AP against key 1": round(report["mask AP"] - base["mask AP"], 4),
        "cpu_ms": round(times.mean_cpu_ms, 3),
        "wall_ms": round(times.mean_ms, 3),
        "cpu against key 1": round(times.mean_cpu_ms / max(1e-9, base.times.mean_cpu_ms), 3),
        "by_distance": [
            {"distance": one.distance, "frames": one.frames, "mask AP": None if one.ap is None else round(one.ap, 4)}
            for one in report.figures.distances
        ],
    }


def pareto(rows: Sequence[dict[str, Any]]) -> set[str]:
    """The choices that none of the others beats in both precision and time."""
    return {
        one["choice"]
        for one in rows
        if not any(
            other["mask AP"] >= one["mask AP"]
            and other["cpu_ms"] <= one["cpu_ms"]
            and (other["mask AP"], -other["cpu_ms"]) != (one["mask AP"], -one["cpu_ms"])
            for other in rows
        )
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows in Markdown; those on the front are marked."""
    front = pareto(rows)
    lines = [
        "| key frames | mask AP | AP50 | against key 1 | CPU ms a frame | of key 1 | on the front |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in rows:
        cells = (
            one["choice"], f"{one['mask AP']:.3f}", f"{one['mask AP50']:.3f}", f"{one['AP against key 1']:+.3f}",
            f"{one['cpu_ms']:.1f}", f"{one['cpu against key 1']:.2f}", "yes" if one["choice"] in front else "",
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _show_progress(done: int, total: int) -> None:
    print(f"\r{done}/{total} frames", end="", file=sys.stderr, flush=True)


def bench(
    model: str, data: str, *, frames: int | None = None, precision: str = "auto", threads: int = 1, quiet: bool = False
) -> dict[str, Any]:
    """Measure all choices; figures, JSON-able."""
    with load_model(model, precision=precision, threads=threads, min_score=MIN_SCORE, max_detections=100) as loaded:
        reports = evaluate_variants(
            loaded, data, variants(), scope=Scope(frames=frames),
            progress=None if quiet else _show_progress,
        )  # fmt: skip
    if not quiet:
        print(file=sys.stderr)
    base = reports["key 1"]
    rows = [row(choice, report, base) for choice, report in reports.items()]
    about = base.to_dict()
    settings = {"min_score": MIN_SCORE, "threads": threads, "frames": base.frames, "clips": base.clips}
    return {"model": about["model"], "data": about["data"], "settings": settings, "rows": rows}


def main() -> None:
    """Measure; print the table, and write the figures with ``-o``."""
    parser = argparse.ArgumentParser(prog="python -m vidgraph.benchmarks.bench_temporal", description=__doc__)
    parser.add_argument("--model", required=True, metavar="NAME[=FILE]", help="a video model")
    parser.add_argument("--data", required=True, metavar="ADDRESS", help="a data set of videos with masks")
    parser.add_argument("--frames", type=int, help="at most so many, of all clips together")
    parser.add_argument("--precision", default="auto", help="of the engine (default auto)")
    parser.add_argument(
        "--threads", type=int, default=1, help="of the engine (default 1: CPU time is that of one core)"
    )
    parser.add_argument("-o", "--output", type=Path, help="also write the figures as JSON")
    options = parser.parse_args()
    figures = bench(
        options.model, options.data, frames=options.frames, precision=options.precision, threads=options.threads
    )
    print(table(figures["rows"]))
    if options.output:
        save(options.output, "temporal", figures)


if __name__ == "__main__":
    main()

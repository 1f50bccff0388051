"""The table of key-frame choices: which it has, and which of them are on the front."""

from __future__ import annotations

from typing import Any

from vidgraph.benchmarks.bench_temporal import pareto, row, table, variants
from vidgraph.pipeline.results.format import ModelInfo
from vidgraph.training.evaluation import Figures, Report, Times


def measured(ap: float, cpu_ms: float) -> Report:
    figures = Figures({"mask AP": ap, "mask AP50": ap})
    return Report(ModelInfo("m"), "d", "default", {}, 1, 2, figures, Times([cpu_ms, cpu_ms], [cpu_ms, cpu_ms]))


def test_the_choices() -> None:
    chosen = variants()
    assert list(chosen) == [
        "key 1", "key 2", "key 5", "key 10", "key 20", "adaptive", "hold 2", "hold 5", "hold 10", "hold 20",
    ]  # fmt: skip
    assert (chosen["hold 5"].keyframes, chosen["hold 5"].every) == ("all", 5)


def test_the_front_and_the_table() -> None:
    reports = {"key 1": measured(0.5, 40.0), "key 5": measured(0.49, 30.0), "key 9": measured(0.4, 35.0)}
    rows: list[dict[str, Any]] = [row(name, report, reports["key 1"]) for name, report in reports.items()]
    assert pareto(rows) == {"key 1", "key 5"}
    assert table(rows).splitlines()[3] == "| key 5 | 0.490 | 0.490 | -0.010 | 30.0 | 0.75 | yes |"
    assert table(rows).splitlines()[4] == "| key 9 | 0.400 | 0.400 | -0.100 | 35.0 | 0.88 |  |"

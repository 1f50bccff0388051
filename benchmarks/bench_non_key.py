"""Cheaper graphs for non-key frames: what leaving parts of them out costs in precision and saves in time.

    python -m vidgraph.benchmarks.bench_non_key --weights yolact-edge-tiny.pth --data 'synth:street?split=hard'

All have the same weights, which were trained for the whole graph, so that precision is a lower bound of what a training
for the cheaper graph would give; time is exact. One graph after the other, each with key frames of its own beside it
(``key 1``): the ratio to those is what compares.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..models.base import load_model
from ..models.checkpoint import _network_shapes, read_state_dict
from ..models.evaluate import Scope, Variant, evaluate_variants
from ..models.export import export
from ..models.yolact_edge.config import CONFIGS, YolactConfig
from .bench_temporal import MIN_SCORE, row
from .harness import save

MODEL = "yolact-edge-tiny"
INTERVAL = 5


def graphs() -> dict[str, YolactConfig]:
    """By name: the model's own, and what leaves parts of it out."""
    own = CONFIGS[MODEL]
    return {
        "as it is": own,
        "prototypes carried": replace(own, carry_protos=True),
        "no refinement": replace(own, spa=False),
        "both": replace(own, carry_protos=True, spa=False),
    }


@contextmanager
def configured(config: YolactConfig) -> Iterator[None]:
    """The model has another configuration meanwhile."""
    own = CONFIGS[MODEL]
    CONFIGS[MODEL] = config
    _network_shapes.cache_clear()
    try:
        yield
    finally:
        CONFIGS[MODEL] = own
        _network_shapes.cache_clear()


def measure(weights: Path, data: str, config: YolactConfig, *, frames: int | None, precision: str) -> dict[str, Any]:
    """Key frames alone, and one in ``INTERVAL``, of one graph."""
    import torch

    choices = {"key 1": Variant(keyframes=1), f"key {INTERVAL}": Variant(keyframes=INTERVAL)}
    with tempfile.TemporaryDirectory() as folder, configured(config):
        kept = {name: value for name, value in read_state_dict(weights).items() if config.spa or name[:4] != "spa."}
        torch.save(kept, Path(folder) / "weights.pth")
        file = export(MODEL, Path(folder) / "weights.pth", path=Path(folder) / "graph.onnx")
        with load_model(
            MODEL, weights=file, precision=precision, threads=1, min_score=MIN_SCORE, max_detections=100
        ) as loaded:
            reports = evaluate_variants(loaded, data, choices, scope=Scope(frames=frames))
    return row(f"key {INTERVAL}", reports[f"key {INTERVAL}"], reports["key 1"])


def table(rows: dict[str, dict[str, Any]]) -> str:
    """The rows in Markdown."""
    lines = [
        "| non-key graph | mask AP | AP50 | against key 1 | CPU ms a frame | of key 1 |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {one['mask AP']:.3f} | {one['mask AP50']:.3f} | {one['AP against key 1']:+.3f} "
        f"| {one['cpu_ms']:.1f} | {one['cpu against key 1']:.2f} |"
        for name, one in rows.items()
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure; print the table, and write the figures with ``-o``."""
    parser = argparse.ArgumentParser(prog="python -m vidgraph.benchmarks.bench_non_key", description=__doc__)
    parser.add_argument("--weights", required=True, type=Path, help=f"a checkpoint of {MODEL}")
    parser.add_argument("--data", required=True, metavar="ADDRESS", help="a data set of videos with masks")
    parser.add_argument("--frames", type=int, help="at most so many, of all clips together")
    parser.add_argument("--precision", default="auto", help="of the engine (default auto)")
    parser.add_argument("-o", "--output", type=Path, help="also write the figures as JSON")
    options = parser.parse_args()
    rows = {
        name: measure(options.weights, options.data, config, frames=options.frames, precision=options.precision)
        for name, config in graphs().items()
    }
    print(table(rows))
    if options.output:
        save(options.output, "non_key", {"data": options.data, "frames": options.frames, "rows": rows})


if __name__ == "__main__":
    main()

"""Cheaper graphs for non-key frames: what leaving parts of them out costs in precision and saves in time.

    python -m vidgraph.benchmarks.bench_non_key --weights yolact-edge-tiny.pth --data 'synth:street?split=hard'

All have the same weights, which were trained for the whole graph, so that precision is a lower bound of what a training
for the cheaper graph would give; time is exact. A slimmer head is trained, for ``--fit`` steps on the split for
training with everything else as it is, beginning as the model's own without its last convolutions; so is, to compare, a
second head that is as large. One graph after the other, each with key frames of its own beside it (``key 1``): the
ratio to those is what compares.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..models.export.export import export
from ..models.load import load_model
from ..models.registry import find_model
from ..models.weights.checkpoint import _network_shapes, read_state_dict
from ..models.yolact_edge.config import CONFIGS, YolactConfig
from ..pipeline.types.picture import Size
from ..training.evaluation import RunVariant, Scope, evaluate_variants
from ..training.frame_cache import FrameCache
from .bench_temporal import MIN_SCORE, row as row_of
from .harness import save

MODEL = "yolact-edge-tiny"
INTERVAL = 5
TRAINING, CACHED = "synth:street?split=train&flow=1", (450, 800)
"""What heads are trained on, and (height, width) of the frames as the model's own training kept them."""
OWN_HEAD, KEY_HEAD = "prediction_layers.1.", "prediction_layers.0."


def graphs() -> dict[str, YolactConfig]:
    """By name: the model's own, and what leaves parts of it out."""
    own = CONFIGS[MODEL]
    return {
        "as it is": own,
        "prototypes carried": replace(own, carry_protos=True),
        "no refinement": replace(own, spa=False),
        "both": replace(own, carry_protos=True, spa=False),
        "P3 to P6": replace(own, slim_levels=4),
        "P3 to P5": replace(own, slim_levels=3),
        "a second head": replace(own, slim_depth=own.head_depth),
        "a head with one convolution": replace(own, slim_depth=1),
        "a head with none": replace(own, slim_depth=0),
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


def fit(
    weights: dict[str, Any], cache: FrameCache, folder: Path, *, size: Size, steps: int, precision: str
) -> dict[str, Any]:
    """Train the head of non-key frames, of the configuration that the model has meanwhile, and nothing else.

    Args:
        weights: of the rest.
        cache: the frames.
        folder: for the training.
        size: (height, width) of the input.
        steps: of 8 pairs of frames each.
        precision: of the training.

    Returns:
        all weights.
    """
    import torch

    from ..training.loop import Trainer
    from ..training.settings import TrainSettings
    from ..training.state import WEIGHTS
    from ..training.tasks import open_task, trainable

    row = find_model(MODEL)
    family = trainable(row)
    network = family.network(MODEL)
    begun = {name: weights.get(name.replace(OWN_HEAD, KEY_HEAD), value) for name, value in network.state_dict().items()}
    network.load_state_dict(begun)
    for name, each in network.named_parameters():
        each.requires_grad_(name.startswith(OWN_HEAD))
    settings = TrainSettings(
        stage="video", steps=steps, batch=8, processes=1, lr=3e-3, warmup=50, ema_decay=0.99, flow=0.0,
        freeze_bn=True, precision=precision,
    )  # fmt: skip
    torch.set_num_threads(settings.process_threads)

    def opened(given: Any) -> Any:
        return open_task(row, family, cache, settings, size=size, network=given)

    Trainer(opened(network), opened, settings, folder).run()
    return read_state_dict(folder / WEIGHTS)


def measure(
    weights: Path, data: str, config: YolactConfig, *, frames: int | None, precision: str, fitted: tuple[int, str]
) -> dict[str, Any]:
    """Key frames alone, and one in ``INTERVAL``, of one graph; ``fitted``: steps and precision of a head's training."""
    import torch

    from ..training.render_frames import frame_cache

    choices = {"key 1": RunVariant(keyframes=1), f"key {INTERVAL}": RunVariant(keyframes=INTERVAL)}
    with tempfile.TemporaryDirectory() as folder, configured(config):
        kept = {name: value for name, value in read_state_dict(weights).items() if config.spa or name[:4] != "spa."}
        if config.slim_depth is not None:
            cache = frame_cache(TRAINING, CACHED, processes=2)
            kept = fit(kept, cache, Path(folder), size=config.size, steps=fitted[0], precision=fitted[1])
        torch.save(kept, Path(folder) / "weights.pth")
        file = export(MODEL, Path(folder) / "weights.pth", path=Path(folder) / "graph.onnx")
        with load_model(
            MODEL, weights=file, precision=precision, threads=1, min_score=MIN_SCORE, max_detections=100
        ) as loaded:
            reports = evaluate_variants(loaded, data, choices, scope=Scope(frames=frames))
    return row_of(f"key {INTERVAL}", reports[f"key {INTERVAL}"], reports["key 1"])


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
    parser.add_argument("--fit", type=int, default=600, metavar="STEPS", help="of each head's training (default 600)")
    parser.add_argument("--fit-precision", choices=("fp32", "bf16"), default="fp32", help="of these trainings")
    parser.add_argument("-o", "--output", type=Path, help="also write the figures as JSON")
    options = parser.parse_args()
    rows = {
        name: measure(
            options.weights,
            options.data,
            config,
            frames=options.frames,
            precision=options.precision,
            fitted=(options.fit, options.fit_precision),
        )
        for name, config in graphs().items()
    }
    print(table(rows))
    if options.output:
        about = {"data": options.data, "frames": options.frames, "fit": options.fit}
        save(options.output, "non_key", {**about, "rows": rows})


if __name__ == "__main__":
    main()

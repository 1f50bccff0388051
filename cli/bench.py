"""The commands bench and compare."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..pipeline.errors import OutputError, UsageError
from .run import labels
from .terminal import say, show


def compare(options: argparse.Namespace) -> int:
    """Two engines on the same frames."""
    from ..benchmarks.compare_engines import compare_engines
    from ..models.custom.open import own_file
    from ..models.registry import find_model
    from ..models.run import named_model

    if not options.model:
        raise UsageError("--model is missing; vidgraph models lists them")
    name, weights = named_model(options.model)
    other, other_weights = named_model(options.other_model) if options.other_model else (name, None)
    own = [own_file(*each) is not None for each in ((name, weights), (other, other_weights))]
    if all(own):
        other_weights = other_weights or other
    elif any(own) or find_model(other) is not find_model(name):
        raise UsageError(f"compare takes two files of one model, got {name} and {other}")
    compared = compare_engines(
        options.source,
        name,
        weights=weights,
        other_weights=other_weights,
        reference=options.a,
        other=options.b,
        size=options.size,
        frames=options.frames,
        head=options.head,
        labels=labels(options.labels),
        max_pixels=options.max_pixels,
    )
    show(compared.table)
    if compared.results is not None:
        show(compared.results)
    say(f"worst of {compared.frames} frame{'s' if compared.frames != 1 else ''}")
    return 0


def bench(options: argparse.Namespace) -> int:
    """Measure each part alone, and the whole."""
    from ..benchmarks.harness import save
    from ..benchmarks.parts import bench as measure
    from ..models.run import named_model

    if not options.model:
        raise UsageError("--model is missing; vidgraph models lists them")
    name, weights = named_model(options.model)
    if options.output and Path(options.output).exists() and not options.overwrite:
        raise OutputError(f"{options.output} exists already; -y (overwrite) replaces it, or name another file")
    figures = measure(
        options.source,
        name,
        weights=weights or options.weights,
        frames=options.frames,
        preset=options.preset,
        threads=options.threads,
        size=options.size,
        device=options.device,
        engine=options.engine,
        precision=options.precision,
        min_score=options.min_score,
        nms_iou=options.nms_iou,
        max_detections=options.max_detections,
        nms=options.nms,
        keyframes=options.keyframes,
        batch_non_key=options.batch_non_key,
        max_pixels=options.max_pixels,
        head=options.head,
        labels=labels(options.labels),
    )
    show(figures.table())
    if options.output:
        save(Path(options.output), "vidgraph bench", figures.to_dict(), overwrite=options.overwrite)
    return 0

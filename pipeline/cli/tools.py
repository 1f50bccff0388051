"""The commands besides running: models, pull, export, compare, bench, convert, info."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ..errors import OutputError, UsageError
from .jobs import labels
from .terminal import Progress, say, show, show_path


def models(options: argparse.Namespace) -> int:
    """List the models, or one in full."""
    from ...models.registry import MODELS, find_model
    from ...models.weights import weights_here

    if not options.name:
        show(f"{'model':<32} {'finds':<22} {'trained on':<17} {'weights here':<13} checked")
        for row in MODELS.values():
            trained_on = row.trained_on.partition(",")[0]
            here = "yes" if weights_here(row) else "no"
            show(f"{row.name:<32} {row.task:<22} {trained_on:<17} {here:<13} {row.status}")
        show("\nvidgraph models NAME says where a model and its weights come from; vidgraph pull NAME gets weights")
        return 0
    row = find_model(options.name)
    lines = [
        ("model", row.name),
        ("also", ", ".join(row.aliases) or "-"),
        ("finds", row.task),
        ("source", row.source),
        ("licence", row.licence),
        ("trained on", row.trained_on),
        ("checked", f"{row.status}: {row.verification}"),
        ("weights here", str(weights_here(row) or f"none; use --model {row.name}=FILE")),
    ]
    for file in row.weights:
        lines += [("file", file.file), ("  SHA-256", file.sha256 or "not known")]
        missing = "comes with the package" if file.shipped else "none to download from; see the source"
        lines += [("  address", file.address or missing)]
    for name, value in lines:
        show(f"{name:<14} {value}")
    return 0


def pull(options: argparse.Namespace) -> int:
    """Download published weights."""
    from ...models.pull import pull as download

    line = Progress(quiet=options.quiet)

    def progress(done: int, total: int | None) -> None:
        line.show(f"{done / 1e6:.1f} of {total / 1e6:.1f} MB" if total else f"{done / 1e6:.1f} MB")

    got = download(options.model, address=options.address, trust=options.trust, progress=progress)
    if not options.quiet:
        say(f"source {got.source}, licence {got.licence}")
        say(f"SHA-256 {got.sha256}{' (was here already)' if got.was_there else ''}")
    show_path(got.path)
    return 0


def export(options: argparse.Namespace) -> int:
    """Write a model as ONNX, or the TOML of a network of the user's own."""
    if options.template:
        from .own import template

        return template(options)
    if options.output is None:
        raise UsageError("no output was given; -o FILE.onnx")
    from ...models.export import default_size
    from ...models.export import export as write
    from ...models.registry import find_model
    from ...models.run import named_model
    from ...models.weights import Weights

    name, weights = named_model(options.model)
    if weights is None and Path(name).suffix.lower() == ".onnx" and Path(name).is_file():
        raise UsageError(f"{name} is an ONNX file already; --template writes the TOML that describes it")
    row = find_model(name)
    size = options.size or default_size(row)
    if isinstance(size, int):
        raise UsageError(f"export needs both sides of the input, such as --size {size}x{size * 9 // 16}")
    found = Weights.find(row, weights)
    path = write(
        row.name,
        found.path,
        size,
        options.batch,
        options.output,
        force=options.overwrite,
        precision=options.precision,
        calibrate=options.calibrate,
        frames=options.frames,
    )
    precision = Weights.find(row, path).precision
    say(f"{path}: {row.name}, input {size[1]}x{size[0]}, batch {options.batch}, {precision}")
    return 0


def compare(options: argparse.Namespace) -> int:
    """Two engines on the same frames."""
    from ...models.compare import compare_engines
    from ...models.own.open import own_file
    from ...models.registry import find_model
    from ...models.run import named_model

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
    from ...benchmarks.harness import save
    from ...benchmarks.parts import bench as measure
    from ...models.run import named_model

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
        throughput=options.throughput,
        max_pixels=options.max_pixels,
        head=options.head,
        labels=labels(options.labels),
    )
    show(figures.table())
    if options.output:
        save(Path(options.output), "vidgraph bench", figures.to_dict(), overwrite=options.overwrite)
    return 0


def convert(options: argparse.Namespace) -> int:
    """Convert a results file."""
    from ..convert import convert as write

    show_path(
        write(options.results, options.to, options.output, overwrite=options.overwrite, max_pixels=options.max_pixels)
    )
    return 0


def info(options: argparse.Namespace) -> int:
    """What this machine offers."""
    facts = machine_facts()
    if options.json:
        print(json.dumps(facts, indent=1))
        return 0
    for section, values in facts.items():
        show(section)
        for name, value in values.items():
            show(f"  {name:<20} {', '.join(map(str, value)) if isinstance(value, list) else value}")
    return 0


def machine_facts() -> dict[str, dict[str, Any]]:
    """Engines, instruction sets, codecs and GPU; plain JSON types."""
    from ..._version import __version__
    from ...engines.info import engine_info
    from ...kernels import instruction_set
    from ...stages.av_info import video_info
    from ..threads import available_cores

    engines = engine_info()
    return {
        "vidgraph": {"version": __version__, "python": sys.version.split()[0], "kernels": instruction_set()},
        "processor": {
            "model": engines["processor"]["model"],
            "cores": available_cores(),
            "instruction sets": engines["processor"]["instruction_sets"],
        },
        "engines": {name: _engine_line(row) for name, row in engines["engines"].items()},
        "cache": engines["cache"],
        "video": video_info(),
        "gpu": {"cuda": "this version runs on the CPU only"},
    }


def _engine_line(row: dict[str, Any]) -> str:
    if not row["installed"]:
        return f"not installed; pip install 'vidgraph[{row['extra']}]'"
    if "problem" in row:
        return f"broken: {row['problem']}"
    return f"{row['version']}; devices: {', '.join(row['devices'])}; precisions: {', '.join(row['precisions'])}"

"""The commands about models: models, pull, export."""

from __future__ import annotations

import argparse

from ..pipeline.errors import UsageError
from .options import passed
from .terminal import Progress, say, show, show_path


def models(options: argparse.Namespace) -> int:
    """List the models, or one in full."""
    from ..models.registry import MODELS, find_model
    from ..models.weights.find import weights_here

    if not options.name:
        show(f"{'model':<32} {'finds':<24} {'trained on':<17} {'weights here':<13} checked")
        for row in MODELS.values():
            trained_on = row.trained_on.partition(",")[0]
            here = "yes" if weights_here(row) else "no"
            show(f"{row.name:<32} {row.task:<24} {trained_on:<17} {here:<13} {row.status}")
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
        ("training", "vidgraph train" if row.training else "not here"),
        ("weights here", str(weights_here(row) or f"none; use --model {row.name}=FILE")),
    ]
    for file in row.weights:
        lines += [("file", file.file), ("  SHA-256", file.sha256 or "not known")]
        missing = "comes with the package" if file.pretrained else "none to download from; see the source"
        lines += [("  address", file.address or missing)]
    for name, value in lines:
        show(f"{name:<14} {value}")
    return 0


def pull(options: argparse.Namespace) -> int:
    """Download published weights."""
    from ..models.weights.download import pull as download

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
    """Write a model as ONNX or as a program of torch, or the TOML of a custom model."""
    if options.template:
        from .check import template

        return template(options)
    if options.output is None:
        raise UsageError("no output was given; -o FILE.onnx (or FILE.pt2)")
    from ..engines.network_file import PROGRAM
    from ..models.export.export import default_size, export as write, exportable
    from ..models.resolve import resolve_model
    from ..models.weights.find import Weights

    resolved = resolve_model(options.model)
    row = exportable(resolved)
    size = options.size or default_size(row)
    if isinstance(size, int):
        raise UsageError(f"export needs both sides of the input, such as --size {size}x{size * 9 // 16}")
    path = write(
        resolved,
        size=size,
        batch=options.batch,
        path=options.output,
        force=options.overwrite,
        **passed(options, write),
    )
    precision = "fp32" if path.suffix.lower() == PROGRAM else Weights.find(row, path).precision
    say(f"{path}: {row.name}, input {size[1]}x{size[0]}, batch {options.batch}, {precision}")
    return 0

"""The command eval."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from ..pipeline.claims import output_error, whole_file
from ..pipeline.errors import OutputError, UsageError
from .options import passed
from .terminal import Progress, say, show


def evaluate(options: argparse.Namespace) -> int:
    """``vidgraph eval``: the table on standard output, the JSON where it is asked for."""
    from ..training.evaluation import evaluate as run_evaluation

    if not options.model:
        raise UsageError("--model is missing; vidgraph models lists them")
    if not options.data:
        raise UsageError("--data is missing; synth:street?split=hard, coco:annotations.json, wider:LIST.txt, …")
    output = None if options.output is None else Path(options.output)
    if output is not None and output.exists() and not options.overwrite:
        raise OutputError(f"{output} exists already; -y (overwrite) replaces it, or name another file")
    report = run_evaluation(
        options.model,
        options.data,
        progress=_progress(Progress(quiet=options.quiet)),
        **passed(options, run_evaluation),
    )
    Progress.clear()
    show(report.table())
    if output is not None:
        _write(output, report.to_dict(), overwrite=options.overwrite)
        if not options.quiet:
            say(f"wrote {output}")
    return 0


def _progress(line: Progress) -> Any:
    """Shows how far it is, at most some times a second."""
    started = time.monotonic()
    shown = 0.0

    def show(done: int, total: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown >= 0.25 or done == total:
            shown = now
            rate = done / max(1e-9, now - started)
            line.show(f"{done}/{total} frames, {1000 / rate:.0f} ms each, {(total - done) / rate:.0f} s left")

    return show


def _write(path: Path, record: dict[str, Any], *, overwrite: bool) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(path, error) from error
    with whole_file(path, overwrite=overwrite) as part:
        part.write_text(json.dumps(record, indent=1) + "\n", "utf-8")

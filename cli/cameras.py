"""The commands for a file of cameras: run, and check-config."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from ..pipeline.cancel import StopOnSignal
from ..pipeline.errors import UsageError
from ..pipeline.options import OPTIONS
from ..pipeline.results.format import ModelInfo
from .terminal import Progress, progress_line, say, show

if TYPE_CHECKING:
    from ..models.config.cameras import Cameras

PROGRESS_S = 0.5
OF_THE_RUN = ("overwrite",)
"""Options that may be given besides a file of cameras; all others stand in it."""


def is_file_of_cameras(source: str) -> bool:
    """Whether a source is a file of cameras, by its name."""
    return source.lower().endswith(".toml")


def run_cameras(options: argparse.Namespace) -> int:
    """``vidgraph run cams.toml``: until all cameras are over, or a signal comes."""
    from ..models.config.cameras import live_from

    (file,) = options.sources
    given = [name for name in ("model", *OPTIONS) if _is_given(options, name) and name not in OF_THE_RUN]
    if given:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(
            f"{flags}: only -o, -y, -q and -v go with a file of cameras; what else it may have stands in {file}, for "
            "each camera, in [defaults] or in [run]"
        )
    with live_from(file, outputs=options.outputs, overwrite=options.overwrite or None) as cameras:
        if not cameras.has_outputs:
            raise UsageError(f"no output was given; -o '{{stream}}.jsonl', or outputs = ['{{stream}}.jsonl'] in {file}")
        return _execute(cameras, quiet=options.quiet)


def _is_given(options: argparse.Namespace, name: str) -> bool:
    value = getattr(options, name, None)
    return OPTIONS[name].is_set(value) if name in OPTIONS else value is not None


def _execute(cameras: Cameras, *, quiet: bool) -> int:
    if not quiet:
        for info in cameras.models:
            say(first_line(info))
    with StopOnSignal(cameras.cancel) as signals:
        progress = Progress(quiet=quiet)
        while True:
            try:
                stats = cameras.wait(PROGRESS_S)
                break
            except TimeoutError:
                if progress.shown:
                    progress.show("; ".join(progress_line(one) for one in cameras.stats))
    if not quiet:
        for one in stats:
            say(one.table())
    if signals.received is not None:
        return 128 + signals.received
    return 0 if all(one.complete for one in stats) else 3


def schema_text() -> str:
    """The JSON Schema of files of cameras, as JSON."""
    from ..models.config.read import json_schema

    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def check_config(options: argparse.Namespace) -> int:
    """``vidgraph check-config``: what is wrong with a file, a line each; what each camera is; or the schema."""
    from ..models.config.connect import connect
    from ..models.config.read import read_cameras

    if options.schema:
        print(schema_text(), end="")
        return 0
    if options.file is None:
        raise UsageError("no file was given; vidgraph check-config cams.toml")
    cameras = read_cameras(options.file)
    if not options.connect:
        for camera in cameras.cameras.values():
            show(camera.line())
        return 0
    all_there = True
    for name, there, said in connect(cameras):
        all_there = all_there and there
        show(f"{name}: {said}")
    return 0 if all_there else 1


def first_line(info: ModelInfo) -> str:
    """Model, what it finds, what it was trained on, engine, precision, device, input size."""
    size = "" if info.input_size is None else f", input {info.input_size[1]}x{info.input_size[0]}"
    trained = f"trained on: {info.trained_on}" if info.trained_on else ""
    about = "; ".join(filter(None, (info.task, trained)))
    return f"{info.name}{f' ({about})' if about else ''}: {info.engine} {info.precision} on {info.device}{size}"

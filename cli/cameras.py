"""The commands for a file of cameras: run, and check-config."""

from __future__ import annotations

import argparse
import json

from ..pipeline.errors import UsageError
from ..pipeline.options import OPTIONS
from .terminal import show
from .watch import say_models, watch

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
        say_models(cameras.models, quiet=options.quiet)
        return watch(cameras.wait, lambda: cameras.stats, cameras.cancel, quiet=options.quiet)


def _is_given(options: argparse.Namespace, name: str) -> bool:
    value = getattr(options, name, None)
    return OPTIONS[name].is_set(value) if name in OPTIONS else value is not None


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

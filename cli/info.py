"""The command info: what this machine offers."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from .terminal import show


def info(options: argparse.Namespace) -> int:
    """What this machine offers."""
    found = system_info()
    if options.json:
        print(json.dumps(found, indent=1))
        return 0
    for section, values in found.items():
        show(section)
        for name, value in values.items():
            show(f"  {name:<20} {', '.join(map(str, value)) if isinstance(value, list) else value}")
    return 0


def system_info() -> dict[str, dict[str, Any]]:
    """Engines, instruction sets, codecs and GPU; plain JSON types."""
    from .._version import __version__
    from ..engines.info import device_info, engine_info
    from ..kernels import instruction_set
    from ..pipeline.execution.threads import available_cores
    from ..stages.sources.av_info import video_info

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
        "gpu": device_info(),
    }


def _engine_line(row: dict[str, Any]) -> str:
    if not row["installed"]:
        return f"not installed; pip install 'vidgraph[{row['extra']}]'"
    if "problem" in row:
        return f"broken: {row['problem']}"
    return f"{row['version']}; devices: {', '.join(row['devices'])}; precisions: {', '.join(row['precisions'])}"

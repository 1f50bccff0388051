"""What of the engines is here, for ``vidgraph info``."""

from __future__ import annotations

from typing import Any

from ..kernels.device import DEVICES, HOST
from .cache import cache_limit_bytes, cache_root
from .open import ENGINES
from .processor import processor


def engine_info() -> dict[str, Any]:
    """The processor, the engines and the cache.

    Returns:
        ``{"processor": {"model": str, "instruction_sets": [str]}, "engines": {name: {"installed": True,
        "version", "devices", "precisions"} or {"installed": False, "extra"}}, "cache": {"folder", "limit_bytes"}}``
        of plain JSON types. An engine that is installed and cannot be imported has ``"problem"``.
    """
    return {
        "processor": {"model": processor().model, "instruction_sets": list(processor().instruction_sets)},
        "engines": {name: _describe(name) for name in ENGINES},
        "cache": {"folder": str(cache_root()), "limit_bytes": cache_limit_bytes()},
    }


def engine_packages() -> tuple[str, ...]:
    """Names of the packages that engines need, installed or not."""
    return tuple(row.package for row in ENGINES.values())


def device_info() -> dict[str, str]:
    """For each kind of device but the processor, what of it can be used here."""
    return {kind: _device_line(kind) for kind in DEVICES if kind != HOST.kind}


def _device_line(kind: str) -> str:
    rows = [row for row in ENGINES.values() if kind in row.devices]
    installed = [row.name for row in rows if row.installed_for(kind)]
    if not rows:
        return "this version runs on the CPU only"
    if not installed:
        return f"no engine for it is installed; pip install 'vidgraph[{rows[0].extra_for(kind)}]'"
    return f"{DEVICES[kind].count()} found; engines: {', '.join(installed)}"


def _describe(name: str) -> dict[str, Any]:
    row = ENGINES[name]
    if not row.installed:
        return {"installed": False, "extra": row.extra}
    try:
        description = row.load().describe()
    except Exception as error:  # a broken installation must not hide the others
        return {"installed": True, "problem": f"{type(error).__name__}: {error}"}
    return {
        "installed": True,
        "version": description.version,
        "devices": list(description.devices),
        "precisions": list(description.precisions),
    }

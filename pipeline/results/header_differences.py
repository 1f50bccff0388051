"""Where the headers of two results files differ: whether one run can go on with the results of another."""

from __future__ import annotations

import json
from typing import Any

from .record import Record


def header_differences(old: Record, new: Record) -> list[str]:
    """Where two headers differ in what results depend on, as ``settings.min_score: 0.5, now 0.3``.

    Versions of software are not compared.
    """
    differences = []

    def walk(name: str, before: Any, now: Any) -> None:
        if isinstance(before, dict) and isinstance(now, dict):
            for key in sorted(before.keys() | now.keys()):
                walk(f"{name}.{key}" if name else key, before.get(key), now.get(key))
        elif before != now:
            shown = ("nothing" if value is None else json.dumps(value) for value in (before, now))
            differences.append(f"{name}: {', now '.join(shown)}")

    parts = ("format", "models", "sources", "settings")
    walk("", {part: _by_name(old.get(part)) for part in parts}, {part: _by_name(new.get(part)) for part in parts})
    return differences


def _by_name(part: Any) -> Any:
    """Lists of named things as mappings, so that a difference is said by name."""
    if not isinstance(part, list):
        return part
    return {item.get("name", item.get("stream")): item for item in part}

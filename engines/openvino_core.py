"""OpenVINO itself, imported once and quietly."""

from __future__ import annotations

import sys
from functools import lru_cache
from types import ModuleType
from typing import Any


def _import_quietly() -> ModuleType:
    """Import OpenVINO without its telemetry.

    Its package sends an event to a server and writes an identifier into the home folder while it is
    imported, unless ``openvino_telemetry`` is absent: so it is, for the length of the import.
    """
    name = "openvino_telemetry"
    absent_for_now = name not in sys.modules
    if absent_for_now:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        import openvino
    finally:
        if absent_for_now:
            del sys.modules[name]
    module: ModuleType = openvino
    return module


ov = _import_quietly()


@lru_cache(maxsize=1)
def core() -> Any:
    """The one ``openvino.Core`` of this process."""
    return ov.Core()

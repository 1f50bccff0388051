"""Waits for what other threads bring about, and counts what they leave behind."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def until(condition: Callable[[], object], within_s: float = 60.0) -> None:
    """Wait until ``condition`` holds."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.005)


def until_no_thread_is_left() -> None:
    """Wait until no thread of vidgraph runs."""
    until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("vidgraph")])


def descriptors() -> int:
    """How many files and sockets this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def threads_and_descriptors() -> tuple[int, int]:
    """How many of each this process has."""
    return threading.active_count(), descriptors()


def frames_in(file: Path) -> list[dict[str, Any]]:
    """The whole lines of results so far, without the header."""
    text = file.read_text() if file.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True)[1:] if line.endswith("\n")]

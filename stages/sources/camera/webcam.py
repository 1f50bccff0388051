"""What Linux says of webcams."""

from __future__ import annotations

from pathlib import Path

NODES = Path("/sys/class/video4linux")


def capture_node(device: str) -> str | None:
    """The node of the same webcam that gives pictures, where ``device`` is another of its nodes; None: not known.

    A webcam has several nodes, with an index each: the first captures, others carry metadata.
    """
    name = Path(device).resolve().name  # what a link in /dev/v4l/by-id leads to
    try:
        beside = (NODES / name / "device" / "video4linux").iterdir()
        by_index = sorted((int((node / "index").read_text()), node.name) for node in beside)
    except (OSError, ValueError):
        return None
    return f"/dev/{by_index[0][1]}" if by_index and by_index[0][1] != name else None

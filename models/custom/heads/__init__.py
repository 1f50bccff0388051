"""The kinds of outputs that are understood: one module each, one row each."""

from __future__ import annotations

from importlib import import_module

from ..head import Fitting

HEADS: dict[str, str] = {
    "yolo": ".yolo",
    "yolo-end2end": ".yolo_end2end",
    "detr": ".detr",
    "ssd": ".ssd",
    "semantic": ".semantic",
    "classify": ".classify",
    "raw": ".raw",
}
"""Name -> module with ``fit``, imported when a file is looked at; see :mod:`..head`."""

WANTED: dict[str, str] = {
    "yolo": "one row for each place of its maps, [1, 4 + classes, rows] or [1, rows, 5 + classes]",
    "yolo-end2end": "rows [1, N, 6] of box, score and class",
    "detr": "boxes [1, N, 4] and logits [1, N, C], or labels, boxes and scores, or one output [1, N, 4 + C or 6]",
    "ssd": "boxes [1, P, 4] and scores [1, P, C], or labels, boxes and scores",
    "semantic": "one map [1, C, h, w]",
    "classify": "one output [1, C]",
    "raw": "any",
}
"""Name -> the outputs that it reads, for messages."""


OF_TASK: dict[str, tuple[str, ...]] = {
    "detect": ("yolo", "yolo-end2end", "detr", "ssd"),
    "segment": ("yolo", "yolo-end2end"),
    "pose": ("yolo", "yolo-end2end"),
    "obb": ("yolo", "yolo-end2end"),
    "classify": ("classify",),
    "semantic": ("semantic",),
}
"""Task, as a file's metadata or the TOML say it -> the heads that may read it."""


def fitting(kind: str) -> Fitting:
    """The function ``fit`` of a head by its name, a key of ``HEADS``."""
    fit: Fitting = import_module(HEADS[kind], __package__).fit
    return fit

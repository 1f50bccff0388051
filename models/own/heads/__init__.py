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


def fitting(kind: str) -> Fitting:
    """The function ``fit`` of a head by its name, a key of ``HEADS``."""
    fit: Fitting = import_module(HEADS[kind], __package__).fit
    return fit

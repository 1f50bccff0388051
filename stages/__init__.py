"""Sources, stages and sinks for graphs of one's own; the models' stages come from ``Model.stages()``.

Names are loaded when first used, so that importing one stage does not load the libraries of the others. By
address: ``stages.sources.registry.open_source`` and ``stages.sinks.registry.open_sink``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .drawing.draw import ANNOTATED, Draw
    from .drawing.draw_style import DrawStyle
    from .repeat_results import RepeatResults
    from .replay_results import ReplayResults
    from .sample import Sample
    from .sinks.callback import Callback
    from .sinks.images import WriteImages
    from .sinks.mjpeg import ServeMjpeg
    from .sinks.results import WriteResults
    from .sinks.tensors import WriteTensors
    from .sinks.video import EncodeVideo
    from .sinks.window import Window
    from .sources.images import ImageSource
    from .sources.video import VideoSource

_HOME = {
    "ANNOTATED": "drawing.draw",
    "Callback": "sinks.callback",
    "Draw": "drawing.draw",
    "DrawStyle": "drawing.draw_style",
    "EncodeVideo": "sinks.video",
    "ImageSource": "sources.images",
    "RepeatResults": "repeat_results",
    "ReplayResults": "replay_results",
    "Sample": "sample",
    "ServeMjpeg": "sinks.mjpeg",
    "VideoSource": "sources.video",
    "Window": "sinks.window",
    "WriteImages": "sinks.images",
    "WriteResults": "sinks.results",
    "WriteTensors": "sinks.tensors",
}

__all__ = [
    "ANNOTATED",
    "Callback",
    "Draw",
    "DrawStyle",
    "EncodeVideo",
    "ImageSource",
    "RepeatResults",
    "ReplayResults",
    "Sample",
    "ServeMjpeg",
    "VideoSource",
    "Window",
    "WriteImages",
    "WriteResults",
    "WriteTensors",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{home}", __name__), name)


def __dir__() -> list[str]:
    return __all__

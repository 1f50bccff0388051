"""Sources, stages and sinks for graphs of one's own; the models' stages come from ``Model.stages()``.

Names are loaded when first used, so that importing one stage does not load the libraries of the others. By
address: ``stages.open_source.open_source`` and ``stages.open_sink.open_sink``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .attach_results import AttachResults
    from .callback import Callback
    from .decode import VideoSource
    from .draw import ANNOTATED, Draw
    from .draw_style import DrawStyle
    from .encode import EncodeVideo
    from .hold import Hold
    from .images import ImageSource
    from .sample import Sample
    from .serve_mjpeg import ServeMjpeg
    from .window import Window
    from .write_images import WriteImages
    from .write_results import WriteResults
    from .write_tensors import WriteTensors

_HOME = {
    "ANNOTATED": "draw",
    "AttachResults": "attach_results",
    "Callback": "callback",
    "Draw": "draw",
    "DrawStyle": "draw_style",
    "EncodeVideo": "encode",
    "Hold": "hold",
    "ImageSource": "images",
    "Sample": "sample",
    "ServeMjpeg": "serve_mjpeg",
    "VideoSource": "decode",
    "Window": "window",
    "WriteImages": "write_images",
    "WriteResults": "write_results",
    "WriteTensors": "write_tensors",
}

__all__ = [
    "ANNOTATED",
    "AttachResults",
    "Callback",
    "Draw",
    "DrawStyle",
    "EncodeVideo",
    "Hold",
    "ImageSource",
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

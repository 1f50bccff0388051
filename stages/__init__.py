"""Sources, stages and sinks for your own graphs; the models' stages come from ``Model.stages()``.

Names are loaded when first used, so that importing one stage does not load the libraries of the others.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..pipeline.drawing.style import DrawStyle as DrawStyle
    from .drawing.draw import ANNOTATED as ANNOTATED, Draw as Draw
    from .motion_gate import MotionGate as MotionGate
    from .repeat_results import RepeatResults as RepeatResults
    from .replay_results import ReplayResults as ReplayResults
    from .sample import Sample as Sample
    from .sinks.callback import Callback as Callback
    from .sinks.images import WriteImages as WriteImages
    from .sinks.mjpeg import ServeMjpeg as ServeMjpeg
    from .sinks.publish import PublishVideo as PublishVideo
    from .sinks.registry import open_sink as open_sink
    from .sinks.results import WriteResults as WriteResults
    from .sinks.tensors import WriteTensors as WriteTensors
    from .sinks.video import EncodeVideo as EncodeVideo
    from .sinks.window import Window as Window
    from .sources.camera.options import CameraOptions as CameraOptions
    from .sources.camera.source import CameraSource as CameraSource
    from .sources.camera.status import CameraStatus as CameraStatus
    from .sources.images import ImageSource as ImageSource
    from .sources.registry import open_source as open_source
    from .sources.video import VideoSource as VideoSource
    from .traces import Tracer as Tracer

_HOME = {
    "ANNOTATED": "drawing.draw",
    "Draw": "drawing.draw",
    "DrawStyle": ".pipeline.drawing.style",
    "MotionGate": "motion_gate",
    "RepeatResults": "repeat_results",
    "ReplayResults": "replay_results",
    "Sample": "sample",
    "Callback": "sinks.callback",
    "WriteImages": "sinks.images",
    "ServeMjpeg": "sinks.mjpeg",
    "PublishVideo": "sinks.publish",
    "open_sink": "sinks.registry",
    "WriteResults": "sinks.results",
    "WriteTensors": "sinks.tensors",
    "EncodeVideo": "sinks.video",
    "Window": "sinks.window",
    "CameraOptions": "sources.camera.options",
    "CameraSource": "sources.camera.source",
    "CameraStatus": "sources.camera.status",
    "ImageSource": "sources.images",
    "open_source": "sources.registry",
    "VideoSource": "sources.video",
    "Tracer": "traces",
}
"""Where each public name is."""

__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{home}", __name__), name)


def __dir__() -> list[str]:
    return __all__

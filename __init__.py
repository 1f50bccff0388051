"""vidgraph: real-time video understanding for Python.

    import vidgraph

    for result in vidgraph.run("street.mp4", model="retinaface-1mb"):
        print(result.time_s, [d.score for d in result.detections])

Names are loaded when first used, so that ``import vidgraph`` is quick and imports no engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .models.load import load_model
    from .models.model import Model
    from .models.run import Run, run
    from .pipeline.errors import VidgraphError
    from .pipeline.execution.stats import RunStats
    from .pipeline.graph import Graph
    from .pipeline.packet import DETECTIONS, LANDMARKS, PANOPTIC, TENSORS, Frame, Key, Packet
    from .pipeline.results.frame_result import FrameResult
    from .pipeline.results.reader import read_results
    from .pipeline.stage import Sink, Source, Stage
    from .pipeline.types.detections import Detection, Detections
    from .pipeline.types.landmarks import Landmarks
    from .pipeline.types.masks import Masks
    from .pipeline.types.panoptic import PanopticMap
    from .pipeline.types.picture import Picture
    from .pipeline.types.tensors import Tensors

_HOME = {
    "run": "models.run",
    "Run": "models.run",
    "load_model": "models.load",
    "Model": "models.model",
    "Graph": "pipeline.graph",
    "Frame": "pipeline.packet",
    "Packet": "pipeline.packet",
    "Key": "pipeline.packet",
    "DETECTIONS": "pipeline.packet",
    "LANDMARKS": "pipeline.packet",
    "PANOPTIC": "pipeline.packet",
    "TENSORS": "pipeline.packet",
    "Picture": "pipeline.types.picture",
    "Detection": "pipeline.types.detections",
    "Detections": "pipeline.types.detections",
    "Landmarks": "pipeline.types.landmarks",
    "Masks": "pipeline.types.masks",
    "PanopticMap": "pipeline.types.panoptic",
    "FrameResult": "pipeline.results.frame_result",
    "RunStats": "pipeline.execution.stats",
    "Tensors": "pipeline.types.tensors",
    "VidgraphError": "pipeline.errors",
    "read_results": "pipeline.results.reader",
    "Sink": "pipeline.stage",
    "Source": "pipeline.stage",
    "Stage": "pipeline.stage",
}

__all__ = [
    "DETECTIONS",
    "LANDMARKS",
    "PANOPTIC",
    "TENSORS",
    "Detection",
    "Detections",
    "Frame",
    "FrameResult",
    "Graph",
    "Key",
    "Landmarks",
    "Masks",
    "Model",
    "Packet",
    "PanopticMap",
    "Picture",
    "Run",
    "RunStats",
    "Sink",
    "Source",
    "Stage",
    "Tensors",
    "VidgraphError",
    "__version__",
    "load_model",
    "read_results",
    "run",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'vidgraph' has no attribute {name!r}")
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

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
    from .models.config.cameras import Cameras as Cameras, live_from as live_from
    from .models.export.export import export as export
    from .models.live import Hub as Hub, live as live
    from .models.load import load_model as load_model
    from .models.model import Model as Model, ModelStream as ModelStream
    from .models.registry import MODELS as MODELS
    from .models.run import Run as Run, run as run
    from .models.weights.download import pull as pull
    from .pipeline.drawing.canvas import Layer as Layer
    from .pipeline.errors import (
        CheckpointError as CheckpointError,
        ConfigError as ConfigError,
        DeviceError as DeviceError,
        DownloadError as DownloadError,
        EngineError as EngineError,
        GraphError as GraphError,
        MissingExtraError as MissingExtraError,
        OutputError as OutputError,
        ResultsError as ResultsError,
        SourceError as SourceError,
        StageError as StageError,
        UsageError as UsageError,
        VidgraphError as VidgraphError,
    )
    from .pipeline.execution.stats import RunStats as RunStats
    from .pipeline.graph import Graph as Graph
    from .pipeline.ground_truth import GroundTruth as GroundTruth
    from .pipeline.packet import (
        DEPTH as DEPTH,
        DETECTIONS as DETECTIONS,
        EMBEDDING as EMBEDDING,
        LANDMARKS as LANDMARKS,
        MATTE as MATTE,
        PANOPTIC as PANOPTIC,
        PICTURE as PICTURE,
        TENSORS as TENSORS,
        Frame as Frame,
        Key as Key,
        Packet as Packet,
    )
    from .pipeline.results.convert import convert as convert
    from .pipeline.results.format import header_record as header_record, results_schema as results_schema
    from .pipeline.results.frame_result import FrameResult as FrameResult
    from .pipeline.results.reader import read_results as read_results
    from .pipeline.results.result_types.base import ResultType as ResultType
    from .pipeline.stage import EndReason as EndReason, Sink as Sink, Source as Source, Stage as Stage
    from .pipeline.types.detections import Detection as Detection, Detections as Detections
    from .pipeline.types.embedding import Embedding as Embedding
    from .pipeline.types.landmarks import Landmarks as Landmarks
    from .pipeline.types.maps import AlphaMatte as AlphaMatte, DepthMap as DepthMap
    from .pipeline.types.masks import Masks as Masks
    from .pipeline.types.panoptic import PanopticMap as PanopticMap
    from .pipeline.types.picture import Picture as Picture
    from .pipeline.types.tensors import Tensors as Tensors
    from .training.datasets.registry import open_dataset as open_dataset
    from .training.evaluation.evaluate import evaluate as evaluate

_HOME = {
    "Cameras": "models.config.cameras",
    "live_from": "models.config.cameras",
    "export": "models.export.export",
    "Hub": "models.live",
    "live": "models.live",
    "load_model": "models.load",
    "Model": "models.model",
    "ModelStream": "models.model",
    "MODELS": "models.registry",
    "Run": "models.run",
    "run": "models.run",
    "pull": "models.weights.download",
    "CheckpointError": "pipeline.errors",
    "ConfigError": "pipeline.errors",
    "DeviceError": "pipeline.errors",
    "DownloadError": "pipeline.errors",
    "EngineError": "pipeline.errors",
    "GraphError": "pipeline.errors",
    "MissingExtraError": "pipeline.errors",
    "OutputError": "pipeline.errors",
    "ResultsError": "pipeline.errors",
    "SourceError": "pipeline.errors",
    "StageError": "pipeline.errors",
    "UsageError": "pipeline.errors",
    "VidgraphError": "pipeline.errors",
    "RunStats": "pipeline.execution.stats",
    "Graph": "pipeline.graph",
    "GroundTruth": "pipeline.ground_truth",
    "DEPTH": "pipeline.packet",
    "DETECTIONS": "pipeline.packet",
    "EMBEDDING": "pipeline.packet",
    "Frame": "pipeline.packet",
    "Key": "pipeline.packet",
    "LANDMARKS": "pipeline.packet",
    "MATTE": "pipeline.packet",
    "PANOPTIC": "pipeline.packet",
    "PICTURE": "pipeline.packet",
    "Packet": "pipeline.packet",
    "TENSORS": "pipeline.packet",
    "convert": "pipeline.results.convert",
    "header_record": "pipeline.results.format",
    "results_schema": "pipeline.results.format",
    "ResultType": "pipeline.results.result_types.base",
    "Layer": "pipeline.drawing.canvas",
    "FrameResult": "pipeline.results.frame_result",
    "read_results": "pipeline.results.reader",
    "EndReason": "pipeline.stage",
    "Sink": "pipeline.stage",
    "Source": "pipeline.stage",
    "Stage": "pipeline.stage",
    "Detection": "pipeline.types.detections",
    "Detections": "pipeline.types.detections",
    "Embedding": "pipeline.types.embedding",
    "Landmarks": "pipeline.types.landmarks",
    "AlphaMatte": "pipeline.types.maps",
    "DepthMap": "pipeline.types.maps",
    "Masks": "pipeline.types.masks",
    "PanopticMap": "pipeline.types.panoptic",
    "Picture": "pipeline.types.picture",
    "Tensors": "pipeline.types.tensors",
    "open_dataset": "training.datasets.registry",
    "evaluate": "training.evaluation.evaluate",
}
"""Where each public name is."""

__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'vidgraph' has no attribute {name!r}")
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

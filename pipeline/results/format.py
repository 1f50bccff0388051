"""The one result format, ``vidgraph.results/1``: JSON lines, a header first, then one line for each frame.

``docs/results.md`` explains every field, ``results.schema.json`` (JSON Schema 2020-12) checks them.
What is not known is left out; there is no null and no NaN. Numbers are rounded, and a run with the
same pixels and engine writes the same bytes: there is no date in the header.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from importlib.resources import files
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..environment import noted_packages
from ..errors import UsageError
from ..packet import DETECTIONS, HELD_FROM, KEY_FRAME, LANDMARKS, PANOPTIC, TENSORS, Key, Packet
from ..redaction import redact, redact_address
from ..types.detections import Detections
from ..types.landmarks import Landmarks
from ..types.panoptic import PanopticMap
from ..types.tensors import Tensors

FORMAT = "vidgraph.results/1"
PIXEL_DECIMALS = 3
SCORE_DECIMALS = 5
TIME_DECIMALS = 6

Record: TypeAlias = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True, slots=True)
class ResultKeys:
    """Under which keys one model's results are in a packet.

    ``model`` is the model's name in the header; it is written into the objects where a run has several
    models. No key is shared by two models: one that gives no landmarks has None for them.
    """

    model: str = ""
    detections: Key[Detections] | None = DETECTIONS
    landmarks: Key[Landmarks] | None = LANDMARKS
    panoptic: Key[PanopticMap] | None = PANOPTIC
    tensors: Key[Tensors] | None = TENSORS


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What the header says of a model.

    Attributes:
        name: unique within the run.
        trained_on: the data set, as the model's page names it.
        weights: file name of the weights.
        weights_sha256: hash of that file.
        engine, precision, device: what runs the network, as in ``openvino``, ``bf16``, ``cpu``.
        input_size: (height, width) of the network's input.
        class_names: names of the classes, by class id.
        point_names: names of the points, in their order.
        task: what it finds, for the first line of a run; not in the header.
        panoptic: it gives panoptic maps.
    """

    name: str
    trained_on: str = ""
    weights: str = ""
    weights_sha256: str = ""
    engine: str = ""
    precision: str = ""
    device: str = ""
    input_size: tuple[int, int] | None = None
    class_names: tuple[str, ...] = ()
    point_names: tuple[str, ...] = ()
    task: str = ""
    panoptic: bool = False


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What the header says of a source; ``size`` is (height, width), ``rate`` frames per second, where known."""

    stream: str
    address: str = field(default="", repr=False)  # with its secrets
    size: tuple[int, int] | None = None
    rate: Fraction | float | None = None
    live: bool = False


def header_record(
    *,
    models: Sequence[ModelInfo] = (),
    sources: Sequence[SourceInfo] = (),
    settings: Mapping[str, Any] | None = None,
    versions: Mapping[str, str] | None = None,
) -> Record:
    """The first line of a results file.

    Args:
        models: one for each network of the run.
        sources: one for each stream; secrets are removed from the addresses.
        settings: what the results depend on, as the command line names it (``min_score``, …): texts,
            numbers, truth values, lists and mappings of them. Empty ones (None) are left out.
        versions: of the software; by default :func:`software_versions`.

    Raises:
        UsageError: two models or two sources have the same name.
    """
    for kind, names in (("models", [m.name for m in models]), ("sources", [s.stream for s in sources])):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UsageError(f"two {kind} are named {twice[0]!r}; results need a name of its own for each")
    return {
        "format": FORMAT,
        "models": [_model_record(model) for model in models],
        "sources": [_source_record(source) for source in sources],
        "settings": _without_secrets(settings or {}),
        "versions": dict(software_versions() if versions is None else versions),
    }


def software_versions() -> dict[str, str]:
    """Versions of Python, of vidgraph and of those libraries that this process has loaded."""
    versions = {"python": platform.python_version()}
    for name in ("vidgraph", "numpy", "av", *noted_packages(), "torch"):
        version = getattr(sys.modules.get(name), "__version__", None)
        if version is not None:
            versions[name] = str(version)
    return versions


def frame_record(packet: Packet, keys: Sequence[ResultKeys] = (ResultKeys(),)) -> Record:
    """The line of one frame.

    Args:
        packet: the frame, with what was found in it.
        keys: one entry for each model of the run; with more than one, every object and segment says
            its ``model``.

    Returns:
        A record of plain texts, numbers, lists and mappings. ``objects`` is there if the packet has
        detections or landmarks, be they empty: without it, nothing looked at the frame.
    """
    frame = packet.frame
    record: Record = {
        "stream": frame.stream_id,
        "frame": frame.index,
        "time_s": round(frame.pts_ns / 1e9, TIME_DECIMALS),
    }
    if frame.capture_ns is not None:
        record["captured_at"] = iso_time(frame.capture_ns)
    if frame.file is not None:
        record["file"] = frame.file
    record["epoch"] = frame.epoch
    record["size"] = [frame.picture.width, frame.picture.height]
    held_from = packet.get(HELD_FROM)
    if held_from is not None:
        record["held_from"] = held_from
    key_frame = packet.get(KEY_FRAME)
    if key_frame is not None:
        record["key_frame"] = key_frame
    if packet.drop_cause is not None:
        record["dropped"] = packet.drop_cause
    if frame.damaged:
        record["damaged"] = True
    for one in keys:
        named = {"model": one.model} if len(keys) > 1 else {}
        detections = None if one.detections is None else packet.get(one.detections)
        landmarks = None if one.landmarks is None else packet.get(one.landmarks)
        panoptic = None if one.panoptic is None else packet.get(one.panoptic)
        tensors = None if one.tensors is None else packet.get(one.tensors)
        if detections is not None or landmarks is not None:
            record.setdefault("objects", []).extend(named | item for item in _objects(detections, landmarks))
        if panoptic is not None:
            record.setdefault("segments", []).extend(named | item for item in _segments(panoptic))
        if tensors is not None:
            record.setdefault("tensors", []).extend(named | item for item in _tensors(tensors))
    return record


def dumps(record: Record) -> str:
    """A record as one line of ASCII JSON, without the line end.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    return _ENCODER.encode(record)


def schema() -> Record:
    """The JSON Schema (2020-12) of one line."""
    text = files(__package__).joinpath("results.schema.json").read_text("utf-8")
    loaded: Record = json.loads(text)
    return loaded


def iso_time(time_ns: int) -> str:
    """Nanoseconds since 1970 as ISO-8601 UTC with microseconds, as in ``2026-01-31T08:15:00.040000Z``."""
    moment = _EPOCH + timedelta(microseconds=time_ns // 1000)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _model_record(model: ModelInfo) -> Record:
    size = None if model.input_size is None else [model.input_size[1], model.input_size[0]]
    known = {
        "name": model.name,
        "trained_on": model.trained_on,
        "weights": model.weights,
        "weights_sha256": model.weights_sha256,
        "engine": model.engine,
        "precision": model.precision,
        "device": model.device,
        "input_size": size,
        "classes": list(model.class_names),
        "points": list(model.point_names),
        "panoptic": model.panoptic,
    }
    return {name: value for name, value in known.items() if value}


def _source_record(source: SourceInfo) -> Record:
    record: Record = {"stream": source.stream}
    if source.address:
        record["address"] = redact_address(source.address)
    if source.size is not None:
        record["size"] = [source.size[1], source.size[0]]
    if source.rate:
        record["rate"] = round(float(source.rate), 5)
    if source.live:
        record["live"] = True
    return record


def _without_secrets(value: Any) -> Any:
    """A copy in which texts are redacted and empty (None) entries of mappings are left out."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {str(name): _without_secrets(item) for name, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_secrets(item) for item in value]
    return value


def _rounded(array: NDArray[np.float32], decimals: int) -> NDArray[np.float64]:
    """Rounded in double precision, so that the shortest text has no more decimals; minus zero is zero."""
    rounded = array.astype(np.float64)
    np.round(rounded, decimals, out=rounded)
    rounded += 0.0
    return rounded


def _objects(detections: Detections | None, landmarks: Landmarks | None) -> list[Record]:
    """Detected objects in their order, then landmarks that belong to no detection."""
    objects = [] if detections is None else _detected(detections)
    if landmarks is None or not len(landmarks):
        return objects
    points = np.concatenate(
        [_rounded(landmarks.points, PIXEL_DECIMALS), _rounded(landmarks.scores, SCORE_DECIMALS)[..., None]], axis=2
    ).tolist()
    boxes = _rounded(landmarks.boxes, PIXEL_DECIMALS).tolist()
    for row, of in enumerate(landmarks.detection_rows.tolist()):
        if of >= len(objects):
            raise ValueError(
                f"landmarks row {row} belongs to detection {of}, the frame has {len(objects)};"
                " a stage that leaves detections out does so with packet.keep_rows(rows)"
            )
        if of >= 0:
            objects[of]["points"] = points[row]
            continue
        alone: Record = {"box": boxes[row]}
        if landmarks.track_ids[row] >= 0:
            alone["track"] = int(landmarks.track_ids[row])
        objects.append(alone | {"points": points[row]})
    return objects


def _detected(detections: Detections) -> list[Record]:
    names = detections.class_names
    boxes = _rounded(detections.boxes, PIXEL_DECIMALS).tolist()
    scores = _rounded(detections.scores, SCORE_DECIMALS).tolist()
    objects: list[Record] = [
        {"class": names[class_id], "class_id": class_id, "score": score, "box": box}
        for class_id, score, box in zip(detections.class_ids.tolist(), scores, boxes, strict=True)
    ]
    if detections.track_ids is not None:
        for item, track in zip(objects, detections.track_ids.tolist(), strict=True):
            if track >= 0:
                item["track"] = track
    if detections.masks is not None:
        for row, item in enumerate(objects):
            item["mask"] = detections.masks.rle(row)
    return objects


def _tensors(tensors: Tensors) -> list[Record]:
    """What the network gave, without the values."""
    return [
        {"name": name, "dtype": array.dtype.name, "shape": list(array.shape)} for name, array in tensors.arrays.items()
    ]


def _segments(panoptic: PanopticMap) -> list[Record]:
    records = []
    for segment, mask in zip(panoptic.segments, panoptic.rles(), strict=True):
        record: Record = {
            "id": segment.id,
            "class": segment.class_name,
            "class_id": segment.class_id,
            "is_thing": segment.is_thing,
            "area": segment.area_px,
        }
        if segment.score is not None:
            record["score"] = round(segment.score, SCORE_DECIMALS)
        if segment.track_id is not None:
            record["track"] = segment.track_id
        records.append(record | {"mask": mask})
    return records

"""The one result format, ``vidgraph.results/1``: JSON lines, a header first, then one line for each frame.

``docs/results.md`` explains every field, ``results.schema.json`` (JSON Schema 2020-12) checks them.
What is not known is left out; there is no null and no NaN. Numbers are rounded, except those in columns, and a run
with the same pixels and engine writes the same bytes: there is no date in the header.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from importlib.resources import files
from typing import Any, TypeVar

from ..environment import noted_packages
from ..errors import UsageError
from ..packet import HELD_FROM, KEY_FRAME, Key, Packet
from ..redaction import redact, redact_address
from .record import TIME_DECIMALS, Record
from .result_types import RESULT_TYPES
from .result_types.base import ResultType

FORMAT = "vidgraph.results/1"
T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True, slots=True)
class ResultKeys:
    """Under which keys one model's results are in a packet, so that several models coexist in one graph.

    Attributes:
        model: its name in the header; it is written into the records where a run has several models.
        keys: for the key of each type of results (``DETECTIONS``, …) that the model gives, the key under which it
            puts them; no two models share one. None: all types, under their own keys.
    """

    model: str = ""
    keys: Mapping[Key[Any], Key[Any]] | None = None

    def get(self, kind: Key[T]) -> Key[T] | None:
        """Where results of the type with this key are; None where the model gives none."""
        return kind if self.keys is None else self.keys.get(kind)

    def to(self, kind: Key[T]) -> Key[T]:
        """Where a stage puts results of the type with this key: there, where no other key is given."""
        return self.get(kind) or kind

    def found(self, packet: Packet, kind: Key[T]) -> T | None:
        """The results of the type with this key; None where the packet has none."""
        key = self.get(kind)
        return None if key is None else packet.get(key)

    def all(self) -> list[Key[Any]]:
        """The keys that are in use, in the order of the types."""
        return [key for kind in RESULT_TYPES if (key := self.get(kind)) is not None]


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
        gives: the names of the types of results that it gives.
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
    gives: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What the header says of a source; ``size`` is (height, width), ``rate`` frames per second, where known;
    ``decoder`` is the card that decodes it, empty or ``cpu`` where none does."""

    stream: str
    address: str = field(default="", repr=False)  # with its secrets
    size: tuple[int, int] | None = None
    rate: Fraction | float | None = None
    live: bool = False
    decoder: str = ""


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


Keep = Callable[[Packet, str, ResultType[Any], Any], str]
"""Writes what does not go into the line of a packet: gets the model's name, the type and the value, gives the file's
name beside the results."""


def frame_record(packet: Packet, keys: Sequence[ResultKeys] = (ResultKeys(),), *, keep: Keep | None = None) -> Record:
    """The line of one frame.

    Args:
        packet: the frame, with what was found in it.
        keys: one entry for each model of the run; with more than one, every object, segment, … says its ``model``.
        keep: writes the arrays of types that have files beside the results; None: they are left out.

    Returns:
        A record of plain texts, numbers, lists and mappings. ``objects`` is there if the packet has
        detections or landmarks, be they empty: without it, nothing looked at the frame.
    """
    frame = packet.frame
    record: Record = {
        "stream": frame.stream_id,
        "frame": frame.index,
        "time_s": round(frame.pts_ns / 1e9, TIME_DECIMALS),
        "captured_at": None if frame.capture_ns is None else iso_time(frame.capture_ns),
        "capture_clock": frame.capture_clock,
        "file": frame.file,
        "epoch": frame.epoch,
        "size": [frame.picture.width, frame.picture.height],
        "held_from": packet.get(HELD_FROM),
        "key_frame": packet.get(KEY_FRAME),
        "dropped": packet.drop_cause,
        "damaged": frame.damaged or None,
    }
    record = {name: value for name, value in record.items() if value is not None}
    for one in keys:
        written: dict[str, list[Record]] = {}
        for kind, row in RESULT_TYPES.items():
            value = one.found(packet, kind)
            if value is not None:
                items = written.setdefault(row.field, [])
                row.write(items, value)
                if row.suffix and keep is not None:
                    items[-1]["file"] = keep(packet, one.model, row, value)
        for field_name, items in written.items():
            named = [{"model": one.model} | item for item in items] if len(keys) > 1 else items
            record.setdefault(field_name, []).extend(named)
    return record


def dumps(record: Record) -> str:
    """A record as one line of ASCII JSON, without the line end.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    return _ENCODER.encode(record)


def results_schema() -> Record:
    """The JSON Schema (2020-12) of one line: ``results.schema.json`` with the parts of all types of results."""
    whole: Record = json.loads(files(__package__).joinpath("results.schema.json").read_text("utf-8"))
    model, frame = (whole["$defs"][part]["properties"] for part in ("model", "frame"))
    for kind, row in RESULT_TYPES.items():
        if row.marked:
            model[kind.name] = {"const": True, "description": f"It gives {row.what or row.field}."}
        item = frame.setdefault(row.field, {"type": "array", "items": _ITEM})["items"]
        properties = item["properties"] | dict(row.schema.get("properties", {}))
        frame[row.field]["items"] = {**item, **row.schema, "properties": properties}
    return whole


_ITEM: Record = {"type": "object", "additionalProperties": False, "properties": {"model": {"type": "string"}}}


def iso_time(time_ns: int) -> str:
    """Nanoseconds since 1970 as ISO-8601 UTC with microseconds, as in ``2026-01-31T08:15:00.040000Z``."""
    moment = _EPOCH + timedelta(microseconds=time_ns // 1000)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _model_record(model: ModelInfo) -> Record:
    known = {
        "name": model.name,
        "trained_on": model.trained_on,
        "weights": model.weights,
        "weights_sha256": model.weights_sha256,
        "engine": model.engine,
        "precision": model.precision,
        "device": model.device,
        "input_size": model.input_size and [model.input_size[1], model.input_size[0]],
        "classes": list(model.class_names),
        "points": list(model.point_names),
    }
    marks = {kind.name: True for kind, row in RESULT_TYPES.items() if row.marked and kind.name in model.gives}
    return {name: value for name, value in known.items() if value} | marks


def _source_record(source: SourceInfo) -> Record:
    known = {
        "stream": source.stream,
        "address": source.address and redact_address(source.address),
        "size": source.size and [source.size[1], source.size[0]],
        "rate": source.rate and round(float(source.rate), 5),
        "live": source.live,
        "decoder": "" if source.decoder == "cpu" else source.decoder,
    }
    return {name: value for name, value in known.items() if value or name == "stream"}


def _without_secrets(value: Any) -> Any:
    """A copy in which texts are redacted and empty (None) entries of mappings are left out."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {str(name): _without_secrets(item) for name, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_secrets(item) for item in value]
    return value


def first_keys(keys: Sequence[ResultKeys]) -> frozenset[Key[Any]]:
    """The first key of each model: its detections, or what it gives in place of these."""
    return frozenset(key for one in keys for key in one.all()[:1])

"""The tables of a file of cameras, as pydantic checks them and as the JSON Schema for editors has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, StringConstraints, WithJsonSchema

from ...pipeline.options import OPTIONS, SECONDS, Number, read_duration, read_size
from ...stages.areas import check_polygon
from ...stages.sources.camera.options import Corrupt, DecoderName, Deinterlace, Rotation, Transport
from ..pace import Overload
from .variables import check_variables

_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_. -]*$"
_POLYGON = {
    "type": "array",
    "minItems": 3,
    "items": {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "number", "minimum": 0, "maximum": 1}},
}


_KINDS = {str: "a string", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "a table"}


def kind_name(value: object) -> str:
    """What a value is, without what it says, which may be a secret."""
    return _KINDS.get(type(value), "a date or time")


def _read(expected: str, read: Callable[[Any], Any], *schemas: dict[str, Any]) -> tuple[PlainValidator, WithJsonSchema]:
    """A check of our own: ``read`` gives the value or raises ValueError; ``expected`` says so for other types."""
    kinds = {"string": str, "integer": int, "number": (int, float), "array": list}
    allowed = [kinds[schema["type"]] for schema in schemas]

    def check(value: Any) -> Any:
        if isinstance(value, bool) or not any(isinstance(value, kind) for kind in allowed):  # type: ignore[arg-type]
            raise ValueError(f"must be {expected}, got {kind_name(value)}")
        return read(value)

    return PlainValidator(check), WithJsonSchema({"anyOf": list(schemas)} if len(schemas) > 1 else dict(schemas[0]))


def _size(value: int | str) -> int | tuple[int, int]:
    return read_size(str(value))


def _seconds(value: float | str) -> float:
    return read_duration(str(value))


def _area(value: str | list[Any]) -> str | list[tuple[float, float]]:
    return value if isinstance(value, str) else check_polygon(value)


def _key(description: str, **limits: Any) -> Any:
    """A key that may be left out."""
    return Field(default=None, description=description, **limits)


def _option(name: str) -> Any:
    """The key of an option of ``vidgraph run``, with its line of help and its limits."""
    row = OPTIONS[name]
    return _key(row.help, **({"ge": row.read.low, "le": row.read.high} if isinstance(row.read, Number) else {}))


Name = Annotated[str, StringConstraints(pattern=_NAME)]
_TEXT, _INTEGER, _NUMBER = {"type": "string"}, {"type": "integer", "minimum": 1}, {"type": "number"}
_TEXTS = {"type": "array", "items": _TEXT}
Texts = list[str]
Size = Annotated[Any, *_read("a length of the longer side or 'WxH'", _size, _INTEGER, _TEXT)]
KeyFrames = Annotated[Any, *_read("a number of frames, 'adaptive' or 'all'", lambda value: value, _INTEGER, _TEXT)]
Labels = Annotated[
    Any, *_read("a list of names, or a file", lambda value: value, {"type": "array", "items": _TEXT}, _TEXT)
]
Duration = Annotated[Any, *_read("a time such as '100ms'", _seconds, _TEXT, _NUMBER)]
Polygon = Annotated[Any, *_read("a list of corners [x, y]", check_polygon, _POLYGON)]
Mask = Annotated[Any, *_read("an image file or a list of corners [x, y]", _area, _TEXT, _POLYGON)]
Secret = Annotated[str, *_read("a string", check_variables, _TEXT)]


class Table(BaseModel):
    """A table that refuses keys it does not know, and values of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Defaults(Table):
    """What holds for every camera that does not say otherwise itself."""

    model: str | None = _key("name of a model ('vidgraph models'), or the file of a custom model")
    weights: str | None = _option("weights")
    head: str | None = _option("head")
    min_score: float | None = _option("min_score")
    nms_iou: float | None = _option("nms_iou")
    nms: str | None = _option("nms")
    keyframes: KeyFrames = _option("keyframes")
    batch_non_key: bool | None = _option("batch_non_key")
    batch: int | None = _option("batch")
    max_detections: int | None = _option("max_detections")
    labels: Labels = _option("labels")
    size: Size = _option("size")
    device: str | None = _option("device")
    engine: str | None = _option("engine")
    precision: str | None = _option("precision")
    classes: Texts | None = _option("classes")
    every: int | None = _option("every")
    max_fps: float | None = _option("max_fps")
    when: Literal["motion"] | None = _option("when")
    ignore_motion: str | None = _option("ignore_motion")
    outputs: Texts | None = _key("outputs of this camera alone; {stream} stands for its name")
    user: Secret | None = _key("of the address, encoded as needed; ${NAME}: of the environment")
    password: Secret | None = _key("of the address, encoded as needed; ${NAME}: of the environment")
    as_camera: bool | None = _option("as_camera")
    transport: Transport | None = _option("transport")
    freeze_s: float | None = _option("freeze_s")
    give_up_s: float | None = _option("give_up_s")
    corrupt: Corrupt | None = _option("corrupt")
    decoder: DecoderName | None = _option("decoder")
    allow_redirect: bool | None = _key("follow RTSP redirections to other hosts, which get the password too")
    tls_pin: str | None = _key("file with the certificate that the camera must have (rtsps)")
    deinterlace: Deinterlace | None = _key("of interlaced pictures: auto (one field, at full size) or off")
    rotate: Rotation | None = _key("turn its pictures clockwise by 90, 180 or 270 degrees, after mirroring them")
    mirror: bool | None = _key("mirror its pictures left to right")


class Camera(Defaults):
    """One camera."""

    address: Secret = Field(description="rtsp://HOST/PATH, /dev/video0, a file, …; ${NAME}: of the environment")
    privacy_masks: list[Mask] | None = Field(
        default=None,
        description="areas that are black before anything sees the picture: images (white: black), or polygons",
    )
    zones: dict[Name, Polygon] | None = _key("named polygons; results say in which of them an object's foot is")


class Shared(Table):
    """What holds for the whole run."""

    outputs: Texts | None = _key("outputs for all cameras; with {stream}, one for each")
    overwrite: bool | None = _option("overwrite")
    encoder: str | None = _option("encoder")
    preset: str | None = _option("preset")
    threads: int | None = _option("threads")
    overload: Overload | None = _option("overload")
    max_latency: Duration = _option("max_latency")
    max_pixels: int | None = _option("max_pixels")
    stage_limit_s: float | None = _key("an inference that takes longer ends the run", gt=0, le=SECONDS.high)


class File(Table):
    """A file of cameras."""

    run: Shared = Field(default=Shared(), description="what holds for the whole run")
    defaults: Defaults = Field(
        default_factory=Defaults, description="what holds for each camera that says nothing else"
    )
    cameras: dict[Name, Camera] = Field(description="the cameras by their names", min_length=1)


TABLES: dict[str, type[Table]] = {"run": Shared, "defaults": Defaults, "cameras": Camera}


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a file of cameras."""
    schema = File.model_json_schema()
    found: dict[str, Any] = _without_null(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found, "title": "Cameras of vidgraph"}


def _without_null(part: Any) -> Any:
    """A schema without ``null``, which TOML does not have, and without the titles that pydantic makes of names."""
    if isinstance(part, list):
        return [_without_null(one) for one in part]
    if not isinstance(part, dict):
        return part
    cleaned = {
        key: _without_null(value)
        for key, value in part.items()
        if not (key == "default" and value is None) and not (key == "title" and isinstance(value, str))
    }
    options = [one for one in cleaned.get("anyOf", ()) if one != {"type": "null"}]
    if len(options) == 1:
        del cleaned["anyOf"]
        cleaned = {**options[0], **cleaned}
    elif options:
        cleaned["anyOf"] = options
    return cleaned

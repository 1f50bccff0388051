"""The table of options: each is declared once, by a row.

The command line, its help and its page, what ``run`` passes to ``load_model``, and the settings in the header of
results follow from it. The signatures of ``run`` and ``load_model`` are written out for editors and type checkers; a
test holds them to the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

from .limits import MAX_PIXELS

Owner = Literal["model", "run", "output"]
T = TypeVar("T")
_RUN = "vidgraph run in.mp4 --model retinaface-1mb -o out.jsonl"
_DRAWN = "vidgraph run in.mp4 --model retinaface-1mb -o out.mp4"
_CAMERA = "vidgraph run rtsp://10.0.0.8/main --model retinaface-1mb -o out.jsonl"
_VIDEO = "vidgraph run in.mp4 --model yolact-edge-vid-resnet50 -o out.jsonl"


@dataclass(frozen=True, slots=True)
class Number:
    """Reads a number of ``kind`` within [low, high]; ``expected`` describes it in errors of the command line."""

    kind: Callable[[str], float]
    low: float
    high: float
    expected: str

    def __call__(self, text: str) -> float:
        try:
            value = self.kind(text)
        except ValueError:
            value = float("nan")
        if not self.low <= value <= self.high:
            raise ValueError(f"expected {self.expected}, got {text!r}")
        return value


LARGEST = 2**31 - 1
PROBABILITY = Number(float, 0.0, 1.0, "a number from 0 to 1")
COUNT = Number(int, 1, LARGEST, "a whole number from 1")
SECONDS = Number(float, 1e-3, 1e9, "seconds above 0")
FPS = Number(float, 1e-3, 1e6, "frames per second above 0")


def read_size(text: str) -> int | tuple[int, int]:
    """``640`` -> 640 (longer side), ``1280x720`` -> (720, 1280) as (height, width)."""
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise ValueError(f"expected 640 (longer side) or 1280x720, got {text!r}")
    return int(parts[0]) if len(parts) == 1 else (int(parts[1]), int(parts[0]))


def read_time(text: str) -> float:
    """Seconds, or ``minutes:seconds``, or ``hours:minutes:seconds``."""
    seconds = 0.0
    try:
        for part in text.split(":"):
            seconds = seconds * 60 + float(part)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf") or text.count(":") > 2:
        raise ValueError(f"expected seconds or [hours:]minutes:seconds, got {text!r}")
    return seconds


def read_duration(text: str) -> float:
    """``100ms``, ``0.1s`` and ``0.1`` -> 0.1 seconds."""
    number, unit = text.strip().lower(), 1.0
    for suffix, seconds in (("ms", 1e-3), ("s", 1.0)):
        if number.endswith(suffix):
            number, unit = number.removesuffix(suffix), seconds
            break
    try:
        value = float(number) * unit
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ValueError(f"expected a time above 0 such as 100ms or 2s, got {text!r}")
    return value


def read_names(text: str) -> list[str]:
    """``a, b`` -> ``["a", "b"]``."""
    return [name.strip() for name in text.split(",")]


def read_labels(text: str) -> str | list[str]:
    """``a,b`` -> names; a text that looks like a file stays one, for the model to read."""
    import os
    from pathlib import Path

    if Path(text).suffix in (".txt", ".names", ".json", ".yaml") or "/" in text:
        return text
    return text if os.path.isfile(text) else read_names(text)  # noqa: PTH113  Path.is_file raises for many names


@dataclass(frozen=True, slots=True)
class OptionRow:
    """One option.

    Attributes:
        name: the parameter in Python; the command line has ``-`` for ``_``.
        read: makes the value of a text, or raises ValueError; None: a switch, or one of ``values``.
        default: the value where none is given; None: the model or the source decides.
        help: a line for the command line's help.
        belongs: ``model``: for ``load_model``, which ``run`` passes it to; ``run``: how frames go through; ``output``.
        example: a whole command that uses it; "": Python only.
        metavar: what help calls its value.
        short: a second flag.
        values: of a choice with a flag for each value: the value, and its line of help.
        in_header: results depend on it, so that their header names it.
    """

    name: str
    read: Callable[[str], Any] | None
    default: Any
    help: str
    belongs: Owner
    example: str = ""
    metavar: str | None = None
    short: str = ""
    values: Mapping[str, str] | None = None
    in_header: bool = False

    def is_set(self, value: object) -> bool:
        """Whether ``value`` is another than the default."""
        return value is not None and (self.default is None or value != self.default)


# In the order of the header, and within model, run and output of the help. One option, two lines: a table.
# fmt: off
_ROWS = (
    OptionRow("weights", str, None, "a checkpoint or an exported file", "model"),
    OptionRow("head", str, None, "raw: the network's output tensors; for a custom ONNX model: yolo, detr, …", "model",
              "vidgraph run in.mp4 --model retinaface-1mb --head raw -o 'tensors/%06d.npz'", "KIND", in_header=True),
    OptionRow("min_score", PROBABILITY, None, "keep detections that score above this", "model",
              f"{_RUN} --min-score 0.7", "P", in_header=True),
    OptionRow("nms_iou", PROBABILITY, None, "drop boxes whose IoU with a better one is above this", "model",
              f"{_RUN} --nms-iou 0.3", "P", in_header=True),
    OptionRow("nms", str, None, "NMS variant, where a model has several: fast, cross-class or traditional", "model",
              "vidgraph run in.mp4 --model yolact-edge-resnet50 -o out.jsonl --nms cross-class", "KIND",
              in_header=True),
    OptionRow("keyframes", str, None, "video models: every N frames (default 5, tiny 2), adaptive or all", "model",
              f"{_VIDEO} --keyframes adaptive", "N", in_header=True),
    OptionRow("batch_non_key", None, False, "video models: run the frames between key frames as one batch", "model",
              f"{_VIDEO} --batch-non-key"),
    OptionRow("max_detections", COUNT, None, "at most this many detections per frame", "model",
              f"{_RUN} --max-detections 20", "N", in_header=True),
    OptionRow("classes", read_names, None, "keep only these classes", "model",
              f"{_RUN} --classes face", "A,B", in_header=True),
    OptionRow("labels", read_labels, None, "names for the classes, or a file with one per line", "model",
              f"{_DRAWN} --labels visitor", "A,B|FILE"),
    OptionRow("size", read_size, None, "network input: longer side, or exact size", "model",
              f"{_RUN} --size 320", "N|WxH"),
    OptionRow("device", str, "auto", "auto, cpu or cuda:N", "model",
              f"{_RUN} --device cpu", "D"),
    OptionRow("engine", str, "auto", "auto, openvino or onnxruntime", "model",
              f"{_RUN} --engine onnxruntime", "E"),
    OptionRow("precision", str, "auto", "auto, fp32, bf16, fp16 or int8", "model",
              f"{_RUN} --precision fp32", "P"),
    OptionRow("start", read_time, None, "start at this time: 12.5 or 1:02:03", "run",
              f"{_RUN} --start 0.2", "T", in_header=True),
    OptionRow("end", read_time, None, "stop before this time", "run",
              f"{_RUN} --end 0.5", "T"),
    OptionRow("frames", COUNT, None, "at most this many frames per stream", "run",
              f"{_RUN} --frames 10", "N"),
    OptionRow("policy", None, None, "which frames go through", "run",
              f"{_RUN} --lossless", in_header=True,
              values={"lossless": "every frame (default for files)", "latest": "newest frame only, in real time"}),
    OptionRow("deterministic", None, False, "identical bits on every run, even for damaged input; slower", "run",
              f"{_RUN} --deterministic", in_header=True),
    OptionRow("every", COUNT, None, "run the model on every Nth frame and repeat its result in between", "run",
              f"{_DRAWN} --every 3", "N", in_header=True),
    OptionRow("max_fps", FPS, None, "run the model at most F times a second and repeat its result in between", "run",
              f"{_DRAWN} --max-fps 10", "F", in_header=True),
    OptionRow("overload", str, None, "live: what gives way where the model is slow: drop, skip or stretch", "run",
              "vidgraph run in.mp4 --latest --model retinaface-1mb -o out.jsonl --overload skip", "WAY"),
    OptionRow("max_latency", read_duration, None, "live: results within this time of the model's start (100ms)", "run",
              "vidgraph run in.mp4 --latest --model retinaface-1mb -o out.jsonl --max-latency 100ms", "T"),
    OptionRow("threads", COUNT, None, "total number of threads (default: all cores)", "run",
              f"{_RUN} --threads 1", "N"),
    OptionRow("strict", None, False, "stop at the first bad frame", "run",
              f"{_RUN} --strict"),
    OptionRow("executor", str, "threaded", "threaded, or serial: one frame at a time", "run"),
    OptionRow("max_pixels", COUNT, MAX_PIXELS, "refuse larger pictures (default 67108864, 8192x8192)", "run",
              f"{_RUN} --max-pixels 100000000", "N"),
    OptionRow("freeze_s", SECONDS, 5.0, "cameras: connect again after so long without a picture (default 5)", "run",
              f"{_CAMERA} --freeze-s 10", "S"),
    OptionRow("give_up_s", SECONDS, None, "cameras: end a stream whose camera was away for so long (default: never)",
              "run", f"{_CAMERA} --give-up-s 3600", "S"),
    OptionRow("transport", str, "auto", "RTSP cameras: auto (TCP, else UDP), tcp, udp or multicast", "run",
              f"{_CAMERA} --transport udp", "T"),
    OptionRow("metrics", str, None, "serve metrics for Prometheus at this port of 127.0.0.1, or HOST:PORT", "run",
              f"{_CAMERA} --metrics 9100", "[HOST:]PORT"),
    OptionRow("traces", str, None, "send OpenTelemetry traces of one frame in 1000 to this collector", "run",
              f"{_CAMERA} --traces http://127.0.0.1:4318", "URL"),
    OptionRow("overwrite", None, False, "overwrite existing outputs", "output",
              f"{_DRAWN} -y", short="-y"),
    OptionRow("resume", None, False, "continue after the last frame that all outputs have", "output",
              f"{_RUN} --resume"),
    OptionRow("rotate", str, None, "results: a further file after so much (100MB or 1h), out-00001.jsonl", "output",
              f"{_CAMERA} --rotate 100MB", "SIZE|TIME"),
    OptionRow("keep", str, None, "with --rotate: remove the oldest files beyond so much in all (10GB)", "output",
              f"{_CAMERA} --rotate 1h --keep 10GB", "SIZE"),
    OptionRow("preset", str, "veryfast", "x264 preset of encoded video (default veryfast)", "output",
              f"{_DRAWN} --preset ultrafast", "NAME"),
)
# fmt: on

OPTIONS: dict[str, OptionRow] = {row.name: row for row in _ROWS}
"""Every option of ``run`` by its name."""


def rows_of(owner: Owner) -> list[OptionRow]:
    """The options that belong to the model, the run or the output."""
    return [row for row in OPTIONS.values() if row.belongs == owner]


def changed(given: Mapping[str, Any], owner: Owner) -> dict[str, Any]:
    """Those options of ``owner`` whose values in ``given`` are others than the defaults."""
    return {row.name: given[row.name] for row in rows_of(owner) if row.is_set(given[row.name])}


def filled(kind: type[T], given: Mapping[str, Any]) -> T:
    """A dataclass from those options in ``given`` that it has fields for."""
    return kind(**{one.name: given[one.name] for one in fields(kind) if one.name in given})  # type: ignore[arg-type]


def header_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in the header of results: the values of the options that results depend on; None: not ``given``."""
    rows = [row for row in OPTIONS.values() if row.in_header]
    return {row.name: given[row.name] if row.is_set(given.get(row.name)) else None for row in rows}

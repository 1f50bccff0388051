"""The table of options: each is declared once, by a row.

The command line, its help and its page, what ``run`` passes to ``load_model``, and the settings in the header of
results follow from it. The signatures of ``run`` and ``load_model`` are written out for editors and type checkers; a
test holds them to the table.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any, Literal, TypeVar

from .errors import UsageError
from .limits import MAX_PIXELS

Owner = Literal["model", "run", "output"]
T = TypeVar("T")
_RUN = "vidgraph run in.mp4 --model retinaface-1mb -o out.jsonl"
_CAMERA = "vidgraph run rtsp://10.0.0.8/main --model retinaface-1mb -o out.jsonl"
_DRAWN = "vidgraph run in.mp4 --model retinaface-1mb -o out.mp4"
_VIDEO = "vidgraph run in.mp4 --model yolact-edge-vid-resnet50 -o out.jsonl"


@dataclass(frozen=True, slots=True)
class Number:
    """A number of ``kind`` within [low, high]: reads a text, or checks a value; ``expected`` describes it in errors."""

    kind: type[int] | type[float]
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

    def allows(self, value: object) -> bool:
        """Whether ``value`` is such a number, of Python or NumPy."""
        number = isinstance(value, Integral if self.kind is int else Real) and not isinstance(value, bool)
        return number and self.low <= value <= self.high  # type: ignore[operator]


@dataclass(frozen=True, slots=True)
class Value:
    """Anything else: ``read`` makes it of a text, ``allows`` checks a value, ``expected`` describes it in errors."""

    read: Callable[[str], Any]
    allows: Callable[[Any], bool]
    expected: str

    def __call__(self, text: str) -> Any:
        return self.read(text)


def one_of(*words: str) -> Value:
    """One of some words."""
    expected = f"{', '.join(words[:-1])} or {words[-1]}" if words[1:] else repr(words[0])

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"expected {expected}, got {text!r}")
        return text

    return Value(read, lambda value: isinstance(value, str) and value in words, expected)


LARGEST = 2**31 - 1
PROBABILITY = Number(float, 0.0, 1.0, "a number from 0 to 1")
COUNT = Number(int, 1, LARGEST, "a whole number from 1")
SECONDS = Number(float, 1e-3, 1e9, "seconds above 0")
FPS = Number(float, 1e-9, 1e9, "frames per second above 0")


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
    if not 1e-9 <= value <= 1e9:
        raise ValueError(f"expected a time above 0 such as 100ms or 2s, got {text!r}")
    return value


def read_names(text: str) -> list[str]:
    """``a, b`` -> ``["a", "b"]``."""
    return [name.strip() for name in text.split(",")]


def read_masks(text: str) -> str | dict[str, str]:
    """``mask.png`` for all streams; ``door=door.png,yard=yard.png`` by their names."""
    if "=" not in text:
        return text
    named = [part.strip().partition("=") for part in text.split(",")]
    if not all(name and path for name, _, path in named):
        raise ValueError(f"expected an image, or NAME=IMAGE,NAME=IMAGE, got {text!r}")
    return {name: path for name, _, path in named}


LABEL_LISTS = ("coco80", "coco91", "voc21")
"""Lists of names that labels can be by their own name."""


def read_labels(text: str) -> str | list[str]:
    """``a,b`` -> names; a text that looks like a file, or names a list, stays one, for the model to read."""
    from pathlib import Path

    if text in LABEL_LISTS or Path(text).suffix in (".txt", ".names", ".json", ".yaml") or "/" in text:
        return text
    return text if os.path.isfile(text) else read_names(text)  # noqa: PTH113  Path.is_file raises for many names


def _is_list(value: object, kinds: Any) -> bool:
    """Whether it is a list or the like (and no text) of ``kinds``."""
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(one, kinds) for one in value)


def _is_size(value: object) -> bool:
    sides = tuple(value) if isinstance(value, Collection) and not isinstance(value, bytes) else (value, value)
    return len(sides) == 2 and all(map(COUNT.allows, sides))


def _is_masks(value: object) -> bool:
    named = value if isinstance(value, Mapping) and value else {"": value}
    return all(isinstance(key, str) and (FILE.allows(one) or hasattr(one, "dtype")) for key, one in named.items())


TEXT = Value(str, lambda value: isinstance(value, str), "a string")
FILE = Value(str, lambda value: isinstance(value, str | os.PathLike) and value != "", "a file")
COLLECTOR = Value(
    str, lambda value: TEXT.allows(value) or hasattr(value, "chooses"), "the address of a collector, or a Tracer"
)
KEYS = Value(str, lambda value: TEXT.allows(value) or COUNT.allows(value), "a number from 1, 'adaptive' or 'all'")
NAMES = Value(read_names, lambda value: _is_list(value, (str, Integral)), "a list of names or numbers")
LABELS = Value(
    read_labels,
    lambda value: FILE.allows(value) or _is_list(value, str),
    "a list of names, or a file",
)
SIZE = Value(read_size, _is_size, "a longer side like 640 or a (height, width) of pixels")
TIME = Value(
    read_time,
    lambda value: TEXT.allows(value) or Number(float, 0.0, LARGEST, "").allows(value),
    "seconds or [hours:]minutes:seconds (62.5, 1:02.5)",
)
DURATION = Value(read_duration, Number(float, 1e-9, 1e9, "").allows, "seconds above 0")
OVERLOAD = one_of("drop", "skip", "stretch")
DECODER = one_of("auto", "cpu", "cuda")
ENCODER = one_of("auto", "libx264", "h264_nvenc", "hevc_nvenc", "av1_nvenc")
TRANSPORT = one_of("auto", "tcp", "udp", "multicast")
CORRUPT = one_of("mark", "drop")
WHEN, SKIPPED = one_of("motion"), one_of("hold", "none")
MASKS = Value(read_masks, _is_masks, "an image or an array [h, w] of booleans, or one for each stream")
SWITCH = Value(bool, lambda value: isinstance(value, bool), "True or False")


@dataclass(frozen=True, slots=True)
class OptionRow:
    """One option.

    Attributes:
        name: the parameter in Python; the command line has ``-`` for ``_``.
        read: makes the value of a text, or raises ValueError, and knows which values Python may give; None: one of
            ``values``.
        default: the value where none is given; None: the model or the source decides.
        help: a line for the command line's help.
        belongs: ``model``: for ``load_model``, which ``run`` passes it to; ``run``: how frames go through; ``output``.
        example: a whole command that uses it; "": Python only.
        metavar: what help calls its value.
        short: a second flag.
        values: of a choice, with a flag for each value: the value, and its line of help.
        in_header: results depend on it, so that their header names it.
    """

    name: str
    read: Number | Value | None
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

    def check(self, value: object) -> None:
        """Raise UsageError where Python gives a ``value`` of another type or out of range; None may stand for None."""
        if value is None and self.default is None:
            return
        if self.read is not None:
            allowed, expected = self.read.allows(value), self.read.expected
        else:
            values = self.values or {}
            allowed, expected = isinstance(value, str) and value in values, " or ".join(values)
        if not allowed:
            raise UsageError(f"{self.name} must be {expected}, got {value!r:.80}")


# In the order of the header, and within model, run and output of the help. One option, two lines: a table.
# fmt: off
_ROWS = (
    OptionRow("weights", FILE, None, "a checkpoint or an exported file", "model"),
    OptionRow("head", TEXT, None, "raw: the network's output tensors; for a custom model: yolo, detr, …", "model",
              "vidgraph run in.mp4 --model retinaface-1mb --head raw -o 'tensors/%06d.npz'", "KIND", in_header=True),
    OptionRow("min_score", PROBABILITY, None, "keep detections that score above this", "model",
              f"{_RUN} --min-score 0.7", "P", in_header=True),
    OptionRow("nms_iou", PROBABILITY, None, "drop boxes whose IoU with a better one is above this", "model",
              f"{_RUN} --nms-iou 0.3", "P", in_header=True),
    OptionRow("nms", TEXT, None, "NMS variant, where a model has several: fast, cross-class or traditional", "model",
              "vidgraph run in.mp4 --model yolact-edge-resnet50 -o out.jsonl --nms cross-class", "KIND",
              in_header=True),
    OptionRow("keyframes", KEYS, None, "video models: every N frames (default 5, tiny 2), adaptive or all", "model",
              f"{_VIDEO} --keyframes adaptive", "N", in_header=True),
    OptionRow("batch_non_key", SWITCH, False, "video models: run the frames between key frames as one batch", "model",
              f"{_VIDEO} --batch-non-key"),
    OptionRow("batch", COUNT, 1, "frames of any streams in one run of the network, at most", "model",
              f"{_RUN} --batch 4", "N"),
    OptionRow("max_detections", COUNT, None, "at most this many detections per frame", "model",
              f"{_RUN} --max-detections 20", "N", in_header=True),
    OptionRow("classes", NAMES, None, "keep only these classes", "model",
              f"{_RUN} --classes face", "A,B", in_header=True),
    OptionRow("labels", LABELS, None, "names for the classes, a file of them, or coco80, coco91 or voc21", "model",
              f"{_DRAWN} --labels visitor", "A,B|FILE|LIST"),
    OptionRow("size", SIZE, None, "network input: longer side, or exact size", "model",
              f"{_RUN} --size 320", "N|WxH"),
    OptionRow("device", TEXT, "auto", "auto, cpu or cuda:N", "model",
              f"{_RUN} --device cpu", "D"),
    OptionRow("engine", TEXT, "auto", "auto, openvino, onnxruntime, tensorrt, tensorrt-rtx, torch or torch-tensorrt",
              "model", f"{_RUN} --engine onnxruntime", "E"),
    OptionRow("precision", TEXT, "auto", "auto, fp32, bf16, fp16 or int8", "model",
              f"{_RUN} --precision fp32", "P"),
    OptionRow("start", TIME, None, "start at this time: 12.5 or 1:02:03", "run",
              f"{_RUN} --start 0.2", "T", in_header=True),
    OptionRow("end", TIME, None, "stop before this time", "run",
              f"{_RUN} --end 0.5", "T"),
    OptionRow("frames", COUNT, None, "at most this many frames per stream", "run",
              f"{_RUN} --frames 10", "N"),
    OptionRow("policy", None, None, "which frames go through", "run",
              f"{_RUN} --lossless", in_header=True,
              values={"lossless": "every frame (default for files)", "latest": "newest frame only, in real time"}),
    OptionRow("as_camera", SWITCH, False, "play videos over and over, as cameras, in real time, until --frames", "run",
              f"{_RUN} --as-camera --frames 30", in_header=True),
    OptionRow("deterministic", SWITCH, False, "identical bits on every run, even for damaged input; slower", "run",
              f"{_RUN} --deterministic", in_header=True),
    OptionRow("every", COUNT, None, "run the model on every Nth frame and repeat its result in between", "run",
              f"{_DRAWN} --every 3", "N", in_header=True),
    OptionRow("max_fps", FPS, None, "run the model at most F times a second and repeat its result in between", "run",
              f"{_DRAWN} --max-fps 10", "F", in_header=True),
    OptionRow("when", WHEN, None, "run the model only when something moves: motion", "run",
              f"{_DRAWN} --when motion", "WHEN", in_header=True),
    OptionRow("ignore_motion", MASKS, None, "image that is white where motion does not count", "run",
              f"{_DRAWN} --when motion --ignore-motion mask.png", "IMAGE", in_header=True),
    OptionRow("skipped", SKIPPED, "hold", "frames between: hold the last result (default) or none", "run",
              f"{_RUN} --when motion --skipped none", "WHAT", in_header=True),
    OptionRow("overload", OVERLOAD, None, "live: what gives way where the model is slow: drop, skip or stretch", "run",
              "vidgraph run in.mp4 --latest --model retinaface-1mb -o out.jsonl --overload skip", "WAY"),
    OptionRow("max_latency", DURATION, None, "live: results within this time of the model's start (100ms)", "run",
              "vidgraph run in.mp4 --latest --model retinaface-1mb -o out.jsonl --max-latency 100ms", "T"),
    OptionRow("threads", COUNT, None, "total number of threads (default: all cores)", "run",
              f"{_RUN} --threads 1", "N"),
    OptionRow("strict", SWITCH, False, "stop at the first bad frame", "run",
              f"{_RUN} --strict"),
    OptionRow("executor", None, "threaded", "how frames go through", "run",
              values={"threaded": "several at a time", "serial": "one frame at a time"}),
    OptionRow("decoder", DECODER, "auto", "of video: auto (on the model's GPU, else CPU), cpu or cuda", "run",
              f"{_RUN} --decoder cpu", "D"),
    OptionRow("max_pixels", COUNT, MAX_PIXELS, "refuse larger pictures (default 67108864, 8192x8192)", "run",
              f"{_RUN} --max-pixels 100000000", "N"),
    OptionRow("freeze_s", SECONDS, 5.0, "cameras: connect again after so long without a picture (default 5)", "run",
              f"{_CAMERA} --freeze-s 10", "S"),
    OptionRow("give_up_s", SECONDS, None, "cameras: end a stream whose camera was away for so long (default: never)",
              "run", f"{_CAMERA} --give-up-s 3600", "S"),
    OptionRow("transport", TRANSPORT, "auto", "RTSP cameras: auto (TCP, else UDP), tcp, udp or multicast", "run",
              f"{_CAMERA} --transport udp", "T"),
    OptionRow("corrupt", CORRUPT, "mark", "cameras: mark damaged pictures (default), or drop them", "run",
              f"{_CAMERA} --corrupt drop", "WHAT"),
    OptionRow("metrics", TEXT, None, "serve metrics for Prometheus at this port of 127.0.0.1, or HOST:PORT", "run",
              f"{_RUN} --metrics 9100", "[HOST:]PORT"),
    OptionRow("traces", COLLECTOR, None, "send OpenTelemetry traces of one frame in 1000 to this collector", "run",
              f"{_CAMERA} --traces http://127.0.0.1:4318", "URL"),
    OptionRow("overwrite", SWITCH, False, "overwrite existing outputs", "output",
              f"{_DRAWN} -y", short="-y"),
    OptionRow("resume", SWITCH, False, "continue after the last frame that all outputs have", "output",
              f"{_RUN} --resume"),
    OptionRow("rotate", TEXT, None, "results: a further file after so much (100MB or 1h), out-00001.jsonl", "output",
              f"{_RUN} --rotate 100MB", "SIZE|TIME"),
    OptionRow("keep", TEXT, None, "with --rotate: remove the oldest files beyond so much in all (10GB)", "output",
              f"{_RUN} --rotate 1h --keep 10GB", "SIZE"),
    OptionRow("encoder", ENCODER, "auto", "video files: auto, libx264, h264_nvenc, hevc_nvenc or av1_nvenc", "output",
              f"{_DRAWN} --encoder libx264", "E"),
    OptionRow("preset", TEXT, "veryfast", "preset of encoded video, by x264's names (default veryfast)", "output",
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


def check_options(given: Mapping[str, Any]) -> None:
    """Raise UsageError where an option in ``given`` has a value that it does not take; other names are passed over."""
    for name in given.keys() & OPTIONS.keys():
        OPTIONS[name].check(given[name])


def filled(kind: type[T], given: Mapping[str, Any]) -> T:
    """A dataclass from those options in ``given`` that it has fields for."""
    return kind(**{one.name: given[one.name] for one in fields(kind) if one.name in given})  # type: ignore[arg-type]


def header_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in the header of results: the values of the options that results depend on; None: not ``given``."""
    rows = [row for row in OPTIONS.values() if row.in_header]
    values = {row.name: given[row.name] if row.is_set(given.get(row.name)) else None for row in rows}
    return {name: value.item() if isinstance(value, Real) and hasattr(value, "item") else value
            for name, value in values.items()}  # fmt: skip

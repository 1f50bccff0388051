"""The commands and their options: the parser and the reference page are both made from it.

Options of a run are the rows of :mod:`..pipeline.options`; what only one command has is declared here.
"""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from ..pipeline.options import (
    COUNT,
    LARGEST,
    OPTIONS,
    PROBABILITY,
    SWITCH,
    Number,
    OptionRow,
    Owner,
    read_duration,
    read_size,
    read_time,
    rows_of,
)
from ..stages.sinks.kinds import short_kinds as sink_kinds
from ..stages.sources.kinds import short_kinds as source_kinds


@dataclass(frozen=True, slots=True)
class Option:
    """One option or argument: ``flags`` as given to argparse, a line of help, an example for the reference."""

    flags: tuple[str, ...]
    help: str
    example: str
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Command:
    """One sub-command: ``run`` names the function, ``module:function`` below ``vidgraph.cli``."""

    name: str
    help: str
    run: str
    options: tuple[Option, ...]
    example: str


def passed(options: argparse.Namespace, function: Callable[..., Any]) -> dict[str, Any]:
    """Those of the options that are keywords of a Python function and were given or have a default.

    A function with ``**`` takes what ``load_model`` takes, too.
    """
    parameters = list(inspect.signature(function).parameters.values())
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        from ..models.load import load_model

        parameters += inspect.signature(load_model).parameters.values()
    names = {one.name for one in parameters if one.kind is one.KEYWORD_ONLY}
    return {name: value for name, value in vars(options).items() if name in names and value is not None}


def _option(*flags: str, help: str, example: str, read: Callable[[str], Any] | None = None, **settings: Any) -> Option:
    return Option(flags, help, example, settings if read is None else {"type": _parser(read), **settings})


def _parser(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """``read`` as a type of argparse, which keeps the texts of its own error only."""

    def parse(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse


def _flags_of(row: OptionRow) -> list[Option]:
    """A row of the table of options, as the command line has it; a choice has a flag for each value."""
    if row.values is not None:
        given = f"--{next(iter(row.values))}"
        return [
            _option(f"--{value}", help=text, example=row.example.replace(given, f"--{value}"),
                    action="store_const", const=value, dest=row.name)
            for value, text in row.values.items()
        ]  # fmt: skip
    flags = (*filter(None, [row.short]), f"--{row.name.replace('_', '-')}")
    if row.read is SWITCH:
        return [_option(*flags, help=row.help, example=row.example, action="store_true")]
    return [
        _option(*flags, help=row.help, example=row.example, read=row.read, metavar=row.metavar, default=row.default)
    ]


def _options(*names: str) -> tuple[Option, ...]:
    """Options of the table by their names."""
    return tuple(option for name in names for option in _flags_of(OPTIONS[name]))


def _like(name: str, *, help: str | None = None, example: str, **settings: Any) -> Option:
    """An option of the table with another help, example or setting."""
    (option,) = _flags_of(OPTIONS[name])
    return replace(option, help=help or option.help, example=example, settings={**option.settings, **settings})


def _training(flag: str, value: str = "", **settings: Any) -> Option:
    """An option of ``vidgraph train``, whose example gives it ``value``."""
    return _option(flag, example=f"{_TRAIN} {flag} {value}".rstrip(), **settings)


# One option, one or two lines: a table, which the formatter would make five times as long.
# fmt: off
SOURCES = _option("sources", metavar="[NAME=]SOURCE", nargs="*",
                  help=source_kinds(),
                  example="vidgraph run in.mp4 door=clips/door.mkv --model retinaface-1mb -o '{stream}.jsonl'")
MODEL = _option("--model", metavar="NAME[=FILE]", help="model name, with a weights file if needed; or a custom network",
                example="vidgraph run in.mp4 --model retinaface=mobilenet0.25_Final.pth -o out.mp4")
OUTPUT = _option("-o", "--output", dest="outputs", metavar="OUT", action="append", default=[],
                 help=sink_kinds().replace("%", "%%") + "; repeatable",
                 example="vidgraph run in.mp4 --model retinaface-1mb -o out.mp4 -o out.jsonl")
OWNERS: tuple[Owner, ...] = ("output", "model", "run")
OF_RUN = _options(*(row.name for owner in OWNERS for row in rows_of(owner) if row.example))
OVERWRITE, THREADS, MAX_PIXELS, ENCODER, PRESET = _options("overwrite", "threads", "max_pixels", "encoder", "preset")
QUIET = _option("-q", "--quiet", action="store_true", help="print errors only",
                example="vidgraph run in.mp4 --model retinaface-1mb -o out.jsonl -q")
VERBOSE = _option("-v", "--verbose", action="store_true", help="print more, with tracebacks of errors",
                  example="vidgraph run in.mp4 --model retinaface-1mb -o out.jsonl -v")
CUSTOM_HEAD = _like("head", help="what the outputs of a custom network are: yolo, detr, …",
                    example="vidgraph bench --model my.onnx --head yolo --source in.mp4")
CUSTOM_LABELS = _like("labels", example="vidgraph bench --model my.onnx --labels cat,dog,bird --source in.mp4")
SOURCE = _option("--source", required=True, metavar="VIDEO", help="video to measure on",
                 example="vidgraph bench --model retinaface-1mb --source in.mp4")
DATASET = "KIND:PATH, such as coco:a.json, or synth:street"
_COMPARE = "vidgraph compare --source in.mp4 --model retinaface-1mb"
_EVAL = "vidgraph eval --model yolact-edge-tiny --data synth:street"
_DATA = "vidgraph data 'synth:street?clips=1&frames=2' -o street"
_TRAIN = "vidgraph train yolact-edge-tiny --data synth:street -o runs/street"

RUN = (SOURCES, MODEL, OUTPUT, *OF_RUN, QUIET, VERBOSE)

COMMANDS: tuple[Command, ...] = (
    Command("run", "run a model on videos, images or streams", "run:run", RUN,
            "vidgraph run in.mp4 --model retinaface-1mb -o out.mp4 -o out.jsonl"),
    Command("models", "list the models: source, licence, weights, verification", "models:models",
            (_option("name", nargs="?", help="show everything about one model", example="vidgraph models retinaface"),),
            "vidgraph models"),
    Command("pull", "download a model's published weights", "models:pull",
            (_option("model", help="name of the model", example="vidgraph pull retinaface-1mb"),
             _option("--from", dest="address", metavar="URL", help="download from this address instead",
                     example="vidgraph pull retinaface --from https://example.org/weights.pth --trust"),
             _option("--trust", action="store_true", help="accept an address without a known SHA-256",
                     example="vidgraph pull retinaface --from https://example.org/weights.pth --trust"),
             QUIET, VERBOSE),
            "vidgraph pull retinaface-1mb"),
    Command("export", "write a model as an ONNX file, or a program of torch", "models:export",
            (_option("model", metavar="NAME[=WEIGHTS]", help="model and weights",
                     example="vidgraph export retinaface=mobilenet0.25_Final.pth -o face.onnx"),
             _option("-o", "--output", metavar="FILE", help="the .onnx file, or .pt2 for torch (--template: the .toml)",
                     example="vidgraph export retinaface=mobilenet0.25_Final.pth -o face.onnx"),
             _option("--template", action="store_true", help="write the TOML that describes a custom network",
                     example="vidgraph export --template my.onnx"),
             _like("size", metavar="WxH", help="input size (default 640x360, or the model's own)",
                   example="vidgraph export retinaface-1mb -o face.onnx --size 640x480"),
             _option("--batch", read=COUNT, default=1, metavar="N", help="images per run (default 1)",
                     example="vidgraph export retinaface-1mb -o face4.onnx --batch 4"),
             _like("precision", help="int8 (needs --calibrate), or fp32 (default)",
                   example="vidgraph export retinaface-1mb -o face8.onnx --precision int8 --calibrate in.mp4"),
             _option("--calibrate", metavar="VIDEO", help="int8: video like those the model will see",
                     example="vidgraph export retinaface-1mb -o face8.onnx --precision int8 --calibrate in.mp4"),
             _like("frames", help="int8: calibrate with at most N frames (default 64)",
                   example="vidgraph export retinaface-1mb -o f.onnx --precision int8 --calibrate in.mp4 --frames 9"),
             OVERWRITE, VERBOSE),
            "vidgraph export retinaface=mobilenet0.25_Final.pth -o face.onnx"),
    Command("build", "build a model's engines for NVIDIA GPUs ahead of time", "build:build",
            (_option("models", nargs="+", metavar="MODEL[=WEIGHTS]", help="models, with weights if needed",
                     example="vidgraph build yolact-edge-tiny"),
             _option("--engine", default="tensorrt-rtx", metavar="E",
                     help="tensorrt-rtx (default; builds without a GPU), or tensorrt",
                     example="vidgraph build yolact-edge-tiny --engine tensorrt-rtx"),
             _option("--precision", default="fp16", choices=("fp32", "fp16", "int8"), metavar="P",
                     help="fp16 (default; compared with fp32 first), fp32, or int8 (of weights that are)",
                     example="vidgraph build yolact-edge-tiny --precision fp32"),
             _option("--source", metavar="VIDEO", help="fp16: compare on this video (default: a synthetic street)",
                     example="vidgraph build yolact-edge-tiny --source in.mp4"),
             _like("frames", help="fp16: compare on at most N frames (default 8)",
                   example="vidgraph build yolact-edge-tiny --source in.mp4 --frames 3"),
             _like("size", example="vidgraph build yolact-edge-tiny --size 320x192"),
             _option("--batch", read=COUNT, default=1, metavar="N", help="also for N images per run (default 1)",
                     example="vidgraph build yolact-edge-tiny --batch 4"),
             _like("head", help="what the outputs of a custom network are, if they leave it open",
                   example="vidgraph build my.onnx --head yolo"),
             QUIET, VERBOSE),
            "vidgraph build yolact-edge-tiny"),
    Command("check", "inspect a custom network: head, engines, cost, speed", "check:check",
            (_option("network", metavar="FILE", help=".onnx, .xml or .tflite file", example="vidgraph check my.onnx"),
             _like("head", help="what its outputs are, if they leave it open",
                   example="vidgraph check my.onnx --head yolo"),
             _like("labels", example="vidgraph check my.onnx --labels cat,dog,bird"),
             _like("size", help="network input size, if the file leaves it open",
                   example="vidgraph check my.onnx --size 320"),
             _like("engine", help="try this engine only (default: all)",
                   example="vidgraph check my.onnx --engine openvino"), VERBOSE),
            "vidgraph check my.onnx"),
    Command("check-config", "check a file of cameras, and whether the cameras answer", "cameras:check_config",
            (_option("file", nargs="?", metavar="FILE", help="the .toml file",
                     example="vidgraph check-config cams.toml"),
             _option("--connect", action="store_true", help="open each camera for a moment: size, codec, frame rate",
                     example="vidgraph check-config cams.toml --connect"),
             _option("--schema", action="store_true", help="print the JSON Schema of such files, for editors",
                     example="vidgraph check-config --schema"), VERBOSE),
            "vidgraph check-config cams.toml"),
    Command("compare", "run two engines on the same input and show the largest difference per output", "bench:compare",
            (SOURCE, MODEL,
             _option("--reference", default="onnxruntime:fp32", metavar="ENGINE[:P]",
                     help="engine and precision to compare with (default onnxruntime:fp32)",
                     example=f"{_COMPARE} --reference onnxruntime:fp32"),
             _option("--candidate", default="auto", metavar="ENGINE[:P]",
                     help="engine and precision to compare (default auto)",
                     example=f"{_COMPARE} --candidate openvino:fp32"),
             _option("--candidate-model", metavar="NAME=WEIGHTS",
                     help="the candidate runs this file instead, such as an int8 export",
                     example=f"{_COMPARE} --candidate-model face-int8.onnx"),
             CUSTOM_HEAD, CUSTOM_LABELS, *_options("size"),
             _like("frames", default=1, help="frames to compare on (default 1)", example=f"{_COMPARE} --frames 5"),
             MAX_PIXELS, VERBOSE),
            f"{_COMPARE} --candidate openvino:fp32"),
    Command("bench", "measure each part alone and end to end", "bench:bench",
            (SOURCE, MODEL,
             _option("--weights", metavar="FILE", help="the model's weights (as --model NAME=FILE)",
                     example="vidgraph bench --model retinaface-1mb --weights mobilenet0.25_Final.pth --source in.mp4"),
             _like("frames", default=300, help="frames to measure (default 300)",
                   example="vidgraph bench --model retinaface-1mb --source in.mp4 --frames 30"),
             _option("--streams", read=COUNT, metavar="N", help="measure N cameras at once, each playing the video",
                     example="vidgraph bench --model retinaface-1mb --source in.mp4 --streams 2 --seconds 1"),
             _option("--target-latency", read=read_duration, metavar="T",
                     help="find how many cameras, at most N, have their results within T",
                     example="vidgraph bench --model retinaface-1mb --source in.mp4 --streams 2 --target-latency 1ms"
                             " --seconds 1"),
             _option("--seconds", read=read_time, metavar="S", default=8.0,
                     help="with --streams: seconds of each measurement (default 8)",
                     example="vidgraph bench --model retinaface-1mb --source in.mp4 --streams 1 --seconds 1"),
             *_options("max_fps", "overload", "max_latency"),
             _option("-o", "--output", metavar="FILE", help="also write the figures as JSON",
                     example="vidgraph bench --model retinaface-1mb --source in.mp4 -o bench.json"),
             *_options("min_score", "nms_iou", "max_detections", "nms", "keyframes", "batch_non_key"),
             CUSTOM_HEAD, CUSTOM_LABELS, *_options("size", "device", "engine", "precision"), PRESET, THREADS,
             MAX_PIXELS, OVERWRITE, QUIET, VERBOSE),
            "vidgraph bench --model retinaface-1mb --source in.mp4"),
    Command("eval", "evaluate a model on an annotated dataset", "eval:evaluate",
            (MODEL,
             _option("--data", metavar="ADDRESS", help="synth:street, coco:FILE, wider:FILE, mot:DIR, …",
                     example="vidgraph eval --model yolact-edge-tiny --data coco:annotations.json"),
             _option("--protocol", default="default", metavar="P", help="default, or official: as the authors evaluate",
                     example="vidgraph eval --model yolact-edge-resnet50 --data coco:val.json --protocol official"),
             _option("-o", "--output", metavar="FILE", help="also write the figures as JSON",
                     example=f"{_EVAL} -o figures.json"),
             _like("frames", help="at most N frames over all clips", example=f"{_EVAL} --frames 40"),
             _option("--start-clip", read=Number(int, 0, LARGEST, "a whole number from 0"), metavar="N", default=0,
                     help="number of the first clip, counted from 0", example=f"{_EVAL} --start-clip 2"),
             _like("every", example=f"{_EVAL} --every 5 --keyframes all"),
             _like("classes", help="evaluate only these classes of the dataset",
                   example="vidgraph eval --model yolact-edge --data synth:street --classes person,car"),
             _option("--wider-subsets", metavar="DIR", help="WIDER FACE's easy, medium and hard .mat files",
                     example="vidgraph eval --model retinaface-1mb --data wider:val.txt --wider-subsets ground_truth"),
             *_options("min_score", "nms_iou", "max_detections", "labels", "nms", "keyframes"),
             CUSTOM_HEAD, *_options("size", "device", "engine"),
             _like("precision", default=None, help="fp32 (default), auto, bf16, fp16 or int8",
                   example=f"{_EVAL} --precision auto"),
             THREADS, OVERWRITE, QUIET, VERBOSE),
            "vidgraph eval --model yolact-edge-tiny --data 'synth:street?split=hard'"),
    Command("train", "train a model on a dataset", "train:train",
            (_option("model", metavar="MODEL", help="name of a model that 'vidgraph models NAME' says can be trained",
                     example=_TRAIN),
             _option("--data", required=True, metavar="DATASET", help=DATASET,
                     example="vidgraph train yolact-edge-tiny --data coco:annotations.json -o runs/mine"),
             _option("-o", "--output", required=True, metavar="FOLDER", help="folder for weights, checkpoints and log",
                     example=_TRAIN),
             _option("--stage", choices=("image", "video"), metavar="S",
                     help="image (default), or video: pairs of frames, with flow and warping trained end to end",
                     example=_TRAIN + " --stage video --weights runs/image/last.pth"),
             _training("--weights", "runs/image/last.pth", metavar="FILE", help="start from this checkpoint"),
             _training("--resume", action="store_true", help="continue the training in FOLDER"),
             _training("--steps", "50000", read=COUNT, metavar="N",
                     help="total steps (default 20000, unless --hours is given)"),
             _training("--hours", "8", read=Number(float, 1e-4, 1e4, "hours above 0"), metavar="H",
                     help="stop after this total time"),
             _training("--batch", "8", read=COUNT, metavar="N",
                     help="frames (or pairs of frames) per step (default 16)"),
             _training("--lr", "0.0005", read=Number(float, 1e-9, 1e3, "a number above 0"), metavar="R",
                     help="peak learning rate (default: muon 0.005, adamw 0.001, sgd 0.01)"),
             _training("--optimizer", "sgd", choices=("muon", "adamw", "sgd"), metavar="O",
                     help="muon (default), adamw or sgd"),
             _training("--box-loss", "smooth-l1", choices=("giou", "smooth-l1"), metavar="L",
                     help="giou (default), or smooth-l1 as published"),
             _training("--score-target", "class", choices=("iou", "class"), metavar="S",
                     help="scores learn class and IoU of the box (iou, default), or the class as published (class)"),
             _training("--weight-decay", "0.01", read=Number(float, 0.0, 1e3, "a number from 0"), metavar="D",
                     help="weight decay (default 0.02, sgd 0.0005)"),
             _training("--warmup", "100", read=Number(int, 0, LARGEST, "a whole number from 0"), metavar="N",
                     help="steps over which the learning rate rises (default 300)"),
             _training("--ema-decay", "0.9995", read=PROBABILITY, metavar="D",
                     help="decay of the moving average of the weights (default 0.999)"),
             _option("--freeze-bn", action="store_true", help="keep the statistics of batch norms",
                     example=_TRAIN + " --weights runs/image/last.pth --freeze-bn"),
             _training("--anchors-per-object", "1", read=COUNT, metavar="N",
                     help="anchors matched to each object (default 6; published 1)"),
             _option("--max-frame-gap", read=COUNT, metavar="N",
                     help="video: the key frame is 1 to N frames earlier (default 5)",
                     example=_TRAIN + " --stage video --max-frame-gap 10"),
             _option("--flow", read=Number(float, 0.0, 1e3, "a number from 0"), metavar="W",
                     help="video: weight of the supervised flow loss (default 0.5)",
                     example=_TRAIN + " --stage video --flow 0"),
             _option("--feature-loss", read=Number(float, 0.0, 1e3, "a number from 0"), metavar="W",
                     help="video: weight of the loss between warped and own features (default 0)",
                     example=_TRAIN + " --stage video --feature-loss 1"),
             _training("--size", "384x224", read=read_size, metavar="WxH",
                     help="network input size (default: the model's)"),
             _option("--input-crop", read=Number(float, 0.01, 1.0, "a part of 1"), metavar="P",
                     help="share of each side of the frame that is cropped to fill the input",
                     example=_TRAIN + " --size 384x224 --input-crop 1"),
             _training("--augment", "0.3", read=Number(float, 0.0, 1.0, "a number from 0 to 1"), metavar="A",
                     help="strength of zoom and colour augmentation (default 1)"),
             _training("--cache-size", "640x360", read=read_size, metavar="WxH",
                     help="size of the cached frames (default 1.25 times the input)"),
             _training("--precision", "fp32", choices=("fp32", "bf16"), metavar="P",
                     help="fp32 (default), or bf16 on processors that have it"),
             _training("--seed", "1", read=Number(int, 0, 2**63 - 1, "a whole number from 0"), metavar="N",
                     help="of weights, order and augmentation (default 0)"),
             _training("--checkpoint-minutes", "5", read=Number(float, 0.0, 1e4, "minutes from 0"), metavar="M",
                     help="minutes between checkpoints (default 10)"),
             _training("--log-interval", "100", read=COUNT, metavar="N", help="steps between log lines (default 20)"),
             THREADS, OVERWRITE, QUIET, VERBOSE),
            "vidgraph train yolact-edge-tiny --data coco:annotations.json -o runs/mine"),
    Command("draw", "draw recorded results on their video, without running the model", "run:draw",
            (_option("source", metavar="VIDEO", help="the video that was run",
                     example="vidgraph draw in.mp4 out.jsonl -o drawn.mp4"),
             _option("results", metavar="RESULTS", help="its .jsonl results",
                     example="vidgraph draw in.mp4 out.jsonl -o drawn.mp4"),
             OUTPUT, OVERWRITE, ENCODER, PRESET, THREADS, MAX_PIXELS, QUIET, VERBOSE),
            "vidgraph draw in.mp4 out.jsonl -o drawn.mp4"),
    Command("graph", "print the graph that run would run with these options", "run:graph",
            (_option("--format", choices=("text", "mermaid"), default="text", help="text, or mermaid: a flow chart",
                     example="vidgraph graph synth:street --format mermaid"),
             *RUN),
            "vidgraph graph synth:street -o street.mp4"),
    Command("convert", "convert results to another format", "convert:convert",
            (_option("results", metavar="RESULTS", help=".jsonl results",
                     example="vidgraph convert out.jsonl --to csv"),
             _option("--to", required=True, metavar="KIND", help="coco, coco-results, youtube-vis or csv",
                     example="vidgraph convert out.jsonl --to coco"),
             _option("-o", "--output", metavar="FILE", help="output file (default: next to the results)",
                     example="vidgraph convert out.jsonl --to csv -o faces.csv"),
             MAX_PIXELS, OVERWRITE, VERBOSE),
            "vidgraph convert out.jsonl --to coco"),
    Command("data", "write a dataset, or synthetic scenes, in another format", "data:data",
            (_option("address", metavar="DATASET", help=DATASET, example=f"{_DATA} --to coco"),
             _option("--to", required=True, metavar="KIND", help="coco, coco-panoptic or mot",
                     example=f"{_DATA} --to coco-panoptic"),
             _option("-o", "--output", required=True, metavar="FOLDER", help="output folder",
                     example=f"{_DATA} --to mot"),
             _like("frames", help="at most this many frames per clip",
                   example="vidgraph data synth:street --to mot -o street --frames 2"),
             _option("--images", default="jpg", metavar="KIND", help="jpg (default), png or none",
                     example=f"{_DATA} --to coco --images png"),
             OVERWRITE, QUIET, VERBOSE),
            "vidgraph data 'synth:street?clips=1&frames=2' --to coco -o street"),
    Command("info", "engines, instruction sets, codecs, GPU of this machine", "info:info",
            (_option("--json", action="store_true", help="print JSON", example="vidgraph info --json"),),
            "vidgraph info"),
)
# fmt: on

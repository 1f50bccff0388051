"""The one table of command-line options: the parser and the reference page are both made from it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

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


def _option(*flags: str, help: str, example: str, **settings: Any) -> Option:
    return Option(flags, help, example, settings)


def parse_size(text: str) -> int | tuple[int, int]:
    """``640`` -> 640 (longer side), ``1280x720`` -> (720, 1280) as (height, width)."""
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f"expected 640 (longer side) or 1280x720, got {text!r}")
    return int(parts[0]) if len(parts) == 1 else (int(parts[1]), int(parts[0]))


def parse_time(text: str) -> float:
    """Seconds, or ``minutes:seconds``, or ``hours:minutes:seconds``."""
    seconds = 0.0
    try:
        for part in text.split(":"):
            seconds = seconds * 60 + float(part)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf") or text.count(":") > 2:
        raise argparse.ArgumentTypeError(f"expected seconds or [hours:]minutes:seconds, got {text!r}")
    return seconds


def number(kind: Callable[[str], Any], low: float, high: float, what: str) -> Callable[[str], Any]:
    """An argparse type: a number of ``kind`` within [low, high]; ``what`` describes it in the error."""

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise argparse.ArgumentTypeError(f"expected {what}, got {text!r}")
        return value

    return parse


probability = number(float, 0.0, 1.0, "a number from 0 to 1")
positive = number(int, 1, 2**31 - 1, "a whole number from 1")
rate = number(float, 1e-3, 1e6, "frames per second above 0")


# One option, one or two lines: a table, which the formatter would make five times as long.
# fmt: off
SOURCES = _option("sources", metavar="SOURCE", nargs="*",
                  help=source_kinds() + "; NAME=ADDRESS names it",
                  example="vidgraph run in.mp4 door=clips/door.mkv --model retinaface-1mb -o '{stream}.jsonl'")
MODEL = _option("--model", metavar="NAME[=FILE]", help="model, with weights that are not pulled; or your own .onnx",
                example="vidgraph run in.mp4 --model retinaface=mobilenet0.25_Final.pth -o out.mp4")
OUTPUT = _option("-o", "--output", dest="outputs", metavar="OUT", action="append", default=[],
                 help=sink_kinds().replace("%", "%%") + "; repeatable",
                 example="vidgraph run in.mp4 --model retinaface-1mb -o out.mp4 -o out.jsonl")
OVERWRITE = _option("-y", "--overwrite", action="store_true", help="overwrite existing outputs",
                    example="vidgraph run in.mp4 --model retinaface-1mb -o out.mp4 -y")
PRESET = _option("--preset", default="veryfast", metavar="NAME", help="x264 preset of encoded video (default veryfast)",
                 example="vidgraph run in.mp4 --model retinaface-1mb -o out.mp4 --preset ultrafast")
DEVICE = _option("--device", default="auto", metavar="D", help="auto, cpu or cuda:N",
                 example="vidgraph run in.mp4 --model retinaface-1mb --device cpu -o out.jsonl")
ENGINE = _option("--engine", default="auto", metavar="E", help="auto, openvino, onnxruntime",
                 example="vidgraph run in.mp4 --model retinaface-1mb --engine onnxruntime -o out.jsonl")
PRECISION = _option("--precision", default="auto", metavar="P", help="auto, fp32, bf16, fp16 or int8",
                    example="vidgraph run in.mp4 --model retinaface-1mb --precision fp32 -o out.jsonl")
SIZE = _option("--size", type=parse_size, metavar="N|WxH", help="network input: longer side, or exact size",
               example="vidgraph run in.mp4 --model retinaface-1mb --size 320 -o out.jsonl")
THREADS = _option("--threads", type=positive, metavar="N", help="threads in all (default: the cores there are)",
                  example="vidgraph run in.mp4 --model retinaface-1mb --threads 1 -o out.jsonl")
QUIET = _option("-q", "--quiet", action="store_true", help="errors only",
                example="vidgraph run in.mp4 --model retinaface-1mb -o out.jsonl -q")
VERBOSE = _option("-v", "--verbose", action="store_true", help="say more; tracebacks of errors",
                  example="vidgraph run in.mp4 --model retinaface-1mb -o out.jsonl -v")
DETECTION = (
    _option("--min-score", type=probability, metavar="P", help="keep detections above this score",
            example="vidgraph run in.mp4 --model retinaface-1mb --min-score 0.7 -o out.jsonl"),
    _option("--nms-iou", type=probability, metavar="P", help="drop boxes that overlap a better one by more",
            example="vidgraph run in.mp4 --model retinaface-1mb --nms-iou 0.3 -o out.jsonl"),
    _option("--max-detections", type=positive, metavar="N", help="at most this many a frame",
            example="vidgraph run in.mp4 --model retinaface-1mb --max-detections 20 -o out.jsonl"),
    _option("--classes", metavar="A,B", help="keep these classes only",
            example="vidgraph run in.mp4 --model retinaface-1mb --classes face -o out.jsonl"),
    _option("--labels", metavar="A,B|FILE", help="names for the classes, or a file with one a line",
            example="vidgraph run in.mp4 --model retinaface-1mb --labels visitor -o out.mp4"),
)
TEMPORAL = (
    _option("--nms", metavar="KIND", help="fast, cross-class or traditional, where the model has them",
            example="vidgraph run in.mp4 --model yolact-edge-resnet50 --nms cross-class -o out.jsonl"),
    _option("--keyframes", metavar="N", help="video models: every N frames (5, tiny 2), adaptive or all",
            example="vidgraph run in.mp4 --model yolact-edge-vid-resnet50 --keyframes adaptive -o out.jsonl"),
    _option("--throughput", action="store_true", help="video models: frames between key frames as one batch",
            example="vidgraph run in.mp4 --model yolact-edge-vid-resnet50 --throughput -o out.jsonl"),
)
HEAD = _option("--head", metavar="KIND", help="raw: the network's tensors; of your own .onnx: yolo, detr, …",
               example="vidgraph run in.mp4 --model retinaface-1mb --head raw -o 'tensors/%06d.npz'")
OWN_HEAD = _option("--head", metavar="KIND", help="what the outputs of your own .onnx are: yolo, …",
                   example="vidgraph bench --model my.onnx --head yolo --source in.mp4")
OWN_LABELS = _option("--labels", metavar="A,B|FILE", help="names for the classes, or a file with one a line",
                     example="vidgraph bench --model my.onnx --labels cat,dog,bird --source in.mp4")
RANGE = (
    _option("--start", type=parse_time, metavar="T", help="begin at this time: 12.5 or 1:02:03",
            example="vidgraph run in.mp4 --model retinaface-1mb --start 0.2 -o out.jsonl"),
    _option("--end", type=parse_time, metavar="T", help="stop before this time",
            example="vidgraph run in.mp4 --model retinaface-1mb --end 0.5 -o out.jsonl"),
    _option("--frames", type=positive, metavar="N", help="at most this many frames a stream",
            example="vidgraph run in.mp4 --model retinaface-1mb --frames 10 -o out.jsonl"),
    _option("--every", type=positive, metavar="N", help="network on every Nth frame; others hold its result",
            example="vidgraph run in.mp4 --model retinaface-1mb --every 3 -o out.mp4"),
    _option("--max-fps", type=rate, metavar="F", help="network at most F times a second; others hold",
            example="vidgraph run in.mp4 --model retinaface-1mb --max-fps 10 -o out.mp4"),
)
POLICY = (
    _option("--lossless", action="store_const", const="lossless", dest="policy", help="every frame (default for files)",
            example="vidgraph run in.mp4 --model retinaface-1mb --lossless -o out.jsonl"),
    _option("--latest", action="store_const", const="latest", dest="policy", help="newest frame only, in real time",
            example="vidgraph run in.mp4 --model retinaface-1mb --latest -o out.jsonl"),
)
RESUME = _option("--resume", action="store_true", help="go on after the last frame that all outputs have",
                 example="vidgraph run in.mp4 --model retinaface-1mb -o out.jsonl --resume")
DETERMINISTIC = _option("--deterministic", action="store_true", help="same bits every time, damaged input too; slower",
                        example="vidgraph run in.mp4 --model retinaface-1mb --deterministic -o out.jsonl")
STRICT = _option("--strict", action="store_true", help="stop at the first bad frame",
                 example="vidgraph run in.mp4 --model retinaface-1mb --strict -o out.jsonl")
MAX_PIXELS = _option("--max-pixels", type=positive, metavar="N", default=2**26,
                     help="refuse larger pictures (default 67108864, 8192x8192)",
                     example="vidgraph run in.mp4 --model retinaface-1mb --max-pixels 100000000 -o out.jsonl")
SOURCE = _option("--source", required=True, metavar="VIDEO", help="video to measure on",
                 example="vidgraph bench --model retinaface-1mb --source in.mp4")
BENCH_FRAMES = _option("--frames", type=positive, metavar="N", default=300, help="frames to measure (default 300)",
                       example="vidgraph bench --model retinaface-1mb --source in.mp4 --frames 30")
WEIGHTS = _option("--weights", metavar="FILE", help="the model's weights (as --model NAME=FILE)",
                  example="vidgraph bench --model retinaface-1mb --weights mobilenet0.25_Final.pth --source in.mp4")
DATA = _option("--data", metavar="ADDRESS", help="synth:street, coco:FILE, wider:FILE, mot:DIR, …",
               example="vidgraph eval --model yolact-edge-tiny --data coco:annotations.json")

_TRAIN = "vidgraph train yolact-edge-tiny --data synth:street -o runs/street"

RUN = (SOURCES, MODEL, OUTPUT, OVERWRITE, RESUME, PRESET, *DETECTION, *TEMPORAL, HEAD, SIZE, DEVICE, ENGINE, PRECISION,
       *RANGE, *POLICY, THREADS, DETERMINISTIC, STRICT, MAX_PIXELS, QUIET, VERBOSE)

COMMANDS: tuple[Command, ...] = (
    Command("run", "run a model on videos, images or streams", "run:run", RUN,
            "vidgraph run in.mp4 --model retinaface-1mb -o out.mp4 -o out.jsonl"),
    Command("models", "list the models: source, licence, weights, what was verified", "models:models",
            (_option("name", nargs="?", help="one model, in full", example="vidgraph models retinaface"),),
            "vidgraph models"),
    Command("pull", "download a model's published weights", "models:pull",
            (_option("model", help="name of the model", example="vidgraph pull retinaface-1mb"),
             _option("--from", dest="address", metavar="URL", help="another address than the published one",
                     example="vidgraph pull retinaface --from https://example.org/weights.pth --trust"),
             _option("--trust", action="store_true", help="accept an address without a known SHA-256",
                     example="vidgraph pull retinaface --from https://example.org/weights.pth --trust"),
             QUIET, VERBOSE),
            "vidgraph pull retinaface-1mb"),
    Command("export", "write a model as an ONNX file", "models:export",
            (_option("model", metavar="NAME[=WEIGHTS]", help="model and weights",
                     example="vidgraph export retinaface=mobilenet0.25_Final.pth -o face.onnx"),
             _option("-o", "--output", metavar="FILE", help="the .onnx file (with --template the .toml)",
                     example="vidgraph export retinaface=mobilenet0.25_Final.pth -o face.onnx"),
             _option("--template", action="store_true", help="of your own .onnx: the TOML that describes it",
                     example="vidgraph export --template my.onnx"),
             _option("--size", type=parse_size, metavar="WxH", help="input size (default 640x360, or the model's own)",
                     example="vidgraph export retinaface-1mb -o face.onnx --size 640x480"),
             _option("--batch", type=positive, default=1, metavar="N", help="images in one run (default 1)",
                     example="vidgraph export retinaface-1mb -o face4.onnx --batch 4"),
             _option("--precision", default="auto", metavar="P", help="int8 (with --calibrate), or fp32 as it is",
                     example="vidgraph export retinaface-1mb -o face8.onnx --precision int8 --calibrate in.mp4"),
             _option("--calibrate", metavar="VIDEO", help="int8: frames like those the model will see",
                     example="vidgraph export retinaface-1mb -o face8.onnx --precision int8 --calibrate in.mp4"),
             _option("--frames", type=positive, metavar="N", help="int8: calibrate with at most N of them (64)",
                     example="vidgraph export retinaface-1mb -o f.onnx --precision int8 --calibrate in.mp4 --frames 9"),
             OVERWRITE, VERBOSE),
            "vidgraph export retinaface=mobilenet0.25_Final.pth -o face.onnx"),
    Command("check", "look through an ONNX file of your own: head, engines, cost, speed", "check:check",
            (_option("network", metavar="FILE", help="the .onnx file", example="vidgraph check my.onnx"),
             _option("--head", metavar="KIND", help="what its outputs are, where they leave it open",
                     example="vidgraph check my.onnx --head yolo"),
             _option("--labels", metavar="A,B|FILE", help="names for the classes, or a file with one a line",
                     example="vidgraph check my.onnx --labels cat,dog,bird"),
             _option("--size", type=parse_size, metavar="N|WxH", help="network input, where the file leaves it open",
                     example="vidgraph check my.onnx --size 320"),
             _option("--engine", default="auto", metavar="E", help="this one only (default: all)",
                     example="vidgraph check my.onnx --engine openvino"), VERBOSE),
            "vidgraph check my.onnx"),
    Command("compare", "run two engines on the same input; worst element per output", "bench:compare",
            (SOURCE, MODEL,
             _option("--a", default="onnxruntime:fp32", metavar="ENGINE[:P]",
                     help="reference (default onnxruntime:fp32)",
                     example="vidgraph compare --source in.mp4 --model retinaface-1mb --a onnxruntime:fp32"),
             _option("--b", default="auto", metavar="ENGINE[:P]", help="compared with it (default auto)",
                     example="vidgraph compare --source in.mp4 --model retinaface-1mb --b openvino:fp32"),
             _option("--other-model", metavar="NAME=WEIGHTS", help="b runs this file instead, such as an int8 export",
                     example="vidgraph compare --source in.mp4 --model retinaface-1mb --other-model face-int8.onnx"),
             OWN_HEAD, OWN_LABELS, SIZE,
             _option("--frames", type=positive, default=1, metavar="N", help="frames to compare on (default 1)",
                     example="vidgraph compare --source in.mp4 --model retinaface-1mb --frames 5"),
             MAX_PIXELS, VERBOSE),
            "vidgraph compare --source in.mp4 --model retinaface-1mb --b openvino:fp32"),
    Command("bench", "measure each part alone and end to end", "bench:bench",
            (SOURCE, MODEL, WEIGHTS, BENCH_FRAMES,
             _option("-o", "--output", metavar="FILE", help="also write the figures as JSON",
                     example="vidgraph bench --model retinaface-1mb --source in.mp4 -o bench.json"),
             *DETECTION[:3], *TEMPORAL, OWN_HEAD, OWN_LABELS, SIZE, DEVICE, ENGINE, PRECISION, PRESET, THREADS,
             MAX_PIXELS, OVERWRITE, QUIET, VERBOSE),
            "vidgraph bench --model retinaface-1mb --source in.mp4"),
    Command("eval", "judge a model by a data set with truth", "eval:evaluate",
            (MODEL, DATA,
             _option("--protocol", default="default", metavar="P", help="default, or official: as its authors do it",
                     example="vidgraph eval --model yolact-edge-resnet50 --data coco:val.json --protocol official"),
             _option("-o", "--output", metavar="FILE", help="also write the figures as JSON",
                     example="vidgraph eval --model yolact-edge-tiny --data synth:street -o figures.json"),
             _option("--frames", type=positive, metavar="N", help="at most N frames, of all clips together",
                     example="vidgraph eval --model yolact-edge-tiny --data synth:street --frames 40"),
             _option("--start-clip", type=number(int, 0, 2**31 - 1, "a whole number from 0"), metavar="N", default=0,
                     help="the first clip to judge, counted from 0",
                     example="vidgraph eval --model yolact-edge-tiny --data synth:street --start-clip 2"),
             _option("--every", type=positive, metavar="N", help="network on every Nth frame; others hold its result",
                     example="vidgraph eval --model yolact-edge-tiny --data synth:street --every 5 --keyframes all"),
             _option("--classes", metavar="A,B", help="judge these classes of the data set only",
                     example="vidgraph eval --model yolact-edge --data synth:street --classes person,car"),
             _option("--wider-subsets", metavar="DIR", help="WIDER FACE's easy, medium and hard .mat files",
                     example="vidgraph eval --model retinaface-1mb --data wider:val.txt --wider-subsets ground_truth"),
             *DETECTION[:3], DETECTION[4], *TEMPORAL[:2], OWN_HEAD, SIZE, DEVICE, ENGINE,
             _option("--precision", metavar="P", help="fp32 (default), auto, bf16, fp16 or int8",
                     example="vidgraph eval --model yolact-edge-tiny --data synth:street --precision auto"),
             THREADS, OVERWRITE, QUIET, VERBOSE),
            "vidgraph eval --model yolact-edge-tiny --data 'synth:street?split=hard'"),
    Command("train", "train a model on a data set", "train:train",
            (_option("model", metavar="MODEL", help="model: of YOLACT, YolactEdge or RetinaFace",
                     example=_TRAIN),
             _option("--data", required=True, metavar="DATASET", help="KIND:PATH, such as coco:a.json, or synth:street",
                     example="vidgraph train yolact-edge-tiny --data coco:annotations.json -o runs/mine"),
             _option("-o", "--output", required=True, metavar="FOLDER", help="weights, checkpoints and curve go here",
                     example=_TRAIN),
             _option("--stage", choices=("image", "video"), default="image", metavar="S",
                     help="image, or video: pairs of frames, flow and warp end to end",
                     example=_TRAIN + " --stage video --weights runs/image/last.pth"),
             _option("--weights", metavar="FILE", help="start from this checkpoint",
                     example=_TRAIN + " --weights runs/image/last.pth"),
             _option("--resume", action="store_true", help="go on where the training in FOLDER ended",
                     example=_TRAIN + " --resume"),
             _option("--steps", type=positive, metavar="N", help="steps in all (default 20000, unless --hours)",
                     example=_TRAIN + " --steps 50000"),
             _option("--hours", type=number(float, 1e-4, 1e4, "hours above 0"), metavar="H",
                     help="end after this time in all", example=_TRAIN + " --hours 8"),
             _option("--batch", type=positive, metavar="N", help="frames (or pairs) of a step (default 16)",
                     example=_TRAIN + " --batch 8"),
             _option("--rate", type=number(float, 1e-9, 1e3, "a number above 0"), metavar="R",
                     help="highest learning rate (muon 0.005, adamw 0.001, sgd 0.01)",
                     example=_TRAIN + " --rate 0.0005"),
             _option("--optimiser", choices=("muon", "adamw", "sgd"), default="muon", metavar="O",
                     help="muon (default), adamw or sgd", example=_TRAIN + " --optimiser sgd"),
             _option("--boxes", choices=("giou", "smooth-l1"), default="giou", metavar="L",
                     help="loss of boxes: giou (default), or smooth-l1 as published",
                     example=_TRAIN + " --boxes smooth-l1"),
             _option("--scores", choices=("fit", "class"), default="fit", metavar="S",
                     help="also say how well boxes fit (fit), or as published (class)",
                     example=_TRAIN + " --scores class"),
             _option("--decay", type=number(float, 0.0, 1e3, "a number from 0"), metavar="D",
                     help="weight decay (0.02, sgd 0.0005)", example=_TRAIN + " --decay 0.01"),
             _option("--warmup", type=number(int, 0, 2**31 - 1, "a whole number from 0"), metavar="N",
                     help="steps in which the rate rises (default 300)", example=_TRAIN + " --warmup 100"),
             _option("--average", type=probability, metavar="D", help="decay of the average of weights (default 0.999)",
                     example=_TRAIN + " --average 0.9995"),
             _option("--freeze-norm", action="store_true", help="norms keep their statistics",
                     example=_TRAIN + " --weights runs/image/last.pth --freeze-norm"),
             _option("--several", type=positive, metavar="N", help="anchors that an object takes (6; published 1)",
                     example=_TRAIN + " --several 1"),
             _option("--distance", type=positive, metavar="N", help="video: key frame 1 to N frames before (default 5)",
                     example=_TRAIN + " --stage video --distance 10"),
             _option("--flow", type=number(float, 0.0, 1e3, "a number from 0"), metavar="W",
                     help="video: weight of the true flow (default 0.5)", example=_TRAIN + " --stage video --flow 0"),
             _option("--match", type=number(float, 0.0, 1e3, "a number from 0"), metavar="W",
                     help="video: weight of matching features (default 0)",
                     example=_TRAIN + " --stage video --match 1"),
             _option("--size", type=parse_size, metavar="WxH", help="of the network's input (default: the model's)",
                     example=_TRAIN + " --size 384x224"),
             _option("--part", type=number(float, 0.01, 1.0, "a part of 1"), metavar="P",
                     help="of each side of a frame that fills the input", example=_TRAIN + " --size 384x224 --part 1"),
             _option("--augment", type=number(float, 0.0, 1.0, "a number from 0 to 1"), metavar="A",
                     help="how much frames are zoomed and lit otherwise (default 1)",
                     example=_TRAIN + " --augment 0.3"),
             _option("--cache-size", type=parse_size, metavar="WxH", help="of the frames kept (1.25 of the input)",
                     example=_TRAIN + " --cache-size 640x360"),
             _option("--precision", choices=("fp32", "bf16"), default="fp32", metavar="P",
                     help="fp32 (default), or bf16 where the processor has it", example=_TRAIN + " --precision fp32"),
             _option("--seed", type=number(int, 0, 2**63 - 1, "a whole number from 0"), metavar="N", default=0,
                     help="of weights, order and augmentation (default 0)", example=_TRAIN + " --seed 1"),
             _option("--checkpoint-minutes", type=number(float, 0.0, 1e4, "minutes from 0"), metavar="M",
                     help="between two checkpoints (default 10)", example=_TRAIN + " --checkpoint-minutes 5"),
             _option("--report", type=positive, metavar="N", help="steps between two lines (default 20)",
                     example=_TRAIN + " --report 100"),
             THREADS, OVERWRITE, QUIET, VERBOSE),
            "vidgraph train yolact-edge-tiny --data coco:annotations.json -o runs/mine"),
    Command("draw", "draw results on their video, without the network", "run:draw",
            (_option("source", metavar="VIDEO", help="the video that was run",
                     example="vidgraph draw in.mp4 out.jsonl -o drawn.mp4"),
             _option("results", metavar="RESULTS", help="its .jsonl results",
                     example="vidgraph draw in.mp4 out.jsonl -o drawn.mp4"),
             OUTPUT, OVERWRITE, PRESET, THREADS, MAX_PIXELS, QUIET, VERBOSE),
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
             _option("-o", "--output", metavar="FILE", help="where to (default: beside the results)",
                     example="vidgraph convert out.jsonl --to csv -o faces.csv"),
             MAX_PIXELS, OVERWRITE, VERBOSE),
            "vidgraph convert out.jsonl --to coco"),
    Command("data", "write a data set, or the drawn world, in another format", "data:data",
            (_option("address", metavar="DATASET", help="KIND:PATH, such as coco:a.json, or synth:street",
                     example="vidgraph data 'synth:street?clips=1&frames=2' --to coco -o street"),
             _option("--to", required=True, metavar="KIND", help="coco, coco-panoptic or mot",
                     example="vidgraph data 'synth:street?clips=1&frames=2' --to coco-panoptic -o street"),
             _option("-o", "--output", required=True, metavar="FOLDER", help="where to",
                     example="vidgraph data 'synth:street?clips=1&frames=2' --to mot -o street"),
             _option("--frames", type=positive, metavar="N", help="at most this many frames a clip",
                     example="vidgraph data synth:street --to mot -o street --frames 2"),
             _option("--images", default="jpg", metavar="KIND", help="jpg (default), png or none",
                     example="vidgraph data 'synth:street?clips=1&frames=2' --to coco -o street --images png"),
             OVERWRITE, QUIET, VERBOSE),
            "vidgraph data 'synth:street?clips=1&frames=2' --to coco -o street"),
    Command("info", "engines, instruction sets, codecs, GPU of this machine", "info:info",
            (_option("--json", action="store_true", help="as JSON", example="vidgraph info --json"),),
            "vidgraph info"),
)
# fmt: on

"""Whole files of every kind, small, made here; what earlier runs found; and what lies beside the checkout, if any."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from .mutate import Change, cut, json_lines, json_text, mp4_boxes, plain, protobuf, text_lines, toml_text, zip_members

FINDINGS = Path(__file__).parent / "findings"
SHARED = Path(__file__).resolve().parents[3] / "shared"
_LARGEST = 400_000


@dataclass(frozen=True, slots=True)
class Seed:
    """A file to change.

    ``file`` is where it lies in the folder of a try, beside copies of what is in ``beside``; ``about`` is what a kind
    needs to know to read it, such as the address of a data set. ``change`` is the change that knows its structure.
    """

    name: str
    data: bytes
    file: str
    change: Change = plain
    beside: Path | None = None
    about: str = ""


def _found(kind: str, change: Change, suffixes: str) -> Iterator[Seed]:
    """Files of earlier faults, and those beside the checkout."""
    folders = [FINDINGS / kind]
    if SHARED.exists():
        folders += [SHARED / "cases", SHARED / "cases" / "hostile"]
    for folder in folders:
        for path in sorted(folder.iterdir()) if folder.exists() else ():
            if path.suffix in suffixes.split() and path.is_file() and path.stat().st_size < _LARGEST:
                yield Seed(path.name, path.read_bytes(), f"input{path.suffix}", change)


_VIDEOS = (
    ("mp4", "libx264", {}), ("mov", "libx264", {"bf": "2"}), ("mkv", "libx264", {}), ("ts", "libx264", {}),
    ("flv", "libx264", {}), ("avi", "mpeg4", {"bf": "2"}), ("mpg", "mpeg2video", {}), ("m4v", "mpeg4", {}),
    ("webm", "libvpx-vp9", {}), ("mkv", "libvpx", {}),
    ("mp4", "libx265", {"x265-params": "log-level=none"}),
    ("mkv", "mjpeg", {}), ("gif", "gif", {}), ("wmv", "wmv2", {}), ("h264", "libx264", {}),
    ("mkv", "libsvtav1", {"svtav1-params": "lp=1"}),
    ("mxf", "mpeg2video", {}), ("nut", "ffv1", {}), ("mov", "prores_ks", {}),
)  # fmt: skip
_FORMATS = {"mjpeg": "yuvj420p", "gif": "rgb8", "prores_ks": "yuv422p10le"}


def videos(work: Path) -> Iterator[Seed]:
    """Clips of 12 frames in every container and many codecs that FFmpeg writes here."""
    from ..stages.clips import make_clip

    for suffix, codec, options in _VIDEOS:
        path = _short_clip(work / f"{codec}.{suffix}", codec, options)
        change = mp4_boxes if suffix in ("mp4", "mov") else plain
        yield Seed(path.name, path.read_bytes(), f"input.{suffix}", change)
    fragments = {"movflags": "frag_keyframe+empty_moov"}
    path = make_clip(work / "fragments.mp4", frames=12, rate=Fraction(30000, 1001), container_options=fragments)
    yield Seed(path.name, path.read_bytes(), "input.mp4", mp4_boxes)
    path = make_clip(work / "sound.mkv", frames=12, audio=True)
    yield Seed(path.name, path.read_bytes(), "input.mkv", plain)
    yield from _found("video", plain, ".mp4 .mkv .webm .ts .mpg .avi .flv .gif")


def _short_clip(path: Path, codec: str, options: dict[str, str]) -> Path:
    import av

    from ..stages.clips import as_before, picture_rgb, video_frame

    with as_before(), av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = (96, 128)
        stream.pix_fmt = _FORMATS.get(codec, "yuv420p")
        stream.codec_context.gop_size, stream.codec_context.options = 5, dict(options)
        stream.codec_context.thread_count = 1
        for number in range(12):
            container.mux(stream.encode(video_frame(picture_rgb(number, (96, 128)), stream.pix_fmt)))
        container.mux(stream.encode(None))
    return path


def pictures(work: Path) -> Iterator[Seed]:
    """Pictures of every format, animations among them."""
    from PIL import Image

    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    image, second = Image.fromarray(rgb), Image.fromarray(rgb[::-1].copy())
    for suffix, mode in (
        ("png", "RGB"), ("png", "P"), ("png", "I;16"), ("png", "LA"), ("jpg", "RGB"), ("jpg", "CMYK"), ("tiff", "RGB"),
        ("webp", "RGB"), ("gif", "P"), ("bmp", "RGB"), ("ppm", "RGB"), ("jp2", "RGB"),
    ):  # fmt: skip
        made = io.BytesIO()
        converted = Image.fromarray(rgb[..., 0].astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
        converted.save(made, format={"jpg": "JPEG", "jp2": "JPEG2000"}.get(suffix, suffix.upper()))
        yield Seed(f"{mode}.{suffix}", made.getvalue(), f"input.{suffix}")
    for suffix in ("png", "webp", "tiff", "gif"):
        made = io.BytesIO()
        timing = {} if suffix == "tiff" else {"duration": 40}
        image.save(made, format=suffix.upper(), save_all=True, append_images=[second, image], **timing)
        yield Seed(f"several.{suffix}", made.getvalue(), f"input.{suffix}")
    yield from _found("picture", plain, ".png .jpg .webp .tif")


def networks(work: Path) -> Iterator[Seed]:
    """Custom ONNX models."""
    from ..material import make_custom_models
    from ..models.custom.memory_nets import matting
    from ..models.custom.planted import write_network

    make_custom_models(work)
    table = np.zeros((1, 7, 84), np.float32)  # 8x8, 4x4 and 2x2 cells
    table[0, :4, 7], table[0, 5, 7] = (32, 32, 20, 20), 0.9
    about = {"author": "Ultralytics", "task": "detect", "imgsz": "[64, 64]", "names": "{0: 'cat', 1: 'dog', 2: 'cup'}"}
    write_network(work / "small.onnx", {"output0": table}, size=(64, 64), metadata=about)
    memory = matting(work / "memory.onnx")
    for path in (work / "small.onnx", work / "roads.onnx", work / "rtdetr" / "model.onnx", memory):
        yield Seed(path.name, path.read_bytes(), "input.onnx", protobuf)
    yield from _found("network", protobuf, ".onnx")


def results(work: Path) -> Iterator[Seed]:
    """Results with masks, points, panoptic maps and tracks."""
    for scene, model in (("street", "yolact-edge-tiny"), ("faces", "retinaface-tiny")):
        path = work / f"{scene}.jsonl"
        command = ["run", f"synth:{scene}?frames=3&size=320x240", "--model", model, "-o", str(path), "-q", "-y"]
        subprocess.run([sys.executable, "-P", "-m", "vidgraph", *command], check=True)
        yield Seed(path.name, path.read_bytes(), "input.jsonl", json_lines)
    yield Seed("panoptic", "\n".join(map(json.dumps, _PANOPTIC)).encode() + b"\n", "input.jsonl", json_lines)
    yield from _found("results", json_lines, ".jsonl")


_SIZE = [320, 240]
_PANOPTIC = (
    {"format": "vidgraph.results/1", "models": [{"name": "m", "classes": ["road", "car"], "panoptic": True}],
     "sources": [{"stream": "in", "address": "clip.mp4", "size": _SIZE, "rate": 25.0}]},
    {"stream": "in", "frame": 0, "time_s": 0.0, "epoch": 0, "size": _SIZE, "objects": [
        {"class": "car", "class_id": 1, "score": 0.5, "box": [1, 2, 30.5, 40], "track": 3}],
     "segments": [{"id": 1, "class": "road", "class_id": 0, "is_thing": False,
                   "mask": {"size": _SIZE[::-1], "counts": "PSU2"}}]},
    {"stream": "in", "frame": 1, "time_s": 0.04, "epoch": 0, "size": _SIZE, "held_from": 0, "segments": []},
)  # fmt: skip


_TOML = """# everything that a description may say
name = "pets"
[input]
size = [64, 64]
fit = "letterbox"
color = "rgb"
mean = [0, 0, 0]
std = [255, 255, 255]
layout = "nchw"
[head]
kind = "yolo"
classes = ["cat", "dog", "cup"]
objectness = false
min_score = 0.3
"""


def descriptions(work: Path) -> Iterator[Seed]:
    """TOML files beside ``input.onnx``."""
    from ..models.custom.memory_nets import queries

    (network,) = (seed for seed in networks(work) if seed.name == "small.onnx")
    beside = work / "described"
    beside.mkdir(exist_ok=True)
    (beside / "input.onnx").write_bytes(network.data)
    path = beside / "input.toml"
    command = [sys.executable, "-P", "-m", "vidgraph", "export", str(beside / "input.onnx"), "--template", "-y"]
    subprocess.run([*command, "-o", str(path)], check=True, capture_output=True)
    template = path.read_bytes()
    path.unlink()
    yield Seed("template", template, "input.toml", toml_text, beside)
    yield Seed("written", _TOML.encode(), "input.toml", toml_text, beside)
    remembered = work / "remembered"
    remembered.mkdir(exist_ok=True)
    written = queries(remembered / "input.onnx").with_suffix(".toml")
    state = written.read_bytes()
    written.unlink()
    yield Seed("state", state, "input.toml", toml_text, remembered)
    for seed in _found("description", toml_text, ".toml"):
        yield Seed(seed.name, seed.data, "input.toml", toml_text, beside)


def annotations(work: Path) -> Iterator[Seed]:
    """One file of each kind of data set, in a folder that has the rest of it."""
    from ..training.datasets import fixtures

    root = work / "sets"
    if not root.exists():
        for make in (
            fixtures.coco,
            fixtures.youtube_vis,
            fixtures.cityscapes_vps,
            fixtures.wider,
            fixtures.mpii,
            fixtures.mot,
        ):
            make(root / make.__name__)
    for kind, file, change in (
        ("coco", "coco/annotations/instances_val2017.json", json_text),
        ("youtube-vis", "youtube_vis/instances.json", json_text),
        ("cityscapes-vps", "cityscapes_vps/panoptic_gt_val_city_vps.json", json_text),
        ("wider", "wider/wider_face_split/wider_face_val_bbx_gt.txt", text_lines),
        ("wider", "wider/widerface/val/label.txt", text_lines),
        ("mpii", "mpii/annot/valid.json", json_text),
        ("mpii", "mpii/annot/mpii_annotations.json", json_text),
        ("mot", "mot/MOT17-02/gt/gt.txt", text_lines),
        ("mot", "mot/MOT17-02/seqinfo.ini", text_lines),
    ):  # fmt: skip
        folder, _, inside = file.partition("/")
        address = {"cityscapes-vps": ".", "mot": "MOT17-02"}.get(kind, inside)
        yield Seed(inside, (root / file).read_bytes(), inside, change, root / folder, f"{kind}:{address}")
    for png in sorted((root / "cityscapes_vps" / "val" / "panoptic_video").iterdir())[:1]:
        inside = str(png.relative_to(root / "cityscapes_vps"))
        yield Seed(inside, png.read_bytes(), inside, cut, root / "cityscapes_vps", "cityscapes-vps:.")
    for path in sorted((FINDINGS / "annotations").glob("*")):
        yield Seed(path.name, path.read_bytes(), path.name, json_text, root / "coco", f"coco:{path.name}")


def checkpoints(work: Path) -> Iterator[Seed]:
    """Weights of a small model, in both formats of torch."""
    import torch
    from vidgraph.models.registry import find_model

    torch.manual_seed(0)
    weights = find_model("retinaface-slim").family().network("retinaface-slim").state_dict()
    for name, newer, content in (
        ("zip", True, weights),
        ("pickle", False, weights),
        ("training", True, {"state_dict": {f"module.{key}": value for key, value in weights.items()}, "epoch": 3}),
    ):
        made = io.BytesIO()
        torch.save(content, made, _use_new_zipfile_serialization=newer)
        yield Seed(name, made.getvalue(), "input.pth", zip_members if newer else plain)
    yield from _found("checkpoint", zip_members, ".pth")


def labels(work: Path) -> Iterator[Seed]:
    """Files of class names."""
    yield Seed("plain", b"cat\ndog\ncup\n", "input.txt", text_lines)
    yield Seed("marked", "\ufeffcat\r\nd\u00f6g\r\ncup\r\n".encode(), "input.txt", text_lines)
    yield from _found("labels", text_lines, ".txt")

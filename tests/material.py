"""What tests of whole runs run on: pictures, clips, and weights that find something in them, all made here."""

from __future__ import annotations

import json
import os
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from vidgraph.engines import ENGINES
from vidgraph.engines.network_file import ONNX

CPU_ENGINES = [name for name, row in ENGINES.items() if "cpu" in row.devices and row.network == ONNX]
"""Engines of ONNX files that run on any machine, installed or not."""
SIZE = (240, 320)
"""Height and width of the pictures."""


def plain_environment() -> dict[str, str]:
    """The environment of a user's shell: nothing in it that these tests, or whoever runs them, set."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "VIDGRAPH", "PYTHON"))}


def picture(number: int) -> NDArray[np.uint8]:
    """RGB, uint8 [240, 320, 3]: coloured waves, another picture for every number."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    rows = [np.cos(y / (23 - 3 * channel) - 0.13 * number) for channel in range(3)]
    waves = [np.sin(x / (17 + c) + 0.21 * number * (c + 1)) * rows[c] for c in range(3)]
    rgb = np.stack(waves, axis=-1) * 90 + 128
    rgb[80:140, 20 + 8 * (number % 30) : 80 + 8 * (number % 30)] = (250, 220, 200)
    return rgb.astype(np.uint8)


def make_clip(path: Path, frames: int = 12, rate: int = 25) -> Path:
    """A video of ``frames`` frames, 320x240."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("h264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = SIZE[1], SIZE[0], "yuv420p"
        stream.codec_context.options = {"preset": "ultrafast"}
        for number in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number), format="rgb24")))
        container.mux(stream.encode())
    return path


def make_photo(path: Path, number: int = 0) -> Path:
    """A JPEG picture, 320x240."""
    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = SIZE[1], SIZE[0], "yuvj420p"
        frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24").reformat(format="yuvj420p")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def make_weights(model: str, path: Path) -> Path:
    """Seeded weights of a RetinaFace with a feature pyramid that find a handful of "faces" in :func:`picture`."""
    import torch
    from vidgraph.models import find_model

    torch.manual_seed(0)
    network = find_model(model).family().network(model)
    pixels = picture(4)[..., ::-1].astype(np.float32) - np.array([104, 117, 123], np.float32)
    with torch.no_grad():
        _, conf, _ = network(torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None])
        logits = (conf[0, :, 1] / conf[0, :, 0]).log()
        gain, threshold = 1000 / logits.std(), logits.sort(descending=True).values[30]
        for head in network.ClassHead:
            head.conv1x1.bias[1::2] -= threshold
            for values in head.parameters():
                values *= gain
    torch.save(network.state_dict(), path)
    return path


def make_queries(path: Path) -> None:
    """A network with the outputs of ``deimv2-femto``, which finds one person whatever it sees."""
    from .models.custom.planted import write_network

    boxes, scores = np.full((1, 9, 4), 0.25, np.float32), np.zeros((1, 9), np.float32)
    boxes[..., 2:], scores[0, 4] = 0.5, 0.9
    outputs = {"labels": np.zeros((1, 9), np.int64), "boxes": boxes, "scores": scores}
    write_network(path, outputs, size=(64, 64), sizes_input=True)


def make_custom_models(folder: Path) -> None:
    """ONNX files that find the same whatever they see: ``my.onnx``, ``rtdetr/model.onnx``, ``roads.onnx``, …

    And two with memory: ``matting.onnx``, ``flow.onnx``.
    """
    from .models.custom.memory_nets import flow, matting
    from .models.custom.picture_nets import write_picture_net
    from .models.custom.planted import write_network

    table, prototypes = np.zeros((1, 4 + 3 + 32, 2100), np.float32), np.zeros((1, 32, 80, 80), np.float32)
    table[0, :4, 7], table[0, 5, 7], table[0, 7, 7] = (160, 160, 80, 60), 0.9, 1.0
    prototypes[0, 0] = 4.0
    metadata = {"author": "Ultralytics", "stride": "32", "task": "segment", "imgsz": "[320, 320]"}
    metadata |= {"names": "{0: 'cat', 1: 'dog', 2: 'bird'}"}
    outputs = {"output0": table, "output1": prototypes}
    write_network(folder / "my.onnx", outputs, size=(320, 320), metadata=metadata)
    logits, boxes = np.full((1, 100, 2), -8, np.float32), np.full((1, 100, 4), 0.5, np.float32)
    logits[0, 3, 1] = 3
    (folder / "rtdetr").mkdir()
    write_network(folder / "rtdetr" / "model.onnx", {"logits": logits, "pred_boxes": boxes}, size=(64, 64))
    config = {"architectures": ["RTDetrForObjectDetection"], "model_type": "rt_detr", "id2label": {"0": "a", "1": "b"}}
    (folder / "rtdetr" / "config.json").write_text(json.dumps(config))
    preprocessor = {"do_normalize": False, "size": {"height": 64, "width": 64}}
    (folder / "rtdetr" / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    maps = np.zeros((1, 4, 16, 16), np.float32)
    maps[0, 1, :8], maps[0, 3, 8:] = 5, 5
    write_network(folder / "roads.onnx", {"logits": maps}, size=(64, 64))
    matting(folder / "matting.onnx", sides=("height", "width"), batch="batch", ratio=True)
    flow(folder / "flow.onnx", toml="")
    masks = np.full((1, 100, 16, 16), -4, np.float32)
    masks[0, 3, 4:12, 4:12] = 4
    known = {"rfdetr_inference": json.dumps({"class_id_to_name": {"0": "cat"}, "num_select": 100})}
    outputs = {"dets": boxes, "labels": logits[..., ::-1], "masks": masks}
    write_network(folder / "rfdetr-seg.onnx", outputs, size=(64, 64), metadata=known)
    (folder / "mask2former").mkdir()
    config = {"architectures": ["Mask2FormerForUniversalSegmentation"], "id2label": {"0": "cat"}}
    (folder / "mask2former" / "config.json").write_text(json.dumps(config))
    outputs = {"class_queries_logits": np.ascontiguousarray(logits[..., ::-1]), "masks_queries_logits": masks}
    write_network(folder / "mask2former" / "model.onnx", outputs, size=(64, 64))
    ramp = np.broadcast_to(np.linspace(0, 1, 16, dtype=np.float32), (1, 1, 16, 16))
    write_network(folder / "person.onnx", {"out": np.eye(16, dtype=np.float32)[None, None]}, size=(64, 64))
    write_network(folder / "looks.onnx", {"out": np.ones((1, 8), np.float32)}, size=(64, 64))
    write_picture_net(folder / "larger.onnx", times=4)
    for name in ("depth", "matte"):
        write_network(folder / f"{name}.onnx", {"out": ramp}, size=(64, 64))

"""A run on a card, as far as it goes without one: the same graph, emulated kernels, the same results."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vidgraph
from vidgraph.kernels.device import HOST, Device
from vidgraph.pipeline.errors import SourceError
from vidgraph.pipeline.types.picture import Picture

from .. import emulator
from ..emulator import card, codec
from ..models.custom.test_yolo_planted import planted_file
from ..models.custom.yolo_planted import make_objects
from ..stages.sinks.sinks import read_video

pytestmark = pytest.mark.skipif(emulator.compiler() is None, reason="needs a C++ compiler")


MOST_BYTES = 64 << 10  # of a frame, from the card to the host


def lines_of(path: Path) -> tuple[dict[str, Any], list[str]]:
    """The header and the lines of frames of a results file."""
    first, *frames = path.read_text("utf-8").splitlines()
    return json.loads(first), frames


def plug_in_onnxruntime(monkeypatch: pytest.MonkeyPatch, emulated: emulator.EmulatedDriver) -> None:
    """ONNX Runtime's engine for cards, with its provider of the CPU, as work on a stream, in the card's memory."""
    onnxruntime_card = pytest.importorskip("vidgraph.engines.onnxruntime_card", reason="needs onnxruntime")
    opened, put = onnxruntime_card._open, emulated.library.put
    monkeypatch.setattr(onnxruntime_card, "_lanes", {})
    monkeypatch.setattr(onnxruntime_card, "PROVIDER", "CPUExecutionProvider")
    monkeypatch.setattr(onnxruntime_card, "MEMORY", "cpu")
    monkeypatch.setattr(onnxruntime_card, "provider_options", lambda *_, **__: {})

    class OnStream:
        """A session."""

        def __init__(self, name: str, content: Any, lane: Any, options: Any) -> None:
            self._real, self._stream = opened(name, content, lane, options), lane.stream

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

        def run_with_iobinding(self, *given: Any) -> None:
            put(self._stream, lambda: self._real.run_with_iobinding(*given))

    monkeypatch.setattr(onnxruntime_card, "_open", OnStream)


@pytest.mark.parametrize(
    ("clip", "seed", "on_card"),
    [
        *((clip, seed, card.ENGINE) for clip in ("faces", "street") for seed in range(2)),
        *(("custom", seed, card.ENGINE) for seed in range(2)),
        *((clip, 0, "onnxruntime") for clip in ("faces", "street", "custom")),
    ],
)
def test_the_results_are_those_of_the_cpu(
    clip: str,
    seed: int,
    on_card: str,
    face_clip: Path,
    face_weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same network in the same engine: faces, a video model whose features stay from key frame to key frame, a
    custom one with masks.

    A frame leaves the card once, as little more than its results: that is the one wait.
    """
    emulated = card.plug_in(monkeypatch, seed)
    if on_card == "onnxruntime":
        plug_in_onnxruntime(monkeypatch, emulated)
    custom = planted_file(tmp_path / "planted.onnx", "v8-seg", make_objects((96, 160)), "float32")
    given: dict[str, Any] = {
        "faces": {"source": face_clip, "model": "retinaface", "weights": face_weights, "frames": 8},
        "street": {"source": "synth:street?size=320x180&frames=5", "model": "yolact-edge-tiny", "keyframes": 2},
        "custom": {"source": "synth:street?size=320x180&frames=3", "model": str(custom)},
    }[clip]
    headers, frames = [], []
    for engine, device in (("onnxruntime", "cpu"), (on_card, "cuda:0")):
        out = tmp_path / f"{engine}-{device[:4]}.jsonl"
        vidgraph.run(**given, engine=engine, device=device, precision="fp32", outputs=[out]).wait()
        header, lines = lines_of(out)
        headers.append(header)
        frames.append(lines)
    assert emulated.launches >= len(frames[1]) > 0
    assert frames[1] == frames[0]
    assert len(emulated.reads) == len(frames[1])
    assert max(emulated.reads) < MOST_BYTES
    assert any(json.loads(line)["objects"] for line in frames[0])
    models = [header["models"][0] for header in headers]
    assert [(model["engine"], model["device"]) for model in models] == [("onnxruntime", "cpu"), (on_card, "cuda:0")]


@pytest.mark.parametrize("clip", ["faces", "street"])
def test_frames_never_leave_the_card(
    clip: str, face_clip: Path, face_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decoded, read by the network, drawn on and encoded where they are: the results and the pixels of the CPU."""
    card.plug_in(monkeypatch)
    codec.plug_in(monkeypatch)
    source = face_clip
    if clip == "street":
        source = tmp_path / "street.mp4"
        vidgraph.run(
            "synth:street?size=320x180&frames=7", model="yolact-edge-tiny", engine="onnxruntime", device="cpu",
            min_score=1.0, outputs=[source],
        ).wait()  # fmt: skip
    given: dict[str, Any] = {
        "faces": {"model": "retinaface", "weights": face_weights, "frames": 8},
        "street": {"model": "yolact-edge-tiny", "keyframes": 3},
    }[clip]
    moved: list[Device] = []
    on = Picture.on

    def noted(picture: Picture, device: Device) -> Picture:
        if picture.device != device:
            moved.append(device)
        return on(picture, device)

    monkeypatch.setattr(Picture, "on", noted)
    headers, frames, videos = [], [], []
    for engine, device in (("onnxruntime", "cpu"), (card.ENGINE, "cuda:0")):
        outputs = [tmp_path / f"{engine}.jsonl", tmp_path / f"{engine}.mp4"]
        vidgraph.run(source, **given, engine=engine, device=device, precision="fp32", outputs=outputs).wait()
        header, lines = lines_of(outputs[0])
        headers.append(header)
        frames.append(lines)
        videos.append(read_video(outputs[1], pictures=True))
    assert moved == []
    assert frames[1] == frames[0]
    assert any(json.loads(line)["objects"] for line in frames[0])
    assert [header["sources"][0].get("decoder") for header in headers] == [None, "cuda:0"]
    assert videos[0].times == videos[1].times
    assert len(videos[0].pictures) == len(frames[0])
    for here, there in zip(videos[0].pictures, videos[1].pictures, strict=True):
        np.testing.assert_array_equal(there, here)


def test_a_run_without_nvdec_goes_on_with_the_cpu(
    face_clip: Path, face_weights: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With FFmpeg's own refusal; asked for, it is an error before anything runs."""
    card.plug_in(monkeypatch)
    given: dict[str, Any] = {
        "model": "retinaface", "weights": face_weights, "engine": card.ENGINE, "device": "cuda:0", "frames": 2,
    }  # fmt: skip
    with caplog.at_level(logging.WARNING, "vidgraph"):
        places = [result.frame.picture.device for result in vidgraph.run(face_clip, **given)]
    assert places == [HOST, HOST]
    assert sum("decoded by the CPU, as NVDEC of cuda:0 is not to be had" in line for line in caplog.messages) == 1
    with pytest.raises(SourceError, match=r"on cuda:0: NVDEC of cuda:0 is not to be had: .*; use decoder auto or cpu$"):
        vidgraph.run(face_clip, decoder="cuda", **given)

"""A run on a card, as far as it goes without one: the same graph, emulated kernels, the same results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import vidgraph

from .. import emulator
from ..emulator import card

pytestmark = pytest.mark.skipif(emulator.compiler() is None, reason="needs a C++ compiler")


MOST_BYTES = 64 << 10  # of a frame, from the card to the host


def lines_of(path: Path) -> tuple[dict[str, Any], list[str]]:
    """The header and the lines of frames of a results file."""
    first, *frames = path.read_text("utf-8").splitlines()
    return json.loads(first), frames


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("clip", ["faces", "street"])
def test_the_results_are_those_of_the_cpu(
    clip: str, seed: int, face_clip: Path, face_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same network in the same engine; faces, and a video model whose features stay from key frame to key frame.

    A frame leaves the card once, as little more than its results: that is the one wait.
    """
    emulated = card.plug_in(monkeypatch, seed)
    given: dict[str, Any] = {
        "faces": {"source": face_clip, "model": "retinaface", "weights": face_weights, "frames": 8},
        "street": {"source": "synth:street?size=320x180&frames=7", "model": "yolact-edge-tiny", "keyframes": 3},
    }[clip]
    headers, frames = [], []
    for engine, device in (("onnxruntime", "cpu"), (card.ENGINE, "cuda:0")):
        out = tmp_path / f"{engine}.jsonl"
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
    assert [(model["engine"], model["device"]) for model in models] == [("onnxruntime", "cpu"), (card.ENGINE, "cuda:0")]

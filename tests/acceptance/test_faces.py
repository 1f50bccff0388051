"""The main job on a real video with real weights: as many faces as the official code finds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from ..conftest import Ended

OFFICIAL_FACES, FRAMES = 588, 105
"""What Pytorch_Retinaface finds in the clip: longer side 640, score above 0.5."""


@pytest.mark.parametrize(
    "words",
    [
        ("--precision", "fp32", "-o", "out.mp4"),
        ("--precision", "bf16"),
        ("--precision", "fp32", "--engine", "onnxruntime"),
    ],
)
def test_faces(
    words: tuple[str, ...], vidgraph: Callable[..., Ended], shared: Callable[[str], Path],
    tolerance: Callable[[str], float], tmp_path: Path,
) -> None:  # fmt: skip
    pytest.importorskip("torch", reason="needs torch to read the checkpoint (the extra 'torch')")
    if "onnxruntime" in words:
        pytest.importorskip("onnxruntime", reason="needs the extra 'onnxruntime'")
    clip = shared("media/faces_1080p.mp4")
    weights = shared("golden/retinaface_mobilenet0.25_leaky/state_dict.pth")
    run = (
        "run",
        clip,
        "--model",
        f"retinaface={weights}",
        "--size",
        640,
        "--min-score",
        0.5,
        "-o",
        "out.jsonl",
        *words,
    )
    ended = vidgraph(*run)
    if ended.code == 1 and "bf16" in words:
        assert "bf16" in ended.line
        pytest.skip("this processor has no bf16")
    assert ended.code == 0, ended.err
    frames = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("ascii").splitlines()][1:]
    faces = [len(frame["objects"]) for frame in frames]
    assert len(faces) == FRAMES
    assert min(faces) >= 1
    assert sum(faces) == pytest.approx(OFFICIAL_FACES, rel=tolerance("faces in the clip, of the official count"))
    for item in (item for frame in frames for item in frame["objects"]):
        x1, y1, x2, y2 = item["box"]
        assert x1 < x2 < 1950
        assert y1 < y2 < 1110
        inside = [x1 - 20 < x < x2 + 20 and y1 - 20 < y < y2 + 20 for x, y, _ in item["points"]]
        assert sum(inside) >= 4
    if "out.mp4" in words:
        with av.open(str(tmp_path / "out.mp4")) as video, av.open(str(clip)) as source:
            assert video.streams.video[0].frames == FRAMES
            assert (video.streams.video[0].width, video.streams.video[0].height) == (1920, 1080)
            assert len(video.streams.audio) == len(source.streams.audio)

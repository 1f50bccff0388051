"""How many faces are found in a real video, against the count of the official code, in every precision there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph import DETECTIONS, Packet
from vidgraph.models import load_model
from vidgraph.stages.sources.video import VideoSource

OFFICIAL_FACES = 588  # Pytorch_Retinaface on the clip read by OpenCV, longer side 640, score 0.5


@pytest.mark.parametrize("precision", ["fp32", "auto"])
def test_faces_in_every_frame(
    precision: str, shared: Callable[[str], Path], checkpoint: Callable[[str], Path], tolerance: Callable[[str], float]
) -> None:
    """The clip names no matrix; OpenCV reads it as BT.601, so the colours are compared on that."""
    clip = shared("media/faces_1080p.mp4")
    source = VideoSource(str(clip), threads=1)
    counts = []
    with load_model("retinaface", weights=checkpoint("retinaface"), precision=precision, threads=2) as model:
        stages = model.stages()
        source.open()
        try:
            for frame in source.frames():
                packet = Packet(replace(frame, picture=replace(frame.picture, matrix="bt601")))
                for stage in stages:
                    (packet,) = stage.process(packet)
                counts.append(len(packet[DETECTIONS]))
        finally:
            source.close()
    assert len(counts) == 105
    assert min(counts) >= 1
    assert abs(sum(counts) - OFFICIAL_FACES) <= tolerance("retinaface faces in video") * OFFICIAL_FACES


@pytest.mark.parametrize("photo_name", ["astronaut", "cyclists"])
@pytest.mark.parametrize("model", ["retinaface", "retinaface-1mb"])
def test_sure_faces_in_the_default_precision(
    model: str, photo_name: str, golden: Any, checkpoint: Callable[[str], Path], photo: Callable[[str], np.ndarray],
    tolerance: Callable[[str], float],
) -> None:  # fmt: skip
    """Whatever ``auto`` means here (bf16 where it is native): the same faces, a little elsewhere."""
    expected = golden(model).load(f"{photo_name}_long640")["dets"]
    expected = expected[expected[:, 4] >= 0.7]
    with load_model(model, weights=checkpoint(model), min_score=0.5, threads=2) as loaded:
        found = loaded(photo(photo_name)).detections
    assert len(expected)
    for row in expected:
        side = max(row[2] - row[0], row[3] - row[1])
        gaps = np.abs(found.boxes - row[:4]).max(axis=1) / side
        assert gaps.min() <= tolerance("retinaface box in bf16")
        assert abs(found.scores[gaps.argmin()] - row[4]) <= tolerance("retinaface score in bf16")

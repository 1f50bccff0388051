"""Resident memory is flat, but for steps in which pools grow to the most that is ever in use at one time."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from vidgraph.benchmarks.soak import Soak

from ..conftest import Command


def test_memory_is_flat(
    command: Command, face_weights: Path, face_clip: Path, tolerance: Callable[[str], float]
) -> None:
    """3000 small frames in a process of its own, to JSON and video; each part may settle, none may grow."""
    script = ("-m", "vidgraph.benchmarks.soak", str(face_clip), "--model", f"retinaface={face_weights}", "--video")
    subprocess.run(
        [sys.executable, "-P", *script, "--size", "160", "--frames", "3000", "--warm-up", "1500", "-o", "soak.json"],
        cwd=command.folder, env=command.environment, capture_output=True, timeout=240, check=True,
    )  # fmt: skip
    figures = json.loads((command.folder / "soak.json").read_text())["figures"]
    assert figures["frames"] == 3000
    sizes = list(figures["resident_kib"].values())
    assert len(sizes) == 30
    assert np.median(np.diff(sizes[15:])) < tolerance("memory, median growth in 100 frames, KiB")
    bound = tolerance("memory, slope, KiB per 1000 frames")
    assert figures["slope_kib_per_1000_frames"] < bound + 3 * figures["standard_error"]


def test_frames_are_freed_without_garbage_collection(face_clip: Path, face_weights: Path, tmp_path: Path) -> None:
    """A cycle of references would keep the pixels until Python looks for such, which is seldom."""
    import vidgraph
    from av import VideoFrame

    run = vidgraph.run(
        face_clip, model="retinaface", weights=face_weights, outputs=[tmp_path / "o.jsonl", tmp_path / "o.mp4"]
    )

    def alive() -> list[VideoFrame]:
        return [thing for thing in gc.get_objects() if type(thing) is VideoFrame]

    gc.collect()
    gc.disable()
    try:
        before = {id(frame): frame for frame in alive()}  # what earlier tests in this process left
        run.wait()
        left = sum(id(frame) not in before for frame in alive())
    finally:
        gc.enable()
    assert left <= 2


def test_slope_and_error() -> None:
    """Against NumPy's own fit; what comes before the warm-up does not count."""
    rng = np.random.default_rng(0)
    frames = np.arange(100, 5001, 100)
    sizes = np.rint(200_000 + 0.5 * frames + rng.normal(0, 10, 50))
    sizes[:10] = 0
    slope, error = Soak(tuple(frames.tolist()), tuple(int(size) for size in sizes), 1001, 50.0).slope()
    (expected, _), covariance = np.polyfit(frames[10:] / 1000, sizes[10:], 1, cov=True)
    assert slope == pytest.approx(expected)
    assert error == pytest.approx(np.sqrt(covariance[0, 0]))
    assert abs(slope - 500) < 6 * error

"""SIGKILL at random moments and ``--resume`` after each: every result and every frame of the video is there once.

``KILLS=50 pytest tests/acceptance/test_kill_and_resume.py`` is the long form, ``SEED`` chooses other moments.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from pathlib import Path
from typing import Any

import av
import pytest

from ..conftest import Command
from ..stages.clips import make_clip, read_number

KILLS, SEED = int(os.environ.get("KILLS", "4")), int(os.environ.get("SEED", "0"))
FRAMES = 400


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video with sound, whose pictures carry their numbers."""
    path = tmp_path_factory.mktemp("clip") / "in.mkv"
    return make_clip(path, frames=FRAMES, size=(240, 320), audio=True, options={"preset": "ultrafast"})


def numbers(folder: Path, suffix: str) -> list[int]:
    """What the pictures of all parts of ``out`` carry, in order."""
    found: list[int] = []
    part, path = 1, folder / f"out{suffix}"
    while path.exists():
        with av.open(str(path)) as container:
            pictures: list[Any] = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        found += map(read_number, pictures)
        part += 1
        path = folder / f"out.part{part}{suffix}"
    return found


def remove_outputs(folder: Path) -> None:
    for path in folder.glob("out*"):
        path.unlink()


@pytest.mark.timeout(120 + 30 * KILLS)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_killed_at_random_and_resumed(
    suffix: str, clip: Path, custom_model: Path, command: Command, tmp_path: Path
) -> None:
    words = ("run", clip, "--model", custom_model, "-o", f"out{suffix}", "-o", "out.jsonl", "-q")
    begun = time.monotonic()
    assert command(*words).code == 0
    lasts_s = time.monotonic() - begun
    whole = (tmp_path / "out.jsonl").read_bytes()
    assert numbers(tmp_path, suffix) == list(range(FRAMES))
    remove_outputs(tmp_path)
    moments, kills, ended = random.Random(SEED), 0, 0
    while kills < KILLS or not ended:
        with command.start(*words, "--resume") as process:
            try:
                out, err = process.communicate(timeout=moments.uniform(0, lasts_s) if kills < KILLS else 120)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                kills += 1
                continue
        assert (process.returncode, out, err) == (0, "", "")
        assert (tmp_path / "out.jsonl").read_bytes() == whole
        assert numbers(tmp_path, suffix) == list(range(FRAMES))
        assert not [path.name for path in tmp_path.iterdir() if not path.name.startswith("out")], "nothing else is left"
        ended += 1
        if kills < KILLS:
            remove_outputs(tmp_path)
    assert json.loads(whole.splitlines()[-1])["frame"] == FRAMES - 1

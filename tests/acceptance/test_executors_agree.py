"""The serial and the threaded executor write the same bytes, whatever the video."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import vidgraph
from vidgraph import Model
from vidgraph.benchmarks.soak import repeat_clip
from vidgraph.models import load_model
from vidgraph.pipeline.errors import SourceError

from ..stages.clips import damage, truncate

CLIPS = (
    "bikes", "car_park", "dog_720p", "driving", "faces_1080p", "motorway_720p", "mpeg4_3fps", "multi_stream",
    "people_passing", "two_people_1080p",
)  # fmt: skip
DAMAGED = {"bikes": 0.2, "motorway_720p": 0.2, "mpeg4_3fps": 0.8}
"""Clip -> share of its packets that get random bytes."""


@pytest.fixture(scope="module")
def model(face_weights: Path) -> Iterator[Model]:
    with load_model("retinaface", weights=face_weights, size=96, precision="fp32", requests=2, threads=2) as model:
        yield model


@pytest.fixture
def written(model: Model, tmp_path: Path) -> Callable[..., tuple[bytes, str]]:
    """``written(clip, "serial")``: the results file and what the source said of problems, or the error."""

    def run(source: Path, executor: str, **options: Any) -> tuple[bytes, str]:
        path = tmp_path / f"{executor}.jsonl"
        try:
            ready = vidgraph.run(
                source, model=model, outputs=path, executor=executor, overwrite=True, threads=2, **options
            )
            stats = ready.wait()
        except SourceError as error:
            return b"", str(error)
        return path.read_bytes(), f"{stats.problems} {stats.complete}"

    return run


@pytest.mark.parametrize("name", CLIPS)
def test_clips(name: str, written: Callable[..., tuple[bytes, str]], shared: Callable[[str], Path]) -> None:
    clip = shared(f"media/{name}.mp4")
    serial = written(clip, "serial", frames=60)
    assert written(clip, "threaded", frames=60) == serial
    assert serial[1] == "{} True"


@pytest.mark.parametrize("name", CLIPS)
def test_truncated_clips(
    name: str, written: Callable[..., tuple[bytes, str]], shared: Callable[[str], Path], tmp_path: Path
) -> None:
    """All frames that are left, up to where the file ends in the middle of one."""
    cut = truncate(shared(f"media/{name}.mp4"), tmp_path / f"{name}.mp4", share=0.6)
    serial = written(cut, "serial")
    assert written(cut, "threaded") == serial
    assert "truncated" in serial[1] or "cut-off MP4 without its index" in serial[1]


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_clips(
    name: str, written: Callable[..., tuple[bytes, str]], shared: Callable[[str], Path], tmp_path: Path
) -> None:
    bad = damage(shared(f"media/{name}.mp4"), tmp_path / f"{name}.mp4", share=DAMAGED[name])
    agree_on_damage(bad, written)


def test_a_damaged_clip_of_our_own(written: Callable[..., tuple[bytes, str]], face_clip: Path, tmp_path: Path) -> None:
    clip = repeat_clip(face_clip, tmp_path / "long.mp4", frames=160)
    agree_on_damage(damage(clip, tmp_path / "bad.mp4", share=0.2), written)


def agree_on_damage(bad: Path, written: Callable[..., tuple[bytes, str]]) -> None:
    """With ``deterministic`` the same bytes; without, damage decodes differently, but to the same frames and times."""
    serial = written(bad, "serial", deterministic=True)
    assert serial[1].startswith("{'"), "the damage is noticed"
    assert written(bad, "threaded", deterministic=True) == serial
    loose = [timing(written(bad, executor)[0]) for executor in ("serial", "threaded")]
    assert loose[0] == loose[1] == timing(serial[0])


def timing(lines: bytes) -> list[tuple[int, float]]:
    """Frame number and time of every line."""
    frames = [json.loads(line) for line in lines.splitlines()[1:]]
    return [(frame["frame"], frame["time_s"]) for frame in frames]


def test_several_streams(
    written: Callable[..., tuple[bytes, str]], face_clip: Path, model: Model, tmp_path: Path
) -> None:
    """Of several streams in one file, the lines of each are the same; how they alternate is not fixed."""
    lines = {}
    for executor in ("serial", "threaded"):
        path = tmp_path / f"{executor}.jsonl"
        sources = [f"a={face_clip}", f"b={face_clip}", f"c={face_clip}"]
        vidgraph.run(sources, model=model, outputs=path, executor=executor, every=3).wait()
        lines[executor] = path.read_bytes().splitlines()
    assert lines["serial"][0] == lines["threaded"][0]
    assert sorted(lines["serial"]) == sorted(lines["threaded"])
    assert len(lines["serial"]) == 1 + 3 * 40

"""``vidgraph bench --streams``: a video played as cameras, and the search for how many are held."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from vidgraph.benchmarks.cameras import CameraFigures, Held, _search, bench_cameras
from vidgraph.pipeline.execution.stats import Summary


def held(count: int, p95_ms: float, kept: float = 1.0) -> Held:
    return Held(count, kept, Summary(9, 9, 1, 1, p95_ms, p95_ms, p95_ms), (10.0,) * count, 1.0, 0.5)


@pytest.mark.parametrize("true_limit", [0, 1, 2, 3, 5, 8, 11, 16, 40])
@pytest.mark.parametrize("most", [1, 2, 7, 16])
def test_the_search_finds_the_most_that_are_held(true_limit: int, most: int) -> None:
    measured: list[int] = []

    def measure(count: int) -> Held:
        assert 1 <= count <= most
        measured.append(count)
        return held(count, 10.0 if count <= true_limit else 200.0)

    figures = CameraFigures({}, 0.1, tuple(_search(measure, most, 0.1).values()))
    assert figures.most == min(true_limit, most)
    assert len(set(measured)) == len(measured) <= 10


def test_without_a_target_the_count_is_measured_as_it_is() -> None:
    figures = CameraFigures({}, None, tuple(_search(lambda count: held(count, 1e4), 6, None).values()))
    assert [one.streams for one in figures.measured] == [6]
    assert figures.most == 6


def test_a_camera_is_held_where_it_keeps_its_frames_and_its_target() -> None:
    assert held(1, 99.0).within(0.1)
    assert not held(1, 101.0).within(0.1)
    assert not held(1, 1.0, kept=0.98).within(0.1)


def test_cameras_are_measured(face_clip: Path, face_weights: Path) -> None:
    figures = bench_cameras(
        str(face_clip), "retinaface", weights=str(face_weights), size=64, precision="fp32", streams=3, seconds=5.0
    )
    (one,) = figures.measured
    assert one.streams == len(one.fps) == 3
    assert one.latency_ms.count > 0
    assert 0 < one.jain <= 1
    assert 0 < one.kept <= 1
    facts = json.loads(json.dumps(figures.to_dict()))
    assert facts["measured"][0]["streams"] == 3
    assert facts["about"]["overload"] == "drop"
    assert figures.table().splitlines()[-1].startswith("cameras held, of the worst camera 99% of the frames: ")

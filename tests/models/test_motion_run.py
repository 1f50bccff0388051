"""``run(..., when="motion")`` on a clip that stands still for most of the time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import vidgraph
from PIL import Image
from vidgraph.pipeline.errors import UsageError

from ..material import picture

FRAMES, FIRST, LAST = 60, 24, 36
RAN = [0, 10, *range(FIRST, LAST), 45]
"""The first, once more when nothing moved for 0.4 s, those that move, and once more."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """25 frames a second; the frames from 24 to 35 are all different, the others are not."""
    path = tmp_path_factory.mktemp("clip") / "still.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("h264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.codec_context.options = {"preset": "ultrafast", "qp": "10"}
        for number in range(FRAMES):
            rgb = picture(min(max(number - FIRST + 1, 0), LAST - FIRST))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture
def options(face_weights: Path) -> dict[str, Any]:
    return {"model": "retinaface", "weights": face_weights, "size": 160, "precision": "fp32"}


@pytest.mark.parametrize("executor", ["serial", "threaded"])
def test_frames_without_motion_hold_the_last_result(executor: str, clip: Path, options: dict[str, Any]) -> None:
    plain = [result.to_dict() for result in vidgraph.run(clip, **options)]
    results = [result.to_dict() for result in vidgraph.run(clip, when="motion", executor=executor, **options)]
    assert [one["frame"] for one in results if "held_from" not in one] == RAN
    for one in results:
        source = one.get("held_from", one["frame"])
        assert source == max(frame for frame in RAN if frame <= one["frame"])
        assert one["objects"] == plain[source]["objects"]
    assert len({len(one["objects"]) for one in results}) > 1


def test_or_they_have_none(clip: Path, options: dict[str, Any], tmp_path: Path) -> None:
    made = vidgraph.run(clip, when="motion", skipped="none", outputs=tmp_path / "out.mp4", **options)
    results = list(made)
    assert [one.index for one in results if "objects" in one.to_dict()] == RAN
    assert all(one.held_from is None for one in results)
    assert made.stats.frames == FRAMES


def test_the_frames_between_runs_of_every_too(clip: Path, options: dict[str, Any]) -> None:
    results = list(vidgraph.run(clip, every=7, skipped="none", **options))
    assert [one.index for one in results if "objects" in one.to_dict()] == list(range(0, FRAMES, 7))


def test_every_thins_out_what_moves(clip: Path, options: dict[str, Any]) -> None:
    results = list(vidgraph.run(clip, when="motion", every=4, **options))
    assert [one.index for one in results if one.held_from is None] == [0, 10, 24, 28, 32, 36, 46]


def test_ignored_areas(clip: Path, options: dict[str, Any], tmp_path: Path) -> None:
    results = list(vidgraph.run(clip, when="motion", ignore_motion=np.ones((1, 1), np.bool_), **options))
    assert [one.index for one in results if one.held_from is None] == [0, 10]
    Image.new("L", (40, 30), 255).save(tmp_path / "mask.png")
    for mask, ran in (({"still": tmp_path / "mask.png"}, [0, 10]), (np.zeros((2, 2), np.bool_), RAN)):
        results = list(vidgraph.run(clip, when="motion", ignore_motion=mask, **options))
        assert [one.index for one in results if one.held_from is None] == ran


@pytest.mark.parametrize("more", [{}, {"skipped": "none"}, {"max_fps": 8}])
def test_what_was_interrupted_goes_on_with_the_same_results(
    more: dict[str, Any], clip: Path, options: dict[str, Any], tmp_path: Path
) -> None:
    given = {"when": "motion", **more, **options}
    vidgraph.run(clip, outputs=tmp_path / "whole.jsonl", **given).wait()
    for frames in (7, 25, 40):
        vidgraph.run(clip, outputs=tmp_path / "out.jsonl", frames=frames, overwrite=True, **given).wait()
        vidgraph.run(clip, outputs=tmp_path / "out.jsonl", resume=True, **given).wait()
        assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    with pytest.raises(UsageError, match=r"settings.ignore_motion: nothing, now .1x1 [0-9a-f]{16}."):
        vidgraph.run(
            clip, outputs=tmp_path / "out.jsonl", resume=True, ignore_motion=np.ones((1, 1), bool), **given
        ).wait()

"""Frames that are rendered once: what is kept, going on after an interruption, and damaged files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from vidgraph.pipeline.errors import SourceError
from vidgraph.training import render_frames as cache_render
from vidgraph.training.datasets.dataset import Clip, DataSample
from vidgraph.training.frame_cache import DESCRIPTION, FrameCache
from vidgraph.training.render_frames import frame_cache

from .shapes import Shapes

SIZE = (90, 160)


class Interrupted(Exception):
    """As if the machine went down."""


class Counting(Shapes):
    """Notes which clips are asked for; ends at a frame."""

    def __init__(self, end: int = 10**9) -> None:
        super().__init__()
        self.asked: list[str] = []
        self._left = end

    def samples(self, clip: Clip) -> Iterator[DataSample]:
        self.asked.append(clip.name)
        for sample in super().samples(clip):
            self._left -= 1
            if self._left < 0:
                raise Interrupted
            yield sample


def test_a_cache_holds_the_frames_and_their_truth(tmp_path: Path) -> None:
    data = Shapes()
    cache = frame_cache("shapes", SIZE, folder=tmp_path, dataset=data)
    samples = [sample for clip in data.clips for sample in data.samples(clip)]
    assert len(cache) == len(samples) == 20
    assert cache.class_names == data.class_names
    assert [cache.before(number, 3) for number in (0, 1, 4, 5, 9)] == [0, 0, 1, 5, 6]
    for number in (0, 7, 19):
        frame, truth = cache[number], samples[number].truth
        assert frame.image.shape == (*SIZE, 3)
        np.testing.assert_allclose(frame.boxes, truth.objects.boxes / 2)
        np.testing.assert_array_equal(frame.class_ids, truth.objects.class_ids)
        assert truth.faces is not None
        np.testing.assert_allclose(frame.face_points, truth.faces.points / 2)
        assert (frame.flow is None) == (truth.flow is None)
        assert truth.objects.masks is not None
        for row in range(len(frame.boxes)):
            whole, kept = truth.objects.masks.crop(row).sum() / 4, frame.mask(row).sum()
            assert kept == pytest.approx(whole, rel=0.2, abs=4)


def test_a_finished_cache_is_not_rendered_again(tmp_path: Path) -> None:
    frame_cache("shapes", SIZE, folder=tmp_path, dataset=Shapes())
    again = Counting()
    frame_cache("shapes", SIZE, folder=tmp_path, dataset=again)
    assert again.asked == []


def test_an_interrupted_cache_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts are of 5 frames here, a clip each: two are done when the third breaks off."""
    monkeypatch.setattr(cache_render, "PART_FRAMES", 5)
    with pytest.raises(Interrupted):
        frame_cache("shapes", SIZE, folder=tmp_path / "a", dataset=Counting(13))
    with pytest.raises(SourceError, match="no whole cache"):
        FrameCache(tmp_path / "a")
    rest, told = Counting(), []
    frame_cache("shapes", SIZE, folder=tmp_path / "a", dataset=rest, progress=lambda *done: told.append(done))
    assert rest.asked == ["clip2", "clip3"]
    assert told == [(15, 20), (20, 20)]
    frame_cache("shapes", SIZE, folder=tmp_path / "b", dataset=Shapes())
    names = sorted(path.name for path in (tmp_path / "b").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "a").iterdir())
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


@pytest.mark.parametrize("name", ["frames.npy", "flow.npy", "bits.npy", "boxes.npy", DESCRIPTION])
@pytest.mark.parametrize("how", ["missing", "cut off", "garbage"])
def test_a_damaged_cache_is_refused_on_one_line(name: str, how: str, tmp_path: Path) -> None:
    frame_cache("shapes", SIZE, folder=tmp_path, dataset=Shapes(clips=1, frames=2))
    path = tmp_path / name
    {"missing": Path.unlink, "cut off": _cut, "garbage": lambda each: each.write_bytes(b"nonsense")}[how](path)
    with pytest.raises(SourceError, match=re.escape(str(tmp_path)) + r".*remove it to have it made again$") as caught:
        FrameCache(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_cache_of_another_version_is_refused(tmp_path: Path) -> None:
    frame_cache("shapes", SIZE, folder=tmp_path, dataset=Shapes(clips=1, frames=2))
    about = json.loads((tmp_path / DESCRIPTION).read_text())
    (tmp_path / DESCRIPTION).write_text(json.dumps({**about, "format": 0}))
    with pytest.raises(SourceError, match="its format is 0, this version reads"):
        FrameCache(tmp_path)


def test_an_empty_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"^nothing: has no frames to train on$"):
        frame_cache("nothing:", SIZE, folder=tmp_path, dataset=Shapes(clips=0))


@pytest.mark.parametrize("name", ["boxes", "face_boxes", "clip", "object_counts", "mask_boxes", "bits", "frames"])
def test_arrays_that_do_not_belong_together_are_told(tmp_path: Path, name: str) -> None:
    frame_cache("shapes", SIZE, folder=tmp_path, dataset=Shapes())
    path = tmp_path / f"{name}.npy"
    whole = np.load(path)
    np.save(path, whole[:-1])
    with pytest.raises(SourceError, match="is no whole cache of frames"):
        FrameCache(tmp_path)


def test_an_array_that_announces_more_than_it_has_is_told(tmp_path: Path) -> None:
    frame_cache("shapes", SIZE, folder=tmp_path, dataset=Shapes())
    path = tmp_path / "clip.npy"
    path.write_bytes(path.read_bytes().replace(b"(20,), }         ", b"(200000000000,), }", 1))
    with pytest.raises(SourceError, match="is no whole cache of frames"):
        FrameCache(tmp_path)

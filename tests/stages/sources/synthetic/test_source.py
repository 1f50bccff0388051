"""Synthetic scenes as a source: addresses, streams, times, and the same bits again."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from vidgraph.pipeline.errors import SourceError, UsageError
from vidgraph.stages.sources.registry import open_source, open_sources
from vidgraph.stages.sources.synthetic.render import SceneRenderer
from vidgraph.stages.sources.synthetic.settings import SPLITS, parse_synthetic
from vidgraph.stages.sources.synthetic.source import SyntheticSource

SMALL = "synth:street?size=160x96&frames=50&rate=10&seed=4&shot=1"


def frames_of(address: str, **options: Any) -> list[Any]:
    (source,) = open_source(address, **options)
    source.open()
    found = list(source.frames())
    source.close()
    return found


def test_an_address_says_everything_and_is_given_back() -> None:
    settings = parse_synthetic(
        "synth:faces?seed=7&size=1920x1080&frames=9&rate=29.97&difficulty=hard&clips=3&first=2&flow=1&still=1"
    )
    assert (settings.name, settings.seed, settings.size, settings.frames) == ("faces", 7, (1080, 1920), 9)
    assert (settings.rate, settings.difficulty, settings.clips, settings.first) == (29.97, "hard", 3, 2)
    assert settings.flow
    assert parse_synthetic(settings.address) == settings
    assert parse_synthetic("synth:street?split=hard&frames=4").seed == SPLITS["hard"].seed
    assert parse_synthetic("synth:street?split=hard&frames=4").frames == 4


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("synth:", "there is no synthetic scene ''; there are synth:street, synth:faces"),
        ("synth:moon?seed=1", "there is no synthetic scene 'moon'"),
        ("synth:street?split=medium", "unknown split 'medium'; known: easy, hard, faces"),
        ("synth:street?sede=1", "unknown option 'sede'; known: seed, size"),
        ("synth:street?seed=-1", "seed must be a whole number from 0, got '-1'"),
        ("synth:street?frames=0", "frames must be a whole number from 1, got '0'"),
        ("synth:street?size=32x720", "size must be WIDTHxHEIGHT, each side from 64 to 4096, got '32x720'"),
        ("synth:street?size=720", "size must be WIDTHxHEIGHT"),
        ("synth:street?rate=0", "rate must be frames per second from 0.1 to 1000, got '0'"),
        ("synth:street?shot=fast", "shot must be seconds"),
        ("synth:street?difficulty=hardest", "difficulty must be easy, hard, mixed, got 'hardest'"),
        ("synth:street?flow=yes", "flow must be 0 or 1, got 'yes'"),
    ],
)
def test_a_wrong_address_is_one_line_that_says_what_is_possible(address: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_source(address)
    assert message in str(caught.value)
    assert str(caught.value).startswith(address)
    assert "\n" not in str(caught.value)


def test_times_follow_the_rate_and_a_part_is_the_same_part() -> None:
    some = frames_of(SMALL, start=1.0, end=2.0, frames=3)
    assert [frame.pts_ns for frame in some] == [1_000_000_000, 1_100_000_000, 1_200_000_000]
    assert [frame.index for frame in some] == [0, 1, 2]
    (source,) = open_source(SMALL, start=1.0, end=2.0)
    assert (source.expected_frames, float(source.rate)) == (10, 10.0)  # type: ignore[attr-defined]
    with pytest.raises(SourceError, match="there is no frame in the time that was asked for"):
        frames_of(SMALL, start=60)
    with pytest.raises(UsageError):
        open_source(SMALL, start=2.0, end=1.0)


def test_every_clip_is_a_stream_of_its_own() -> None:
    sources = open_sources([f"{SMALL}&clips=3&first=5", SMALL])
    assert [source.stream_id for source in sources] == ["street-5", "street-6", "street-7", "street"]
    pictures = [next(iter(source.frames())).picture.rgb() for source in sources]
    assert not any(np.array_equal(pictures[0], other) for other in pictures[1:])
    with pytest.raises(UsageError, match="'me' is for one stream, but"):
        open_source(f"{SMALL}&clips=3", stream_id="me")
    assert open_source(f"me={SMALL}")[0].stream_id == "me"


def test_paced_it_comes_at_its_rate() -> None:
    (source,) = open_source("synth:street?size=64x64&frames=4&rate=20", latest=True)
    assert source.live
    source.open()
    arrived = [time.monotonic() for _ in source.frames()]
    source.close()
    assert len(arrived) == 4
    assert arrived[3] - arrived[1] > 0.08


def test_a_frame_alone_is_the_frame_in_sequence_and_the_same_every_time() -> None:
    settings = parse_synthetic(SMALL)
    renderer = SceneRenderer(settings, 0)
    in_sequence = [frame.picture.rgb() for frame in SyntheticSource(settings, 0, stream_id="s").frames()]
    assert len(in_sequence) == 50
    for index in (49, 7, 23):
        alone = renderer.draw(renderer.moment(index))
        np.testing.assert_array_equal(alone.picture(), in_sequence[index])
        np.testing.assert_array_equal(alone.picture(), alone.picture())
    assert not np.array_equal(in_sequence[0], in_sequence[1])
    other = SceneRenderer(parse_synthetic(SMALL.replace("seed=4", "seed=5")), 0)
    assert not np.array_equal(other.draw(other.moment(0)).picture(), in_sequence[0])


def test_there_are_cuts_and_a_long_shot_has_none() -> None:
    renderer = SceneRenderer(parse_synthetic(SMALL), 0)
    firsts = [index for index in range(50) if renderer.moment(index).is_first]
    assert firsts[0] == 0
    assert len(firsts) >= 3
    assert min(np.diff(firsts)) >= 6
    whole = SceneRenderer(parse_synthetic(SMALL.replace("shot=1", "shot=1000")), 0)
    assert [index for index in range(50) if whole.moment(index).is_first] == [0]


@pytest.mark.parametrize("size", [(64, 64), (97, 131), (360, 203), (480, 854)])
@pytest.mark.parametrize("difficulty", ["easy", "hard"])
def test_every_size_is_drawn(size: tuple[int, int], difficulty: str) -> None:
    height, width = size
    settings = parse_synthetic(f"synth:street?size={width}x{height}&difficulty={difficulty}&seed=11")
    renderer = SceneRenderer(settings, 0)
    rendered = renderer.draw(renderer.moment(30))
    assert rendered.picture().shape == (height, width, 3)
    assert len(rendered.canvas.colours) < 65536
    assert int(rendered.surfaces.max()) < len(rendered.canvas.colours)
    assert {int(owner) < 0 for owner in np.unique(rendered.owners)} == {True, False}  # street and actors

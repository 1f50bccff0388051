"""The motion gate: on which frames of a camera that stands still the network runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from vidgraph.pipeline.errors import UsageError
from vidgraph.pipeline.packet import SKIPPED, Frame, Packet
from vidgraph.pipeline.types.picture import Picture
from vidgraph.stages.motion_gate import MotionGate
from vidgraph.stages.sample import Sample

SIZE = (240, 320)
RATE = 25
Draw = Callable[[int], np.ndarray]


Y, X = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
STREET = 110 + 40 * np.sin(X / 23) * np.cos(Y / 31) + 30 * ((X // 40 + Y // 60) % 2)
NOISES = np.random.default_rng(0).normal(0, 1, (13, *SIZE)).astype(np.float32)


def background(number: int = 0, *, noise: float = 0.0) -> np.ndarray:
    """Luma of a street that stands still; the noise is another one in every picture."""
    return STREET + noise * NOISES[number % len(NOISES)] if noise else STREET.copy()


def passing(number: int, *, first: int = 100, frames: int = 40, noise: float = 0.0, top: int = 100) -> np.ndarray:
    """Something of 40 x 30 pixels goes from left to right from frame ``first`` on, 6 pixels a frame."""
    luma = background(number, noise=noise)
    if first <= number < first + frames:
        left = 6 * (number - first)
        luma[top : top + 30, left : left + 40] = 30
    return luma


def frame(luma: np.ndarray, index: int, *, epoch: int = 0, stream: str = "a", bits: int = 8) -> Frame:
    samples = np.clip(luma.round() * 2 ** (bits - 8), 0, 2**bits - 1)
    chroma = np.full((luma.shape[0] // 2, luma.shape[1] // 2), 2 ** (bits - 1))
    planes = tuple(plane.astype(np.uint8 if bits == 8 else np.uint16) for plane in (samples, chroma, chroma))
    picture = Picture("yuv420p" if bits == 8 else "yuv420p10le", planes)
    return Frame(stream, index, epoch, index * 1_000_000_000 // RATE, 0, picture)


def ran(draw: Draw, count: int, sample: Sample | None = None, **options: Any) -> list[int]:
    """Indices of the frames on which the network runs."""
    sample = sample or Sample(motion=MotionGate())
    found = []
    for index in range(count):
        (out,) = sample.process(Packet(frame(draw(index), index, **options)))
        found += [] if out[SKIPPED] else [index]
    return found


def test_a_still_camera_runs_every_two_seconds() -> None:
    assert ran(background, 160) == [0, 10, 60, 110]


def test_a_still_camera_with_a_noisy_sensor() -> None:
    """Of pixels; the noise of a block of 8 x 8 is a fifth of it."""
    assert ran(lambda number: background(number, noise=8), 160) == [0, 10, 60, 110]


@pytest.mark.parametrize("bits", [8, 10])
def test_what_passes_is_seen_in_every_frame_and_once_when_it_is_gone(bits: int) -> None:
    assert ran(passing, 200, bits=bits) == [0, 10, 60, *range(100, 141), 150]


def test_what_passes_before_a_noisy_sensor_is_seen_in_nearly_every_frame() -> None:
    found = ran(lambda number: passing(number, noise=6), 160)
    assert found[:4] == [0, 10, 60, 100]
    assert sum(100 <= index <= 140 for index in found) >= 38


def test_what_moves_slowly_is_seen_again_and_again() -> None:
    """A pixel in five frames: no two frames differ by much, but from the last one that ran they do."""

    def draw(number: int) -> np.ndarray:
        luma = background()
        luma[100:140, 60 + number // 5 : 110 + number // 5] = 30
        return luma

    found = ran(draw, 400)
    assert len(found) < 100
    assert max(np.diff(found)) <= 25, "five pixels: an object of 50 overlaps where it was by 0.8"


def test_what_comes_to_rest_is_looked_at_once_more() -> None:
    def draw(number: int) -> np.ndarray:
        luma = background()
        left = 4 * min(number, 30)
        luma[100:140, left : left + 50] = 30
        return luma

    assert ran(draw, 95) == [*range(31), 40, 90]


def test_light_that_changes() -> None:
    """A gain of 0.7 to 1.2 within four seconds, as a cloud or the exposure makes it, and a lamp that flickers."""
    assert ran(lambda number: background() * (0.95 + 0.25 * np.sin(number / 30)), 160) == [0, 10, 60, 110]
    assert ran(lambda number: background() * (1 + 0.1 * (number % 2)), 160) == [0, 10, 60, 110]


def test_a_light_that_is_switched_on_is_one_run() -> None:
    lit = background() + 60 * (np.arange(SIZE[1]) > 200)
    assert ran(lambda number: lit if number >= 75 else background(), 120) == [0, 10, 60, 75, 85]


def test_epochs_streams_and_sizes_begin_anew() -> None:
    sample, still = Sample(motion=MotionGate()), background()

    def runs(given: Frame) -> bool:
        (out,) = sample.process(Packet(given))
        return not out[SKIPPED]

    assert [runs(frame(still, 0)), runs(frame(still, 1))] == [True, False]
    assert [runs(frame(still, 1, stream="b")), runs(frame(still, 2, stream="b"))] == [True, False]
    assert [runs(frame(still, 2, epoch=1)), runs(frame(still, 3, epoch=1))] == [True, False]
    assert [runs(frame(still[:200], 4, epoch=1)), runs(frame(still[:200], 5, epoch=1))] == [True, False]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"every": 3}, [0, 10, 60, *range(100, 140, 3), 142, 152]),
        ({"max_fps": 5}, [0, 10, 60, *range(100, 141, 5), 150]),
    ],
)
def test_every_and_max_fps_thin_out_what_moves(options: dict[str, Any], expected: list[int]) -> None:
    """And the first frame in which something moves still runs."""
    assert ran(passing, 200, Sample(**options, motion=MotionGate())) == expected


@pytest.mark.parametrize("options", [{}, {"every": 3}, {"max_fps": 7}])
def test_a_run_that_goes_on_runs_on_the_same_frames(options: dict[str, Any]) -> None:
    frames = [frame(passing(number, noise=5, first=40, frames=20), number) for number in range(80)]

    def runs(sample: Sample, given: Iterable[Frame]) -> list[int]:
        return [one.index for one in given for out in sample.process(Packet(one)) if not out[SKIPPED]]

    whole = runs(Sample(**options, motion=MotionGate()), frames)
    assert 5 < len(whole) < 30
    for after in (1, 10, 35, 41, 50, 62, 75):
        sample = Sample(**options, motion=MotionGate())
        found = [one.index for one in frames[:after] if sample.skip(one)]
        sample.open()
        assert found + runs(sample, frames[after:]) == whole


def masks(tmp_path: Path) -> Iterable[tuple[str, Any]]:
    """The lower half, as an array of a few pixels, an image and a transparent image in colour."""
    lower = np.zeros((4, 3), np.bool_)
    lower[2:] = True
    yield "array", lower
    for name, mode in (("gray.png", "L"), ("colour.png", "RGB")):
        Image.fromarray(lower.astype(np.uint8) * 255).resize((96, 72), Image.Resampling.NEAREST).convert(mode).save(
            tmp_path / name
        )
        yield name, tmp_path / name


def test_what_moves_in_an_ignored_area_does_not_count(tmp_path: Path) -> None:
    for name, mask in masks(tmp_path):
        low = ran(lambda number: passing(number, top=150), 160, Sample(motion=MotionGate(mask)))
        assert low == [0, 10, 60, 110], name
        high = ran(lambda number: passing(number, top=60), 160, Sample(motion=MotionGate(mask)))
        assert high == [0, 10, 60, *range(100, 141), 150], name
        other = ran(lambda number: passing(number, top=150), 160, Sample(motion=MotionGate({"b": mask})))
        assert other == [0, 10, 60, *range(100, 141), 150], "the mask of another stream"
        own = ran(lambda number: passing(number, top=150), 160, Sample(motion=MotionGate({"a": mask})))
        assert own == [0, 10, 60, 110]


def test_masks_in_the_header_are_named_by_what_they_ignore(tmp_path: Path) -> None:
    mask = np.eye(5, dtype=np.bool_)
    assert MotionGate().ignored is None
    assert MotionGate(mask).ignored == MotionGate(mask.copy()).ignored
    assert MotionGate(mask).ignored != MotionGate(~mask).ignored
    assert MotionGate({"a": mask}).ignored == {"a": MotionGate(mask).ignored}


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ("none.png", "ignore_motion must name an image, white where movement does not count: .*none.png"),
        (np.zeros((4, 4), np.uint8), r"must be an image file or a bool array \[h, w\], got uint8 \[4, 4\]"),
        (np.zeros((4, 0), np.bool_), r"or a bool array \[h, w\], got bool \[4, 0\]"),
        (5, "got int"),
        ({"a": None}, "got NoneType"),
    ],
)
def test_bad_masks(mask: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message) as caught:
        MotionGate(mask)
    assert "\n" not in str(caught.value)

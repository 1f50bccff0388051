"""Drawing on planes on a device: the same bits as on the host, wherever the arrays of what is drawn lie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from vidgraph.kernels import draw_boxes, draw_labels, draw_masks, draw_points
from vidgraph.kernels.cuda import driver

from ..emulator import EmulatedDriver
from .cases import DRAWABLE, Planes, all_devices, random_planes, to_device, to_host

DEVICES = all_devices("draw_boxes", "draw_labels", "draw_masks", "draw_points")[1:]
COLOURS: dict[str, Any] = {"matrix": "bt2020", "full_range": True}
SIZE = (37, 83)

Put = Callable[[Any], Any]
Paint = Callable[[Any, str, Put], None]


def boxes(random: np.random.Generator, count: int) -> Paint:
    """Inside, across the borders, all the same, without area, not finite."""
    corners = random.uniform(-20, 90, (count, 2, 2)).astype(np.float32)
    corners[::3].sort(axis=1)
    corners[1::7] = ((3, 5), (40, 30))
    corners[2::11, 0, 0] = np.nan
    corners[4::13] = ((-np.inf, 4.5), (np.inf, 9))
    colors, thickness = colors_of(random, count), int(random.integers(1, 7))
    rows = corners.reshape(-1, 4)
    return lambda p, f, put: draw_boxes(p, f, put(rows), put(colors), thickness=thickness, **COLOURS)


def points(random: np.random.Generator, count: int) -> Paint:
    """Inside, across the borders, on one another, not finite."""
    places = random.uniform(-9, 90, (count, 2)).astype(np.float32)
    places[1::7] = (12.25, 20)
    places[2::11, 1] = np.nan
    places[4::13, 0] = -np.inf
    colors, radius = colors_of(random, count), float(random.uniform(0.1, 9))
    return lambda p, f, put: draw_points(p, f, put(places), put(colors), radius=radius, **COLOURS)


def labels(random: np.random.Generator, count: int) -> Paint:
    """Inside, across the borders, outside; empty ones, and one text on many."""
    texts = [random.integers(0, 256, (h, w)).astype(np.uint8) for h, w in ((5, 21), (8, 3), (0, 4), (40, 90))]
    origins = random.integers(-30, 90, (count, 2)).astype(np.int32)
    origins[1::7] = -(1 << 24)
    origins[3::7, 0] = 1 << 24
    row_texts = random.integers(0, len(texts), count).tolist()
    colors, text_colors, opacity = colors_of(random, count), colors_of(random, count), float(random.random())

    def paint(planes: Any, format: str, put: Put) -> None:
        there = [put(text) for text in texts]
        masks = [there[text] for text in row_texts]
        others: dict[str, Any] = {"colors": put(colors), "text_colors": put(text_colors), "opacity": opacity}
        draw_labels(planes, format, masks, put(origins), **others, **COLOURS)

    return paint


def masks(random: np.random.Generator, count: int) -> Paint:
    """Inside, across the borders, outside, and empty."""
    corners = random.integers(-20, (90, 50), (count, 2))
    rows = np.concatenate([corners, corners + random.integers(0, (70, 20), (count, 2))], axis=1).astype(np.int32)
    lengths = (rows[:, 3] - rows[:, 1]) * ((rows[:, 2] - rows[:, 0] + 7) // 8)
    offsets = np.cumsum([0, *lengths]).astype(np.int64)
    bits = (random.integers(0, 256, offsets[-1]) | random.integers(0, 256, offsets[-1])).astype(np.uint8)
    colors, alpha = colors_of(random, count), float(random.random())
    return lambda p, f, put: draw_masks(p, f, put(rows), put(bits), put(offsets), put(colors), alpha, **COLOURS)


def colors_of(random: np.random.Generator, count: int) -> np.ndarray:
    return random.integers(0, 256, (count, 3)).astype(np.uint8)


KINDS: dict[str, Callable[[np.random.Generator, int], Paint]] = {
    "boxes": boxes, "points": points, "labels": labels, "masks": masks
}  # fmt: skip


def host(value: Any) -> Any:
    return value


def drawn(paint: Paint, format: str, device: str, put: Put = host, size: tuple[int, int] = SIZE) -> Planes:
    planes = to_device(random_planes(format, *size, padding=5), device)
    paint(planes, format, put)
    return tuple(map(to_host, planes))


def assert_same(got: Planes, expected: Planes) -> None:
    for plane, want in zip(got, expected, strict=True):
        np.testing.assert_array_equal(plane, want)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(20))
def test_draws_what_the_host_draws(device: str, kind: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if device == "emulated":
        monkeypatch.setattr(driver, "_drivers", [EmulatedDriver(seed)])
    random, format = np.random.default_rng(seed), DRAWABLE[seed % len(DRAWABLE)]
    paint = KINDS[kind](random, (0, 1, 2, 23)[seed % 4])
    expected = drawn(paint, format, "cpu")
    assert_same(drawn(paint, format, device), expected)
    assert_same(drawn(paint, format, device, lambda array: to_device(array, device)), expected)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("format", ["nv12", "rgb24"])
def test_more_than_a_block_looks_at_at_once_keep_their_order(device: str, kind: str, format: str) -> None:
    paint = KINDS[kind](np.random.default_rng(5), 700)
    assert_same(drawn(paint, format, device, size=(9, 140)), drawn(paint, format, "cpu", size=(9, 140)))


@pytest.mark.parametrize("device", DEVICES)
def test_rows_on_the_device_that_do_not_fit_are_not_drawn(device: str) -> None:
    """No row leads out of the bits, and those that fit are drawn."""
    far, most, least = 1 << 24, (1 << 31) - 1, -(1 << 31)
    rows = np.array(
        [
            [3, 2, 30, 5], [0, 0, 64, 3], [0, 0, 64, 3], [5, 9, 4, 11], [5, 9, 6, 8], [least, 0, most, 1],
            [0, least, 8, most], [0, 0, far + 1, 1], [-far, 0, far, 1], [0, 0, 8, 1], [0, 0, 8, 1], [9, 4, 17, 6],
        ],
        np.int32,
    )  # fmt: skip
    offsets = np.array([0, 1, -1, 0, 0, 0, 0, 0, 0, 24, -(1 << 63), 22, 24], np.int64)
    bits, colors = np.full(24, 255, np.uint8), colors_of(np.random.default_rng(2), len(rows))
    bits_there, offsets_there = to_device(bits, device), to_device(offsets, device)

    def broken(planes: Any, format: str, put: Put) -> None:
        draw_masks(planes, format, put(rows), bits_there, offsets_there, colors, 0.5, **COLOURS)

    def sound(planes: Any, format: str, put: Put) -> None:
        starts, chosen = np.array([0, 12, 14], np.int64), [0, 11]
        draw_masks(planes, format, rows[chosen], bits[:14], starts, colors[chosen], 0.5, **COLOURS)

    assert_same(drawn(broken, "nv12", device, lambda array: to_device(array, device)), drawn(sound, "nv12", "cpu"))

    origins = np.array([[least, 3], [3, most], [far + 1, 0], [4, -far - 1], [7, 3]], np.int32)
    text, text_colors = np.full((5, 9), 200, np.uint8), colors[::-1].copy()

    def label(planes: Any, format: str, put: Put) -> None:
        there = put(origins)
        count = len(there)
        others = {"colors": colors[-count:], "text_colors": text_colors[-count:]}
        draw_labels(planes, format, [text] * count, there, **others, **COLOURS)

    got = drawn(label, "yuv422p", device, lambda array: to_device(array, device))
    assert_same(got, drawn(label, "yuv422p", "cpu", lambda array: array[-1:]))


@pytest.mark.parametrize("device", DEVICES)
def test_refuses_arrays_that_lie_elsewhere_or_cannot_be_written(device: str) -> None:
    planes, rows, colors = random_planes("nv12", 6, 8), np.zeros((1, 4), np.float32), np.zeros((1, 3), np.uint8)
    with pytest.raises(ValueError, match=r"^draw_boxes: boxes must lie in host memory as the others do, got one on cu"):
        draw_boxes(planes, "nv12", to_device(rows, device), colors, **COLOURS)
    with pytest.raises(
        ValueError, match=r"^draw_boxes: nv12: plane 1 must lie on cuda:0 as the others do, got a NumPy"
    ):
        draw_boxes((to_device(planes[0], device), planes[1]), "nv12", rows, colors, **COLOURS)  # type: ignore[arg-type]
    wide = np.array([[0, 0, 9, 2]], np.int32)
    with pytest.raises(ValueError, match=r"^draw_masks: offsets must grow by the rows of each box"):
        draw_masks(
            to_device(planes, device),
            "nv12",
            wide,
            np.zeros(3, np.uint8),
            np.array([0, 3], np.int64),
            colors,
            **COLOURS,
        )

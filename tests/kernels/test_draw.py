"""Drawing on a picture's own planes, against maps of alpha in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from vidgraph.kernels import DeviceArray, draw_boxes, draw_labels, draw_masks, draw_points, to_rgb
from vidgraph.kernels.draw import reference

from ..tolerances import TOLERANCES
from .cases import DRAWABLE, Planes, all_devices, flat_planes, random_planes, to_device, to_host

ROUNDING = TOLERANCES["drawing, 8 bit"][0]
COLOURS: dict[str, Any] = {"matrix": "bt709", "full_range": False}
SIZES = [(1, 1), (2, 3), (37, 51), (40, 64)]


def random_colors(count: int) -> np.ndarray:
    return np.random.default_rng(9).integers(0, 256, (count, 3)).astype(np.uint8)


def assert_drawn(drawn: Planes, expected: Planes, before: Planes) -> None:
    for plane, want, old in zip(drawn, expected, before, strict=True):
        assert np.abs(plane.astype(int) - want).max() <= ROUNDING
        np.testing.assert_array_equal(plane[want == old], old[want == old])  # untouched is untouched
    assert changed(drawn, before) == changed(expected, before)


def changed(planes: Planes, before: Planes) -> bool:
    return any((plane != old).any() for plane, old in zip(planes, before, strict=True))


def draw(format: str, size: tuple[int, int], device: str, paint: Callable[[Planes], None]) -> tuple[Planes, Planes]:
    """A random picture before and after. What lies between its rows does not change."""
    before, planes = random_planes(format, *size, padding=3), random_planes(format, *size, padding=3)
    there = to_device(planes, device)
    paint(there)
    for plane, old in zip(there, before, strict=True):
        expected = old.base.copy()
        expected[:, : old.shape[1]] = to_host(plane)
        held = memory_of(plane).reshape(-1)
        np.testing.assert_array_equal(held, expected.reshape(-1)[: len(held)])
    return before, tuple(map(to_host, there))


def memory_of(plane: Any) -> np.ndarray:
    """A plane with what lies between its rows."""
    if isinstance(plane, np.ndarray):
        return np.asarray(plane.base)
    return to_host(plane.owner if isinstance(plane.owner, DeviceArray) else plane)


@pytest.mark.parametrize("device", all_devices("draw_boxes"))
@pytest.mark.parametrize("format", DRAWABLE)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("thickness", [1, 2, 5, 100])
def test_boxes_match_reference(device: str, format: str, size: tuple[int, int], thickness: int) -> None:
    boxes = np.array(
        [
            [3.2, 4.7, 30.5, 25.49],
            [-5, -7, 12, 9],
            [20, 20, 400, 21.2],
            [-1e9, 5, 1e9, np.inf],
            [-np.inf, 12, np.inf, 17.5],
            [5, 5, 5, 9],
            [9, 9, 2, 2],
        ],
        np.float32,
    )
    colors = random_colors(len(boxes))
    before, drawn = draw(
        format, size, device, lambda p: draw_boxes(p, format, boxes, colors, **COLOURS, thickness=thickness)
    )
    expected = reference.draw_boxes_reference(before, format, boxes, colors, thickness, "bt709", False)
    assert_drawn(drawn, expected, before)


@pytest.mark.parametrize("device", all_devices("draw_points"))
@pytest.mark.parametrize("format", DRAWABLE)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("radius", [0.5, 2.0, 7.3])
def test_points_match_reference(device: str, format: str, size: tuple[int, int], radius: float) -> None:
    points = np.array([[10.3, 12.9], [0, 0], [50.9, 36.8], [-3, 20], [1e9, 1], [np.nan, 5], [5, -np.inf]], np.float32)
    colors = random_colors(len(points))
    before, drawn = draw(
        format, size, device, lambda p: draw_points(p, format, points, colors, **COLOURS, radius=radius)
    )
    expected = reference.draw_points_reference(before, format, points, colors, radius, "bt709", False)
    assert_drawn(drawn, expected, before)


@pytest.mark.parametrize("device", all_devices("draw_labels"))
@pytest.mark.parametrize("format", DRAWABLE)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("opacity", [0.0, 0.6, 1.0])
def test_labels_match_reference(device: str, format: str, size: tuple[int, int], opacity: float) -> None:
    random = np.random.default_rng(3)
    masks = [random.integers(0, 256, shape).astype(np.uint8) for shape in [(9, 21), (5, 4), (8, 8), (0, 5), (3, 7)]]
    origins = np.array([[5, 7], [-2, -3], [47, 33], [1, 1], [900, -900]], np.int32)
    colors, texts = random_colors(5), random_colors(5)[::-1].copy()
    kwargs: dict[str, Any] = {"colors": colors, "text_colors": texts, "opacity": opacity, **COLOURS}
    before, drawn = draw(format, size, device, lambda p: draw_labels(p, format, masks, origins, **kwargs))
    expected = reference.draw_labels_reference(before, format, masks, origins, colors, texts, opacity, "bt709", False)
    assert_drawn(drawn, expected, before)


def packed(masks: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    rows = [np.packbits(mask, axis=1).ravel() for mask in masks]
    offsets = np.cumsum([0, *(len(row) for row in rows)]).astype(np.int64)
    return np.concatenate([*rows, np.zeros(0, np.uint8)]), offsets


@pytest.mark.parametrize("device", all_devices("draw_masks"))
@pytest.mark.parametrize("format", DRAWABLE)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("alpha", [0.0, 0.45, 1.0])
def test_masks_match_reference(device: str, format: str, size: tuple[int, int], alpha: float) -> None:
    boxes = np.array([[3, 5, 30, 25], [-4, -3, 9, 6], [45, 30, 60, 50], [7, 7, 7, 9], [99, 99, 101, 103]], np.int32)
    random = np.random.default_rng(4)
    masks = [random.random((b[3] - b[1], b[2] - b[0])) < 0.5 for b in boxes]
    bits, offsets = packed(masks)
    colors = random_colors(len(boxes))
    before, drawn = draw(
        format, size, device, lambda p: draw_masks(p, format, boxes, bits, offsets, colors, alpha, **COLOURS)
    )
    assert_drawn(
        drawn, reference.draw_masks_reference(before, format, boxes, masks, colors, alpha, "bt709", False), before
    )


@pytest.mark.parametrize("device", all_devices("draw_masks"))
@pytest.mark.parametrize("format", DRAWABLE)
@pytest.mark.parametrize("left", [0, 1, 5, 70])
def test_wide_masks_with_empty_and_full_stretches(device: str, format: str, left: int) -> None:
    """Inside and across the right border, of any width."""
    boxes = np.array([[left, 2, left + width, 9] for width in (15, 16, 17, 31, 64, 100)], np.int32)
    masks = [np.zeros((7, b[2] - b[0]), np.bool_) for b in boxes]
    for mask in masks:
        mask[1:6, : mask.shape[1] - 1] = True
        mask[3, 5:60] = False
        mask[4, 9] = False
    bits, offsets = packed(masks)
    colors = random_colors(len(boxes))
    before, drawn = draw(
        format, (13, 120), device, lambda p: draw_masks(p, format, boxes, bits, offsets, colors, 0.4, **COLOURS)
    )
    assert_drawn(
        drawn, reference.draw_masks_reference(before, format, boxes, masks, colors, 0.4, "bt709", False), before
    )


@pytest.mark.parametrize("device", all_devices("draw_masks"))
@pytest.mark.parametrize("format", DRAWABLE)
@pytest.mark.parametrize("size", [(1, 1), (35, 129), (50, 192), (17, 63), (34, 130)])
@pytest.mark.parametrize("seed", range(3))
def test_many_masks_over_one_another_are_exact(device: str, format: str, size: tuple[int, int], seed: int) -> None:
    """Every place of a box within a byte and a word, inside and across the borders; not one bit differs."""
    random = np.random.default_rng(seed)
    corners = random.integers(-20, np.array(size[::-1]) + 20, (30, 2))
    boxes = np.concatenate([corners, corners + random.integers(0, (150, 40), (30, 2))], axis=1).astype(np.int32)
    masks = [random.random((b[3] - b[1], b[2] - b[0])) < random.choice([0.0, 0.5, 1.0, 0.98]) for b in boxes]
    bits, offsets = packed(masks)
    bits |= padding_of(masks)
    colors = random_colors(len(boxes))
    before, drawn = draw(
        format, size, device, lambda p: draw_masks(p, format, boxes, bits, offsets, colors, 0.45, **COLOURS)
    )
    expected = reference.draw_masks_reference(before, format, boxes, masks, colors, 0.45, "bt709", False)
    for plane, want in zip(drawn, expected, strict=True):
        np.testing.assert_array_equal(plane, want)


def padding_of(masks: list[np.ndarray]) -> np.ndarray:
    """The bits that fill the rows up to whole bytes; what they hold must not matter."""
    full = [np.pad(np.zeros_like(mask), ((0, 0), (0, -mask.shape[1] % 8)), constant_values=True) for mask in masks]
    return packed(full)[0]


@pytest.mark.parametrize("format", DRAWABLE)
def test_planes_upside_down_and_beyond_their_end_stay_whole(format: str) -> None:
    """Rows in falling order of memory, with bytes after each row that must not change."""
    before, planes = random_planes(format, 21, 71, padding=3), random_planes(format, 21, 71, padding=3)
    whole = [plane.base.copy() for plane in planes]
    turned = tuple(plane[::-1] for plane in planes)
    mask = np.random.default_rng(1).random((19, 75)) < 0.8
    bits, offsets = packed([mask])
    boxes, colors = np.array([[-2, 1, 73, 20]], np.int32), random_colors(1)
    draw_masks(turned, format, boxes, bits, offsets, colors, 0.7, **COLOURS)
    upright = tuple(plane[::-1] for plane in before)
    expected = reference.draw_masks_reference(upright, format, boxes, [mask], colors, 0.7, "bt709", False)
    for drawn, want, old in zip(turned, expected, whole, strict=True):
        np.testing.assert_array_equal(drawn, want)
        np.testing.assert_array_equal(drawn.base[:, drawn.shape[1] :], old[:, drawn.shape[1] :])


@pytest.mark.parametrize("format", DRAWABLE)
def test_nothing_to_draw_changes_nothing(format: str) -> None:
    before, planes = random_planes(format, 8, 8), random_planes(format, 8, 8)
    none, colors = np.zeros((0, 4), np.float32), np.zeros((0, 3), np.uint8)
    draw_boxes(planes, format, none, colors, **COLOURS)
    draw_points(planes, format, none[:, :2].copy(), colors, **COLOURS)
    draw_labels(planes, format, [], np.zeros((0, 2), np.int32), colors=colors, text_colors=colors, **COLOURS)
    draw_masks(
        planes, format, np.zeros((0, 4), np.int32), np.zeros(0, np.uint8), np.zeros(1, np.int64), colors, **COLOURS
    )
    for plane, old in zip(planes, before, strict=True):
        np.testing.assert_array_equal(plane, old)


@pytest.mark.parametrize("matrix", ["bt601", "bt709", "bt2020"])
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("rgb", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (12, 200, 77)])
def test_a_colour_reads_back_as_it_was_drawn(matrix: str, full_range: bool, rgb: tuple[int, int, int]) -> None:
    planes = flat_planes("yuv420p", 8, 8, (90, 100, 140))
    box, color = np.array([[0, 0, 8, 8]], np.float32), np.array([rgb], np.uint8)
    draw_boxes(planes, "yuv420p", box, color, matrix=matrix, full_range=full_range, thickness=4)
    read = to_rgb(planes, "yuv420p", matrix=matrix, full_range=full_range)
    assert np.abs(read.astype(int) - rgb).max() <= 3  # whole codes of Y, U and V


def test_odd_edges_do_not_bleed() -> None:
    """By hand: one pixel of a 2x2 block is drawn, so its chroma moves by a quarter."""
    planes = flat_planes("yuv420p", 4, 4, (16, 128, 128))
    red = np.array([[255, 0, 0]], np.uint8)
    draw_boxes(planes, "yuv420p", np.array([[1, 1, 2, 2]], np.float32), red, **COLOURS, thickness=1)
    assert [int(value) for value in planes[0].ravel()].count(63) == 1
    assert planes[0][1, 1] == 63
    np.testing.assert_array_equal(planes[2], [[128 + 112 // 4, 128], [128, 128]])


BOX, POINT, COLOR = np.zeros((1, 4), np.float32), np.zeros((1, 2), np.float32), np.zeros((1, 3), np.uint8)


def frozen() -> Planes:
    planes = random_planes("nv12", 4, 4)
    planes[1].flags.writeable = False
    return planes


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda p: draw_boxes(p, "p010le", BOX, COLOR, **COLOURS),
            r"draw_boxes: can draw on yuv420p, .*, got 'p010le'",
        ),
        (lambda p: draw_boxes(p, "yuv420p", BOX, COLOR, **COLOURS), r"draw_boxes: yuv420p: expected 3 planes, got 2"),
        (lambda p: draw_boxes(p, "nv12", BOX[0], COLOR, **COLOURS), r"draw_boxes: boxes must be float32 \[N, 4\]"),
        (
            lambda p: draw_boxes(p, "nv12", BOX, COLOR[:0], **COLOURS),
            r"colors must be uint8 \[1, 3\], got uint8 \[0, 3\]",
        ),
        (
            lambda p: draw_boxes(p, "nv12", BOX, COLOR, **COLOURS, thickness=0),
            r"thickness must be at least 1 pixel, got 0",
        ),
        (lambda p: draw_boxes(frozen(), "nv12", BOX, COLOR, **COLOURS), r"the planes must be writable; draw on a copy"),
        (lambda p: draw_points(p, "nv12", BOX, COLOR, **COLOURS), r"draw_points: points must be float32 \[N, 2\]"),
        (
            lambda p: draw_points(p, "nv12", POINT, COLOR, **COLOURS, radius=0.0),
            r"draw_points: radius must be positive",
        ),
    ],
)
def test_refuses_with_the_reason(call: Callable[[Planes], None], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(random_planes("nv12", 4, 4))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"origins": np.zeros((2, 2), np.int32)}, r"draw_labels: origins must be int32 \[1, 2\], got int32 \[2, 2\]"),
        ({"origins": np.full((1, 2), 2**30, np.int32)}, r"draw_labels: origins must lie within 16777216 pixels"),
        ({"masks": [np.zeros(4, np.uint8)]}, r"draw_labels: masks\[0\] must be uint8 \[N, N\], got uint8 \[4\]"),
        ({"opacity": 1.1}, r"draw_labels: opacity must be in \[0, 1\], got 1.1"),
    ],
)
def test_labels_refuse_with_the_reason(change: dict[str, Any], message: str) -> None:
    arguments = {"masks": [np.zeros((2, 2), np.uint8)], "origins": np.zeros((1, 2), np.int32), **change}
    masks, origins = arguments.pop("masks"), arguments.pop("origins")
    with pytest.raises(ValueError, match=message):
        draw_labels(
            random_planes("nv12", 4, 4), "nv12", masks, origins, colors=COLOR, text_colors=COLOR, **arguments, **COLOURS
        )


@pytest.mark.parametrize(
    ("box", "bits", "offsets", "message"),
    [
        ([0, 0, 9, 2], 4, [0, 4], None),
        ([0, 0, 9, 2], 3, [0, 4], r"draw_masks: offsets must grow by the rows of each box"),
        ([0, 0, 9, 2], 4, [0, 3], r"draw_masks: offsets must grow by the rows of each box"),
        ([0, 0, 9, 2], 4, [-1, 3], r"draw_masks: offsets must grow by the rows of each box"),
        ([9, 0, 0, 2], 4, [0, 4], r"draw_masks: boxes must be \(x1, y1, x2, y2\) with x1 <= x2"),
        ([0, 0, 2**30, 1], 4, [0, 4], r"draw_masks: boxes must lie within 16777216 pixels"),
        ([0, 0, 9, 2], 4, [0, 4, 4], r"draw_masks: offsets must be int64 \[2\], got int64 \[3\]"),
    ],
)
def test_masks_refuse_offsets_that_do_not_match(
    box: list[int], bits: int, offsets: list[int], message: str | None
) -> None:
    planes = random_planes("nv12", 4, 4)
    arguments = (np.array([box], np.int32), np.zeros(bits, np.uint8), np.array(offsets, np.int64), COLOR)
    if message is None:
        draw_masks(planes, "nv12", *arguments, **COLOURS)
        return
    with pytest.raises(ValueError, match=message):
        draw_masks(planes, "nv12", *arguments, **COLOURS)

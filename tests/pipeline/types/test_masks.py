"""Masks: packing, COCO RLE against pycocotools, exact outlines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from vidgraph.kernels import encode_runs
from vidgraph.pipeline.types.masks import Masks
from vidgraph.pipeline.types.rle import decode_runs

SHAPES = [(1, 1), (1, 9), (9, 1), (7, 8), (16, 17), (40, 33)]


def blobs(height: int, width: int, seed: int) -> np.ndarray:
    """Masks of different kinds: noise, sparse, dense, a filled rectangle, nothing, everything."""
    rng = np.random.default_rng(seed)
    masks = np.stack([rng.random((height, width)) < share for share in (0.5, 0.1, 0.9, 0.0, 2.0, 0.0)])
    y1, x1 = rng.integers(height), rng.integers(width)
    masks[5, y1 : y1 + 5, x1 : x1 + 9] = True
    return masks


def coco() -> Any:
    return pytest.importorskip("pycocotools.mask", reason="the reference RLE needs pycocotools")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_packing_keeps_every_pixel(shape: tuple[int, int], seed: int) -> None:
    full = blobs(*shape, seed)
    masks = Masks.from_full(full)
    assert len(masks) == len(full)
    assert masks.size == shape
    for row, expected in enumerate(full):
        np.testing.assert_array_equal(masks.full(row), expected)
        assert masks.area(row) == expected.sum()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_rle_equals_pycocotools_both_ways(shape: tuple[int, int], seed: int) -> None:
    full = blobs(*shape, seed)
    masks = Masks.from_full(full)
    reference = [coco().encode(np.asfortranarray(mask.astype(np.uint8))) for mask in full]
    for row, expected in enumerate(reference):
        assert masks.rle(row) == {"size": list(shape), "counts": expected["counts"].decode()}
    again = Masks.from_rles(reference, shape)
    np.testing.assert_array_equal(again.boxes, masks.boxes)
    np.testing.assert_array_equal(again.bits, masks.bits)


def test_rle_of_a_large_frame_has_long_and_negative_numbers() -> None:
    full = np.zeros((2, 1080, 1920), np.bool_)
    full[0, 3:900, 100:1500] = True
    full[0, 500, 700:900] = False
    full[1, :, 400:] = True  # full height: columns run into each other, and the last pixel is set
    masks = Masks.from_full(full)
    for row in range(2):
        expected = coco().encode(np.asfortranarray(full[row].astype(np.uint8)))["counts"].decode()
        assert masks.rle(row)["counts"] == expected
    np.testing.assert_array_equal(Masks.from_rles([masks.rle(0), masks.rle(1)], (1080, 1920)).bits, masks.bits)


def test_loose_boxes_have_the_rle_of_the_pixels() -> None:
    full = blobs(12, 13, 0)[:1]
    tight = Masks.from_full(full)
    bits = np.packbits(full[0], axis=1).reshape(-1)
    loose = Masks(np.array([[0, 0, 13, 12]], np.int32), bits.copy(), np.array([0, len(bits)]), (12, 13))
    assert loose.rle(0) == tight.rle(0)
    assert loose.area(0) == tight.area(0)


@pytest.mark.parametrize("runs", [[0], [5], [0, 5], [1, 2, 3, 4, 5, 6], [0, 10**9, 3, 1, 10**12, 7, 1, 1]])
def test_run_text_is_read_back(runs: list[int]) -> None:
    assert decode_runs(encode_runs(np.array(runs, np.int64))).tolist() == runs


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ("\u00e4", "ASCII"),
        ("P", "damaged"),  # more was announced than there is
        (" ", "damaged"),
        ("P" * 14 + "0", "groups"),
        ("11", "add up to 4 x 5"),
        ([21, -1], "add up to 4 x 5"),
    ],
)
def test_damaged_rle_is_refused(counts: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Masks.from_rles([{"size": [4, 5], "counts": counts}], (4, 5))


def test_rle_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mask 0 must have size \[4, 5\], got \[5, 4\]"):
        Masks.from_rles([{"size": [5, 4], "counts": [20]}], (4, 5))


def test_runs_as_lists_are_read() -> None:
    masks = Masks.from_rles([{"size": [2, 3], "counts": [1, 2, 3]}], (2, 3))
    np.testing.assert_array_equal(masks.full(0), [[False, True, False], [True, False, False]])


def test_rows_are_chosen_as_in_numpy() -> None:
    full = blobs(9, 10, 1)
    masks = Masks.from_full(full)
    for rows in (slice(1, 4), np.array([5, 0, 0]), full.any(axis=(1, 2)), slice(0, 0), np.zeros(6, np.bool_)):
        chosen = masks[rows]
        assert len(chosen) == len(full[rows])
        for row, expected in enumerate(full[rows]):
            np.testing.assert_array_equal(chosen.full(row), expected)
    with pytest.raises(IndexError, match=r"full\(row\)"):
        masks[2]
    with pytest.raises(IndexError):
        masks.full(6)
    with pytest.raises(IndexError):
        masks.crop(-7)
    np.testing.assert_array_equal(masks.full(-1), full[-1])


def test_nothing_at_all() -> None:
    assert len(Masks.from_full(np.zeros((0, 4, 5), np.bool_))) == 0
    assert len(Masks.from_rles([], (4, 5))) == 0
    masks = Masks.from_full(np.zeros((1, 4, 5), np.bool_))
    assert masks.area(0) == 0
    assert masks.polygons(0) == []
    assert masks.crop(0).shape == (0, 0)
    assert masks.rle(0)["counts"] == coco().encode(np.zeros((4, 5), np.uint8, order="F"))["counts"].decode()


def test_boxes_without_width_or_height_are_empty_masks() -> None:
    boxes = np.array([[2, 1, 2, 4], [0, 3, 5, 3]], np.int32)
    masks = Masks(boxes, np.zeros(0, np.uint8), np.zeros(3, np.int64), (4, 5))
    for row in range(2):
        assert masks.area(row) == 0
        assert not masks.full(row).any()
        assert masks.polygons(row) == []
        assert decode_runs(masks.rle(row)["counts"]).tolist() == [20]


def test_arrays_are_owned_and_read_only() -> None:
    base = np.zeros(4, np.uint8)
    masks = Masks(np.array([[0, 0, 8, 2]], np.int32), base[:2], np.array([0, 2]), (4, 9))
    base[:] = 255
    assert masks.area(0) == 0
    for array in (masks.boxes, masks.bits, masks.offsets):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 1


@pytest.mark.parametrize(
    ("boxes", "bits", "offsets", "says"),
    [
        ([[0, 0, 8, 2]], 2, [0, 3], r"offsets must be \[0, 2\]"),
        ([[0, 0, 8, 2]], 3, [0, 2], "3 bytes"),
        ([[0, 0, 10, 2]], 4, [0, 4], r"boxes\[0\] must lie within 9x4, got \[0, 0, 10, 2\]"),
        ([[3, 0, 2, 2]], 0, [0, 0], r"boxes\[0\] must lie within"),
        ([[0, 0, 8]], 2, [0, 2], r"boxes \[N, 4\]"),
    ],
)
def test_what_does_not_fit_is_refused(boxes: Any, bits: int, offsets: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Masks(np.array(boxes, np.int32), np.zeros(bits, np.uint8), np.array(offsets, np.int64), (4, 9))


def test_wrong_dtypes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Masks.boxes must be int32"):
        Masks(np.zeros((0, 4), np.int64), np.zeros(0, np.uint8), np.zeros(1, np.int64), (4, 9))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"bool \[N, H, W\], got uint8"):
        Masks.from_full(np.zeros((1, 4, 5), np.uint8))  # type: ignore[arg-type]


def filled(outlines: list[list[float]], height: int, width: int) -> np.ndarray:
    """Pixels whose centre is inside an outline by the even-odd rule: count vertical edges to the left."""
    crossings = np.zeros((height, width), np.int64)
    for flat in outlines:
        points = np.array(flat).reshape(-1, 2).astype(int)
        for (x1, y1), (x2, y2) in zip(points, np.roll(points, -1, axis=0), strict=True):
            assert (x1 == x2) != (y1 == y2), "outlines run along the axes and have no points on straight edges"
            if x1 == x2:
                crossings[min(y1, y2) : max(y1, y2), x1:] += 1
    return crossings % 2 == 1


def closed(mask: np.ndarray) -> np.ndarray:
    """The mask with the background that the border does not reach (over edges and corners) filled."""
    outside = np.pad(~mask, 1, constant_values=True)
    reached = np.zeros_like(outside)
    reached[0, 0] = True
    while True:
        grown = np.pad(reached, 1)
        near = [np.roll(grown, (dy, dx), (0, 1))[1:-1, 1:-1] for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        grown = np.logical_or.reduce(near) & outside
        if np.array_equal(grown, reached):
            return ~reached[1:-1, 1:-1]
        reached = grown


@pytest.mark.parametrize("seed", range(20))
def test_outlines_enclose_exactly_the_mask_with_its_holes_closed(seed: int) -> None:
    mask = np.random.default_rng(seed).random((11, 14)) < (0.3, 0.5, 0.7, 0.85)[seed % 4]
    mask[0, 0] = True
    outlines = Masks.from_full(mask[None]).polygons(0)
    np.testing.assert_array_equal(filled(outlines, 11, 14), closed(mask))


def test_outlines_of_simple_shapes_by_hand() -> None:
    mask = np.zeros((6, 7), np.bool_)
    mask[1:3, 2:5] = True
    mask[3, 5] = True  # touches the corner of the rectangle only: a part of its own
    assert Masks.from_full(mask[None]).polygons(0) == [
        [2.0, 1.0, 5.0, 1.0, 5.0, 3.0, 2.0, 3.0],
        [5.0, 3.0, 6.0, 3.0, 6.0, 4.0, 5.0, 4.0],
    ]

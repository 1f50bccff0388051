"""Privacy masks: what they hide is black in every pixel format and size, and all else is bit for bit as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from vidgraph import Frame, Picture, UsageError
from vidgraph.kernels import PIXEL_FORMATS
from vidgraph.stages.areas import touched_pixels
from vidgraph.stages.sources.masked import MaskedSource, PrivacyMask
from vidgraph.stages.sources.registry import open_source

SIZES = [(48, 64), (47, 63), (2, 3), (1, 1)]
TRIANGLE = [(0.2, 0.1), (0.9, 0.4), (0.3, 0.8)]


def noise(format: str, size: tuple[int, int], *, full_range: bool = False) -> Picture:
    layout, random = PIXEL_FORMATS[format], np.random.default_rng(7)
    planes = []
    for shape in layout.shapes(*size):
        samples = random.integers(0, 1 << layout.bits, shape).astype(layout.dtype) << layout.low_bits
        padded = np.zeros((shape[0], shape[1] + 5, *shape[2:]), layout.dtype)
        padded[:, : shape[1]] = samples
        planes.append(padded[:, : shape[1]])
    return Picture(format, tuple(planes), full_range=full_range)


def inside(polygon: list[tuple[float, float]], size: tuple[int, int]) -> NDArray[np.bool_]:
    """By many points of each pixel, which are tested one by one: bool [h, w]."""
    height, width = size
    found = np.zeros(size, np.bool_)
    for y in np.linspace(0, height, 4 * height, endpoint=False):
        for x in np.linspace(0, width, 4 * width, endpoint=False):
            crossings = 0
            for (x1, y1), (x2, y2) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
                if (y1 * height > y) != (y2 * height > y):
                    crossings += x < width * ((x2 - x1) * (y / height - y1) / (y2 - y1) + x1)
            found[int(y), int(x)] |= crossings % 2 == 1
    return found


def chroma_of(pixels: NDArray[np.bool_], shift: tuple[int, int]) -> NDArray[np.bool_]:
    """The samples of chroma that any of the pixels has a share in."""
    rows, columns = np.nonzero(pixels)
    found = np.zeros((-(-pixels.shape[0] >> shift[1]), -(-pixels.shape[1] >> shift[0])), np.bool_)
    found[rows >> shift[1], columns >> shift[0]] = True
    return found


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("format", PIXEL_FORMATS)
@pytest.mark.parametrize("full_range", [False, True])
def test_what_is_hidden_is_black_and_the_rest_is_as_it_was(
    format: str, size: tuple[int, int], full_range: bool
) -> None:
    layout, before = PIXEL_FORMATS[format], noise(format, size, full_range=full_range)
    kept = [plane.copy() for plane in before.host_planes]
    mask = PrivacyMask([TRIANGLE])
    after = mask.applied(before)
    hidden = touched_pixels([TRIANGLE], size)
    assert after.format == format
    assert after.full_range == full_range
    black = (0 if full_range or layout.kind == "packed_rgb" else 16) << (layout.bits - 8 + layout.low_bits)
    assert (after.host_planes[0][hidden] == black).all()
    chroma = chroma_of(hidden, layout.chroma_shift) if len(kept) > 1 else None
    grown = hidden if chroma is None else chroma.repeat(1 << layout.chroma_shift[1], 0).repeat(
        1 << layout.chroma_shift[0], 1)[: size[0], : size[1]]  # fmt: skip
    np.testing.assert_array_equal(after.host_planes[0][~grown], kept[0][~grown])
    assert (after.host_planes[0][grown] == black).all()
    for plane, was in zip(after.host_planes[1:], kept[1:], strict=True):
        assert chroma is not None
        assert (plane[chroma] == 128 << (layout.bits - 8 + layout.low_bits)).all()
        np.testing.assert_array_equal(plane[~chroma], was[~chroma])
    for plane, was in zip(before.host_planes, kept, strict=True):
        np.testing.assert_array_equal(plane, was)  # the decoder still needs it


@pytest.mark.parametrize("format", ["yuv420p", "nv12", "yuv422p", "p010le"])
def test_nothing_of_what_is_hidden_comes_through(format: str) -> None:
    """Two pictures that differ only where the mask is are the same behind it, their colours at its edge too."""
    layout, size = PIXEL_FORMATS[format], (31, 33)
    hidden = touched_pixels([TRIANGLE], size)
    first, second = noise(format, size), noise(format, size)
    other = [np.array(plane) for plane in second.host_planes]
    other[0][hidden] ^= 1 << layout.low_bits
    for plane in other[1:]:
        plane[chroma_of(hidden, layout.chroma_shift)] ^= 1 << layout.low_bits
    mask = PrivacyMask([TRIANGLE])
    one, two = mask.applied(first), mask.applied(Picture(format, tuple(other)))
    for a, b in zip(one.host_planes, two.host_planes, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(one.rgb(), two.rgb())


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("size", [(9, 16), (40, 30), (1, 5)])
def test_every_pixel_that_a_polygon_touches_is_hidden_and_few_others(seed: int, size: tuple[int, int]) -> None:
    polygon = [tuple(corner) for corner in np.random.default_rng(seed).random((5, 2)).tolist()]
    needed, hidden = inside(polygon, size), touched_pixels([polygon], size)
    assert not (needed & ~hidden).any()
    far = needed.copy()
    for _ in range(3):
        far[1:] |= far[:-1].copy()
        far[:-1] |= far[1:].copy()
        far[:, 1:] |= far[:, :-1].copy()
        far[:, :-1] |= far[:, 1:].copy()
    if needed.any():
        assert not (hidden & ~far).any()


def test_a_polygon_at_the_border_hides_the_border() -> None:
    hidden = touched_pixels([[(0, 0), (1, 0), (1, 1), (0, 1)]], (7, 9))
    assert hidden.all()


@pytest.mark.parametrize("size", [(8, 12), (5, 7), (16, 24), (3, 2), (40, 31)])
def test_an_image_hides_every_pixel_that_a_white_one_lies_over(size: tuple[int, int], tmp_path: Path) -> None:
    white = np.random.default_rng(3).random((8, 12)) < 0.1
    white[0, 0] = True
    Image.fromarray(white.astype(np.uint8) * 255).save(tmp_path / "mask.png")
    layout = PIXEL_FORMATS["gray"]
    after = PrivacyMask([tmp_path / "mask.png"]).applied(Picture("gray", (np.full(size, 99, layout.dtype),)))
    expected = np.zeros(size, np.bool_)
    for row, column in zip(*np.nonzero(white), strict=True):
        top, bottom = row * size[0] // 8, -(-(row + 1) * size[0] // 8)
        left, right = column * size[1] // 12, -(-(column + 1) * size[1] // 12)
        expected[top:bottom, left:right] = True
    np.testing.assert_array_equal(after.host_planes[0] == 16, expected)


def test_the_size_may_change(tmp_path: Path) -> None:
    mask = PrivacyMask([TRIANGLE])
    for size in ((20, 30), (10, 10), (20, 30)):
        hidden = touched_pixels([TRIANGLE], size)
        assert (mask.applied(noise("gray", size)).host_planes[0][hidden] == 16).all()


def test_frames_leave_the_source_masked() -> None:
    def of(*areas: Any) -> list[Frame]:
        (source,) = open_source("synth:street?frames=2&size=64x64")
        made = MaskedSource(source, areas) if areas else source
        made.open()
        try:
            return list(made.frames())
        finally:
            made.close()

    left = [(0, 0), (0.5, 0), (0.5, 1), (0, 1)]
    for plain, masked in zip(of(), of(left), strict=True):
        assert (masked.picture.rgb()[:, :32] == 0).all()
        np.testing.assert_array_equal(masked.picture.rgb()[:, 36:], plain.picture.rgb()[:, 36:])
        assert (masked.index, masked.pts_ns, masked.stream_id) == (plain.index, plain.pts_ns, plain.stream_id)


@pytest.mark.parametrize(
    ("area", "said"),
    [
        ([(0, 0), (1, 1)], "at least 3 corners"),
        ([(0, 0), (1, 1), (0, 1.5)], r"numbers from 0 to 1.*got \(0, 1.5\)"),
        ([(0, 0), (1, 1), (0, True)], "numbers from 0 to 1"),
        ([(0, 0), (1, 1), (0, float("nan"))], "numbers from 0 to 1"),
        ("nowhere.png", "a mask must be an image.*nowhere.png"),
        ("black.png", "is black, so it hides nothing"),
    ],
)
def test_what_is_no_area_is_refused(area: Any, said: str, tmp_path: Path) -> None:
    Image.new("L", (4, 4)).save(tmp_path / "black.png")
    with pytest.raises(UsageError, match=said):
        PrivacyMask([tmp_path / area if isinstance(area, str) else area])

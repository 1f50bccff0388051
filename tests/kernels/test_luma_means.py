"""Mean luma of the blocks of a picture."""

from __future__ import annotations

import numpy as np
import pytest
from vidgraph.kernels import PIXEL_FORMATS, luma_means
from vidgraph.kernels.luma_means.reference import luma_means_reference

from .cases import all_devices, flat_planes, random_planes, to_device, to_host


@pytest.mark.parametrize("device", all_devices("luma_means"))
@pytest.mark.parametrize("format", PIXEL_FORMATS)
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (13, 35), (75, 334)])
@pytest.mark.parametrize("block", [1, 3, 8, 13, 256])
def test_matches_reference(device: str, format: str, size: tuple[int, int], block: int) -> None:
    planes = random_planes(format, *size, seed=block, padding=6)
    means = to_host(luma_means(to_device(planes, device), format, block=block))
    np.testing.assert_array_equal(means, luma_means_reference(planes, format, block), strict=True)


@pytest.mark.parametrize(
    ("format", "components", "mean"),
    [
        ("yuv420p", (77, 1, 2), 77 * 256),
        ("nv12", (255, 1, 2), 255 * 256),
        ("gray", (255,), 255 * 256),
        ("yuv420p10le", (1023, 1, 2), 1023 * 64),
        ("p010le", (513, 1, 2), 513 * 64),
        ("rgb24", (10, 20, 31), (10 + 2 * 20 + 31) * 64),
    ],
)
def test_flat_pictures(format: str, components: tuple[int, ...], mean: int) -> None:
    means = luma_means(flat_planes(format, 20, 30, components), format, block=8)
    np.testing.assert_array_equal(means, np.full((3, 4), mean, np.uint16), strict=True)


def test_rows_and_edges_by_hand() -> None:
    """Of blocks of 8 rows every second one is read; a block at the edge is the mean of what is there."""
    luma = np.zeros((10, 10), np.uint8)
    luma[1], luma[2, :4], luma[8:, 8:] = 200, 80, 100
    np.testing.assert_array_equal(luma_means((luma,), "gray", block=8), [[80 * 4 * 256 // 32, 0], [0, 100 * 256]])


def test_writes_where_it_is_told_and_reads_upside_down() -> None:
    planes, out = random_planes("yuv420p", 32, 48), np.empty((4, 6), np.uint16)
    assert luma_means(planes, "yuv420p", block=8, out=out) is out
    flipped = tuple(plane[::-1] for plane in planes)
    expected = luma_means(tuple(map(np.ascontiguousarray, flipped)), "yuv420p", block=8)
    np.testing.assert_array_equal(luma_means(flipped, "yuv420p", block=8), expected)


def test_refuses_with_the_reason() -> None:
    planes = random_planes("yuv420p", 6, 8)
    with pytest.raises(ValueError, match=r"luma_means: block must be at least 1, got 0"):
        luma_means(planes, "yuv420p", block=0)
    with pytest.raises(ValueError, match=r"luma_means: block must be from 1 to 256, got 257"):
        luma_means(planes, "yuv420p", block=257)
    with pytest.raises(ValueError, match=r"luma_means: unknown pixel format 'bgr24'"):
        luma_means(planes, "bgr24", block=8)
    with pytest.raises(ValueError, match=r"luma_means: out must be uint16 \[1, 1\], got uint16 \[2, 1\]"):
        luma_means(planes, "yuv420p", block=8, out=np.empty((2, 1), np.uint16))

"""Colour conversion against its definition, and colours that everyone knows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from vidgraph.kernels import PIXEL_FORMATS, to_rgb
from vidgraph.kernels.to_rgb.reference import to_rgb_reference

from ..tolerances import TOLERANCES
from .cases import all_devices, flat_planes, random_planes, to_device, to_host

ROUNDING = TOLERANCES["to_rgb, 8 bit"][0]


@pytest.mark.parametrize("device", all_devices("to_rgb"))
@pytest.mark.parametrize("format", PIXEL_FORMATS)
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (3, 5), (16, 33), (40, 130)])
@pytest.mark.parametrize("matrix", ["bt601", "bt709", "bt2020"])
@pytest.mark.parametrize("full_range", [False, True])
def test_matches_reference(device: str, format: str, size: tuple[int, int], matrix: str, full_range: bool) -> None:
    planes = random_planes(format, *size, seed=size[0], padding=5)
    rgb = to_host(to_rgb(to_device(planes, device), format, matrix=matrix, full_range=full_range))
    expected = to_rgb_reference(planes, format, matrix, full_range)
    assert rgb.dtype == np.uint8
    assert rgb.shape == (*size, 3)
    difference = np.abs(rgb.astype(int) - expected)
    assert difference.max() <= ROUNDING
    assert (difference > 0).mean() < 1e-3 or rgb.size < 1000  # only where the exact value is all but a half


@pytest.mark.parametrize(
    ("format", "matrix", "full_range", "components", "rgb"),
    [
        ("yuv420p", "bt709", False, (16, 128, 128), (0, 0, 0)),
        ("yuv420p", "bt709", False, (235, 128, 128), (255, 255, 255)),
        ("nv12", "bt601", False, (81, 90, 240), (254, 0, 0)),  # the red of colour bars
        ("yuv444p", "bt709", False, (63, 102, 240), (255, 1, 0)),
        ("yuv422p", "bt2020", True, (255, 128, 128), (255, 255, 255)),
        ("yuv420p10le", "bt709", False, (64, 512, 512), (0, 0, 0)),
        ("p010le", "bt709", False, (940, 512, 512), (255, 255, 255)),
        ("yuv444p10le", "bt709", True, (1023, 512, 512), (255, 255, 255)),
        ("gray", "rgb", True, (77,), (77, 77, 77)),
        ("gray", "bt709", False, (16,), (0, 0, 0)),
        ("rgb24", "rgb", True, (1, 2, 3), (1, 2, 3)),
    ],
)
def test_known_colours(
    format: str, matrix: str, full_range: bool, components: tuple[int, ...], rgb: tuple[int, int, int]
) -> None:
    converted = to_rgb(flat_planes(format, 4, 6, components), format, matrix=matrix, full_range=full_range)
    assert (converted == np.array(rgb)).all(), converted[0, 0]


def test_chroma_sits_on_the_left_pixel_and_between_two_rows() -> None:
    """By hand: full range, luma 128, V steps from 128 to 228 at the second chroma column and row."""
    luma, u = np.full((4, 4), 128, np.uint8), np.full((2, 2), 128, np.uint8)
    across = to_rgb((luma, u, np.array([[128, 228]] * 2, np.uint8)), "yuv420p", matrix="bt601", full_range=True)
    share = (across[0, :, 0].astype(int) - 128) / (1.402 * 100)  # of the step, clamped at 255
    np.testing.assert_allclose(share, [0, 0.5, 127 / 140.2, 127 / 140.2], atol=0.004)
    down = to_rgb((luma, u, np.array([[128] * 2, [178] * 2], np.uint8)), "yuv420p", matrix="bt601", full_range=True)
    np.testing.assert_allclose((down[:, 0, 0].astype(int) - 128) / (1.402 * 50), [0, 0.25, 0.75, 1], atol=0.008)


@pytest.mark.parametrize("device", all_devices("to_rgb")[1:])
def test_devices_write_into_out(device: str) -> None:
    """Also where it begins at no multiple of four."""
    planes, memory = random_planes("nv12", 6, 8), np.zeros(6 * 8 * 3 + 2, np.uint8)
    expected = to_rgb(planes, "nv12", matrix="bt709", full_range=False)
    for start in range(3):
        whole = to_device(memory, device)
        out = replace(whole[start : start + expected.size], shape=expected.shape, strides=expected.strides)
        assert to_rgb(to_device(planes, device), "nv12", matrix="bt709", full_range=False, out=out) is out
        np.testing.assert_array_equal(to_host(out), expected)
        outside = np.delete(to_host(whole), slice(start, start + expected.size))
        np.testing.assert_array_equal(outside, np.zeros(2, np.uint8))


def test_writes_into_out() -> None:
    planes, out = random_planes("yuv420p", 6, 8), np.empty((6, 8, 3), np.uint8)
    assert to_rgb(planes, "yuv420p", matrix="bt709", full_range=False, out=out) is out
    np.testing.assert_array_equal(out, to_rgb(planes, "yuv420p", matrix="bt709", full_range=False))


def test_reads_rows_from_bottom_to_top() -> None:
    """FFmpeg gives flipped pictures as planes with a negative stride."""
    planes = random_planes("yuv420p", 6, 8)
    flipped = tuple(plane[::-1] for plane in planes)
    upright = tuple(np.ascontiguousarray(plane) for plane in flipped)
    np.testing.assert_array_equal(
        to_rgb(flipped, "yuv420p", matrix="bt709", full_range=False),
        to_rgb(upright, "yuv420p", matrix="bt709", full_range=False),
    )


@pytest.mark.parametrize(
    ("format", "matrix", "message"),
    [
        ("bgr24", "bt709", r"to_rgb: unknown pixel format 'bgr24'; known: yuv420p, nv12"),
        ("nv12", "bt709", r"to_rgb: nv12: expected 2 planes, got 3"),
        ("yuv420p", "rgb", r"to_rgb: the matrix of yuv420p must be one of bt601, bt709, bt2020, got 'rgb'"),
    ],
)
def test_refuses_with_the_reason(format: str, matrix: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        to_rgb(random_planes("yuv420p", 6, 8), format, matrix=matrix, full_range=False)


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (np.empty((6, 8, 4), np.uint8), r"to_rgb: out must be uint8 \[6, 8, 3\], got uint8 \[6, 8, 4\]"),
        (np.empty((6, 8, 3), np.float32), r"out must be uint8 \[6, 8, 3\], got float32"),
        (np.empty((6, 8, 6), np.uint8)[:, :, ::2], r"out must be C-contiguous"),
        (np.frombuffer(bytes(144), np.uint8).reshape(6, 8, 3), r"out must be writable"),
    ],
)
def test_refuses_an_output_that_does_not_fit(out: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        to_rgb(random_planes("yuv420p", 6, 8), "yuv420p", matrix="bt709", full_range=False, out=out)

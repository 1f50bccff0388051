"""Copies of pictures in 8 bits."""

from __future__ import annotations

import numpy as np
import pytest
from vidgraph.kernels import PIXEL_FORMATS, eight_bit_format, eight_bits
from vidgraph.kernels.eight_bits.reference import eight_bits_reference

from .cases import all_devices, random_planes, to_device, to_host


@pytest.mark.parametrize("device", all_devices("eight_bits"))
@pytest.mark.parametrize("format", PIXEL_FORMATS)
@pytest.mark.parametrize("size", [(1, 1), (13, 35), (3, 1030)])
def test_matches_reference(device: str, format: str, size: tuple[int, int]) -> None:
    planes = random_planes(format, *size, padding=6)
    copies = eight_bits(to_device(planes, device), format)
    for copy, expected in zip(copies, eight_bits_reference(planes, format), strict=True):
        np.testing.assert_array_equal(to_host(copy), expected, strict=True)
    PIXEL_FORMATS[eight_bit_format(format)].check(copies)


@pytest.mark.parametrize("device", all_devices("eight_bits"))
def test_halves_go_up_and_nothing_beyond_255(device: str) -> None:
    luma = np.array([[0, 1, 2, 3, 5, 6, 1021, 1022, 1023]], np.uint16)
    chroma = np.zeros((1, 5, 2), np.uint16)
    (copy, _) = eight_bits(to_device((luma << 6, chroma), device), "p010le")
    np.testing.assert_array_equal(to_host(copy), [[0, 0, 1, 1, 1, 2, 255, 255, 255]])


def test_writes_into_given_planes_with_padded_rows() -> None:
    planes, out = random_planes("yuv420p10le", 6, 10), random_planes("yuv420p", 6, 10, padding=3)
    assert eight_bits(planes, "yuv420p10le", out=out) == out
    for copy, expected in zip(out, eight_bits_reference(planes, "yuv420p10le"), strict=True):
        np.testing.assert_array_equal(copy, expected)


def test_refuses_what_does_not_fit() -> None:
    planes, out = random_planes("nv12", 6, 10), random_planes("nv12", 6, 10)
    with pytest.raises(ValueError, match=r"^eight_bits: unknown pixel format 'bgr24'"):
        eight_bits(planes, "bgr24")
    with pytest.raises(
        ValueError, match=r"^eight_bits: out must lie on cpu as the planes do, for a picture of 10x6; got"
    ):
        eight_bits(planes, "nv12", out=random_planes("nv12", 6, 8))
    with pytest.raises(ValueError, match=r"^eight_bits: out must not share memory with an input$"):
        eight_bits(planes, "nv12", out=planes)
    out[1].flags.writeable = False
    with pytest.raises(ValueError, match=r"^eight_bits: out must be writable$"):
        eight_bits(planes, "nv12", out=out)

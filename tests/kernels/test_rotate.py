"""Turning pictures by quarters."""

from __future__ import annotations

import numpy as np
import pytest
from vidgraph.kernels import PIXEL_FORMATS, rotate
from vidgraph.kernels.rotate.reference import rotate_reference

from .cases import all_devices, flat_planes, random_planes, to_device, to_host
from .hostile import misplaced


@pytest.mark.parametrize("device", all_devices("rotate"))
@pytest.mark.parametrize("format", PIXEL_FORMATS)
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (3, 4), (33, 70), (65, 31)])
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_matches_reference(device: str, format: str, size: tuple[int, int], degrees: int) -> None:
    planes = random_planes(format, *size, padding=3)
    turned = [to_host(plane) for plane in rotate(to_device(planes, device), format, degrees)]
    for plane, expected in zip(turned, rotate_reference(planes, format, degrees), strict=True):
        assert plane.flags.c_contiguous
        assert plane.dtype == expected.dtype
        np.testing.assert_array_equal(plane, expected)
    PIXEL_FORMATS[format].check(turned)


@pytest.mark.parametrize("format", ["nv12", "p010le"])
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_pairs_of_samples_at_odd_places(format: str, degrees: int) -> None:
    """A pair is moved as one number, but lies wherever a sample may: only ``make sanitize`` sees how it is read."""
    luma, chroma = random_planes(format, 34, 70)
    moved = misplaced(chroma, chroma.itemsize)
    expected = rotate_reference((luma, chroma), format, degrees)
    for plane, wanted in zip(rotate((luma, moved), format, degrees), expected, strict=True):
        np.testing.assert_array_equal(plane, wanted)


def test_clockwise() -> None:
    """By hand: the top row becomes the right column."""
    (turned,) = rotate((np.array([[1, 2, 3], [4, 5, 6]], np.uint8),), "gray", 90)
    np.testing.assert_array_equal(turned, [[4, 1], [5, 2], [6, 3]])


@pytest.mark.parametrize("format", [name for name in PIXEL_FORMATS if "422" not in name])
def test_there_and_back_is_the_same_picture(format: str) -> None:
    planes = random_planes(format, 6, 10)
    back = rotate(rotate(planes, format, 90), format, 270)
    for plane, original in zip(back, planes, strict=True):
        np.testing.assert_array_equal(plane, original)


@pytest.mark.parametrize("degrees", [90, 270])
def test_flat_4_2_2_keeps_its_colour(degrees: int) -> None:
    for plane, value in zip(
        rotate(flat_planes("yuv422p", 5, 8, (50, 60, 70)), "yuv422p", degrees), (50, 60, 70), strict=True
    ):
        assert (plane == value).all()


@pytest.mark.parametrize("degrees", [0, 45, 360, -90])
def test_refuses_other_angles(degrees: int) -> None:
    with pytest.raises(ValueError, match=rf"rotate: degrees must be 90, 180 or 270, got {degrees}"):
        rotate(random_planes("gray", 2, 2), "gray", degrees)

"""Which planes are a picture of a format."""

from __future__ import annotations

import numpy as np
import pytest
from vidgraph.kernels import PIXEL_FORMATS, PlaneLayout

from .cases import DeviceMemory, random_planes


@pytest.mark.parametrize("format", PIXEL_FORMATS)
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (5, 7), (36, 64)])
@pytest.mark.parametrize("padding", [0, 3])
def test_accepts_its_own_planes(format: str, size: tuple[int, int], padding: int) -> None:
    PIXEL_FORMATS[format].check(random_planes(format, *size, padding=padding))


@pytest.mark.parametrize(
    ("format", "shapes"),
    [
        ("yuv420p", ((5, 7), (3, 4), (3, 4))),
        ("nv12", ((5, 7), (3, 4, 2))),
        ("yuv422p", ((5, 7), (5, 4), (5, 4))),
        ("yuv444p10le", ((5, 7), (5, 7), (5, 7))),
        ("p010le", ((5, 7), (3, 4, 2))),
        ("gray", ((5, 7),)),
        ("rgb24", ((5, 7, 3),)),
    ],
)
def test_odd_sizes_round_chroma_up(format: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    assert PIXEL_FORMATS[format].shapes(5, 7) == shapes


def test_table_holds_what_the_decoder_gives() -> None:
    assert set(PIXEL_FORMATS) == {
        "yuv420p", "nv12", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "p010le", "gray", "rgb24"
    }  # fmt: skip
    assert all(isinstance(layout, PlaneLayout) and layout.name == name for name, layout in PIXEL_FORMATS.items())
    assert PIXEL_FORMATS["p010le"].bits == 10
    assert PIXEL_FORMATS["yuv422p"].chroma_shift == (1, 0)


def broken(kind: str) -> tuple[object, ...]:
    y, u, v = random_planes("yuv420p", 6, 8)
    return {
        "count": (y, u),
        "none": (),
        "dtype": (y, u.astype(np.uint16), v),
        "shape": (y, u, v[:2]),
        "first": (y[:, :, None], u, v),
        "empty": (y[:0], u[:0], v[:0]),
        "stride": (y, np.zeros((3, 8), np.uint8)[:, ::2], v),
        "device": (y, DeviceMemory(), v),
        "list": (y, [[1]], v),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("count", r"yuv420p: expected 3 planes, got 2"),
        ("none", r"yuv420p: the first plane must be uint8 \[H, W\] and not empty, got no planes"),
        ("dtype", r"yuv420p: plane 1 must be uint8 \[3, 4\] for a picture of 8x6, got uint16 \[3, 4\]"),
        ("shape", r"yuv420p: plane 2 must be uint8 \[3, 4\] for a picture of 8x6, got uint8 \[2, 4\]"),
        ("first", r"the first plane must be uint8 \[H, W\] and not empty, got uint8 \[6, 8, 1\]"),
        ("empty", r"the first plane must be uint8 \[H, W\] and not empty, got uint8 \[0, 8\]"),
        ("stride", r"must be adjacent in plane 1, got strides \(8, 2\); copy it with numpy.ascontiguousarray"),
        ("device", r"plane 1 must be a NumPy array in host memory, got DeviceMemory; copy it to the host first"),
        ("list", r"plane 1 must be a NumPy array, got list"),
    ],
)
def test_refuses_with_the_reason(kind: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PIXEL_FORMATS["yuv420p"].check(broken(kind))  # type: ignore[arg-type]

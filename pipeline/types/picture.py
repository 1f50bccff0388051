"""A picture as the decoder gave it: planes plus what is needed to read them as colours."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from ...kernels import PIXEL_FORMATS, to_rgb
from ...kernels.device import HOST, Device, Tensor, device_of, to_device

Size = tuple[int, int]
"""Height and width in pixels."""

Matrix = Literal["bt601", "bt709", "bt2020", "rgb"]
UNMARKED = 2
"""The code point of ITU-T H.273 by which a source leaves a property of its colours open."""
HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
"""Names of the transfer characteristics of high dynamic range, by code point."""


@dataclass(frozen=True, slots=True)
class ColorTags:
    """What a source says of its colours, for those who write them again; nothing here changes a sample.

    Attributes:
        primaries, transfer, matrix: code points of ITU-T H.273.
        mastering: of the display on which it was graded: x and y of green, blue, red and white in steps of
            0.00002, then the most and the least luminance in 0.0001 cd/m2; empty where it is not known.
        light_level: the most light of a pixel and of a frame on average, in cd/m2; empty where it is not known.
        icc_profile: of a picture file, for RGB; empty where it has none.
    """

    primaries: int = UNMARKED
    transfer: int = UNMARKED
    matrix: int = UNMARKED
    mastering: tuple[int, ...] = ()
    light_level: tuple[int, ...] = ()
    icc_profile: bytes = field(default=b"", repr=False)

    @property
    def wide(self) -> bool:
        """Whether colours look wrong to who takes them for those of sRGB and BT.709."""
        return self.transfer in HDR_TRANSFERS or self.primaries in _WIDE_PRIMARIES


_WIDE_PRIMARIES = (9, 11, 12)  # BT.2020, DCI-P3, Display P3


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One decoded picture, the right way up, in the decoder's own pixel format.

    Attributes:
        format: a name of ``kernels.PIXEL_FORMATS``: ``yuv420p``, ``nv12``, ``yuv422p``, ``yuv444p``,
            their ``…10le`` forms, ``gray`` or ``rgb24``.
        planes: read-only arrays, uint8 or (more than 8 bits) uint16; ``[h, w]`` each, for ``nv12``
            ``[h, w]`` and ``[h / 2, w / 2, 2]``, for ``rgb24`` one of ``[h, w, 3]``. Rows may be
            padded (strided views of the decoder's memory). All lie in host memory or on one device.
        matrix: the YUV matrix; ``rgb`` for ``rgb24``.
        matrix_assumed: the source does not name its matrix; what encodes the picture does not either.
        full_range: luma 0..255 rather than 16..235.
        rotation: degrees clockwise by which the source's metadata said to turn it for display;
            the planes are already turned.
        interlaced: the source marked the picture as interlaced (it is not deinterlaced).
        sample_aspect: width of a pixel over its height; 1 for square pixels.
        tags: how the source names its colours.

    Raises:
        ValueError: unknown format, or planes whose count, shape or dtype do not fit it.
    """

    format: str
    planes: tuple[Tensor, ...]
    matrix: Matrix = "bt709"
    full_range: bool = False
    rotation: int = 0
    interlaced: bool = False
    sample_aspect: Fraction = Fraction(1)
    matrix_assumed: bool = False
    tags: ColorTags = ColorTags()
    _rgb: list[NDArray[np.uint8]] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        layout = PIXEL_FORMATS.get(self.format)
        if layout is None:
            raise ValueError(f"unknown pixel format {self.format!r}; known: {', '.join(PIXEL_FORMATS)}")
        layout.check(self.planes)
        for plane in self.planes:
            if isinstance(plane, np.ndarray):
                plane.flags.writeable = False

    @classmethod
    def from_rgb(cls, rgb: NDArray[np.uint8]) -> Picture:
        """Wrap an RGB array, uint8 ``[H, W, 3]``, without a copy (a read-only view of it)."""
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
            raise ValueError(f"an RGB picture must be uint8 [H, W, 3], got {rgb.dtype} {list(rgb.shape)}")
        return cls("rgb24", (rgb.view(),), matrix="rgb", full_range=True)

    @property
    def device(self) -> Device:
        """Where the planes lie."""
        return device_of(self.planes[0])

    @property
    def host_planes(self) -> tuple[NDArray[Any], ...]:
        """The planes, for who reads or writes them in host memory.

        Raises:
            ValueError: they lie elsewhere.
        """
        if self.device != HOST:
            raise ValueError(f"the picture lies on {self.device}, not in host memory; copy it with .on(HOST)")
        return cast("tuple[NDArray[Any], ...]", self.planes)

    def on(self, device: Device) -> Picture:
        """The picture with its planes on ``device``: itself where they lie there, else a copy.

        Raises:
            ValueError: nothing moves arrays to or from one of the devices.
        """
        if device == self.device:
            return self
        return replace(self, planes=tuple(to_device(plane, device) for plane in self.planes))

    @property
    def height(self) -> int:
        """Rows, in displayed pixels."""
        return int(self.planes[0].shape[0])

    @property
    def width(self) -> int:
        """Columns, in displayed pixels."""
        return int(self.planes[0].shape[1])

    def rgb(self) -> NDArray[np.uint8]:
        """The picture as RGB in host memory, uint8 ``[H, W, 3]``, read-only; converted once and kept."""
        if not self._rgb:
            planes = self.on(HOST).host_planes
            rgb = to_rgb(planes, self.format, matrix=self.matrix, full_range=self.full_range)
            rgb.flags.writeable = False
            self._rgb.append(rgb)
        return self._rgb[0]

"""Gray and RGB of more than 8 bits, rounded to 8: swscale is one off, and not the same in all three colours."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_PACKED = {"gray": (0,), "ya": (0,), "rgb": (0, 1, 2), "bgr": (2, 1, 0), "rgba": (0, 1, 2), "bgra": (2, 1, 0)}
"""Where the samples that are kept stand in a pixel."""


def _formats() -> dict[str, tuple[int, tuple[int, ...]]]:
    found: dict[str, tuple[int, tuple[int, ...]]] = {}
    for order in ("le", "be"):
        found |= {f"gray{bits}{order}": (bits, _PACKED["gray"]) for bits in (9, 10, 12, 14, 16)}
        found |= {f"{name}{bits}{order}": (16, _PACKED[name]) for name, bits in _WORDS.items()}
        found |= {f"gbrp{bits}{order}": (bits, ()) for bits in (9, 10, 12, 14, 16)}
        found |= {f"gbrap{bits}{order}": (bits, ()) for bits in (10, 12, 14, 16)}
    return found


_WORDS = {"ya": 16, "rgb": 48, "bgr": 48, "rgba": 64, "bgra": 64}  # names count the bits of a pixel, but for gray
DEEP_FORMATS = _formats()
"""FFmpeg's name -> bits of a sample, and the places of gray or red, green, blue in a pixel; none: a plane each."""


def to_8_bits(frame: VideoFrame, *, full_range: bool) -> NDArray[np.uint8]:
    """The picture of a frame of one of :data:`DEEP_FORMATS`: uint8 [H, W] of gray, [H, W, 3] of RGB."""
    bits, places = DEEP_FORMATS[frame.format.name]
    rgb = frame.format.is_rgb
    table = nearest_8_bits(bits, full_range or rgb)
    height, width = frame.height, frame.width
    target = np.empty((height, width, 3) if rgb else (height, width), np.uint8)
    if not places:
        for channel, component in enumerate(frame.format.components[:3]):
            target[..., channel] = table.take(_samples(frame, component.plane)[:, :width], mode="clip")
        return target
    pixels = _samples(frame, 0)[:, : width * len(frame.format.components)].reshape(height, width, -1)
    for channel, place in enumerate(places):
        out = target[..., channel] if rgb else target
        out[...] = table.take(pixels[..., place], mode="clip")
    return target


def _samples(frame: VideoFrame, index: int) -> NDArray[Any]:
    """The samples of a plane, in rows from top to bottom; rows may be padded."""
    plane = frame.planes[index]
    dtype = ">u2" if frame.format.is_big_endian else "<u2"
    rows: NDArray[Any] = np.frombuffer(memoryview(plane), dtype).reshape(plane.height, -1)
    return rows[::-1] if plane.line_size < 0 else rows


@lru_cache(maxsize=16)
def nearest_8_bits(bits: int, full_range: bool) -> NDArray[np.uint8]:
    """uint8 [2 ** bits], the nearest 8-bit sample of each: the whole range becomes 0..255, or 16 << n becomes 16."""
    count = 1 << bits
    values = np.arange(count) * (255 / (count - 1) if full_range else 256 / count)
    nearest: NDArray[np.uint8] = np.minimum(np.floor(values + 0.5), 255).astype(np.uint8)
    return nearest

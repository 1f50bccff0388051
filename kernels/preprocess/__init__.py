"""From the decoder's planes to a network's input in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..arrays import output
from ..device import HOST, Tensor
from ..pixel_formats import layout_of, matrix_weights
from ..scalars import flag, numbers, picture_size, shown, wholes
from ..twins import twin

__all__ = ("preprocess",)

_OWNER = "preprocess"
_ELEMENTS = (np.dtype(np.float32), np.dtype(np.float16), np.dtype(np.uint8))


def preprocess(
    planes: Sequence[Tensor],
    format: str,
    *,
    matrix: str,
    full_range: bool,
    size: tuple[int, int],
    scale: tuple[float, float],
    offset: tuple[float, float],
    mean: Sequence[float],
    std: Sequence[float],
    bgr: bool = False,
    pad: Sequence[float] = (0.0, 0.0, 0.0),
    content: tuple[int, int, int, int] | None = None,
    torch_resize: bool = False,
    dtype: str | type[np.generic] | np.dtype[Any] = "float32",
    layout: str = "nchw",
    out: Tensor | None = None,
) -> NDArray[Any]:
    """Resize (or letterbox, or crop), convert to RGB, normalise: one pass, nothing rounded in between.

    Output pixel (i, j) samples the frame at x = scale_x * (j + 0.5) + offset_x, y likewise, in
    continuous frame pixels. Sampling is bilinear without antialiasing, as OpenCV's ``INTER_LINEAR``;
    beyond the outermost sample centres the edge holds. Luma and chroma are sampled each at their own
    sites (chroma: left pixel of its pair; in 4:2:0 half-way between its two rows), then converted and
    clamped to 0..255. The value written is (v - mean) / std.

    Args:
        planes: the planes of ``format`` (see ``PIXEL_FORMATS``); rows may be padded, sizes odd.
        format: a name of ``PIXEL_FORMATS``.
        matrix: ``bt601``, ``bt709`` or ``bt2020``; for ``gray`` and ``rgb24`` also ``rgb``, and unused.
        full_range: samples use 0..255 (or 0..1023) rather than 16..235; unused for ``rgb24``.
        size: (h, w) of the output, pixels.
        scale: (x, y), frame pixels per output pixel; positive.
        offset: (x, y), frame position of the output's top left corner, frame pixels.
        mean: three numbers in 0..255 units, in the OUTPUT's channel order.
        std: three numbers, in the OUTPUT's channel order; not zero.
        bgr: write the channels as B, G, R.
        pad: colour outside ``content``, (r, g, b) in 0..255; it is normalised like any other.
        content: (y1, x1, y2, x2) in output pixels; None for the whole output.
        torch_resize: compute where to sample in float32, as PyTorch does, rather than in double: less exact
            (about 1e-5 pixels in a frame of 1000), for networks that are compared with PyTorch to that degree.
        dtype: ``float32``; ``float16``, rounded to nearest, half to even (beyond 65504: infinity); or ``uint8``,
            rounded likewise and held in 0..255, for which a mean of 0 and a deviation of 1 are meant.
        layout: ``nchw``, or ``nhwc`` for ``[1, h, w, 3]``.
        out: C-contiguous array of this dtype and layout to write to instead of a new one.

    Returns:
        ``dtype`` ``[1, 3, h, w]`` or ``[1, h, w, 3]``: ``out``, or a new array.

    Raises:
        ValueError: unknown format, matrix, dtype or layout; planes, ``out`` or numbers that do not fit;
            ``out`` shares memory with a plane.

    Source: OpenCV ``resize`` with ``INTER_LINEAR`` for the sampling, PyTorch ``interpolate`` for
    ``torch_resize``; ITU-R BT.601-7, BT.709-6, BT.2020-2 for the colours.
    """
    samples, held, device = layout_of(_OWNER, format, planes)
    weights = matrix_weights(_OWNER, samples, matrix)
    height, width = picture_size(_OWNER, "size", size)
    scales, offsets = numbers(_OWNER, "scale", scale, 2), numbers(_OWNER, "offset", offset, 2)
    if not (scales[0] > 0 and scales[1] > 0):
        raise ValueError(f"{_OWNER}: scale must be positive, got {shown(scale)}")
    means, stds, padding = (
        numbers(_OWNER, what, given, 3) for what, given in (("mean", mean), ("std", std), ("pad", pad))
    )
    if 0.0 in stds:
        raise ValueError(f"{_OWNER}: std must not be zero, got {shown(std)}")
    element, inside = _element(dtype), _content(content, height, width)
    full_range, bgr = flag(_OWNER, "full_range", full_range), flag(_OWNER, "bgr", bgr)
    torch_resize = flag(_OWNER, "torch_resize", torch_resize)
    if not isinstance(layout, str) or layout not in ("nchw", "nhwc"):
        raise ValueError(f"{_OWNER}: layout must be 'nchw' or 'nhwc', got {shown(layout)}")
    shape = (1, 3, height, width) if layout == "nchw" else (1, height, width, 3)
    result: NDArray[Any] = output(_OWNER, out, _ELEMENTS[element].type, shape, held, device)
    if device is not HOST:
        return twin(preprocess, device)(
            held, format, matrix=matrix, full_range=full_range, size=(height, width), scale=tuple(scales),
            offset=tuple(offsets), mean=means, std=stds, bgr=bgr, pad=padding, content=inside,
            torch_resize=torch_resize, dtype=_ELEMENTS[element], layout=layout, out=result,
        )  # fmt: skip
    _native.preprocess(
        held, samples.native, weights, full_range, (height, width), inside, (*scales, *offsets), means, stds, padding,
        bgr, torch_resize, element, layout == "nhwc", result,
    )  # fmt: skip
    return result


def _element(dtype: Any) -> int:
    """Which of ``_ELEMENTS``, in the order of the compiled module."""
    try:
        element = np.dtype(dtype)
    except Exception:  # NumPy asks whatever it is given for its name, too
        element = None
    if element not in _ELEMENTS:
        got = shown(dtype) if element is None else element
        raise ValueError(f"{_OWNER}: dtype must be float32, float16 or uint8, got {got}")
    return _ELEMENTS.index(element)


def _content(content: tuple[int, int, int, int] | None, height: int, width: int) -> tuple[int, int, int, int]:
    if content is None:
        return (0, 0, height, width)
    rule = f"must be (y1, x1, y2, x2) inside the output of {height} rows and {width} columns"
    y1, x1, y2, x2 = wholes(_OWNER, "content", content, rule, 4)
    if not (0 <= y1 <= y2 <= height and 0 <= x1 <= x2 <= width):
        raise ValueError(f"{_OWNER}: content {rule}, got {shown(content)}")
    return (y1, x1, y2, x2)

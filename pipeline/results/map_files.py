"""Arrays of a frame in files of their own beside the results: written, and read within bounds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

_HEADER_BYTES = 4096
_PNG_ERRORS = (OSError, SyntaxError, ValueError, EOFError, TypeError, IndexError, KeyError, RuntimeError, Warning)
"""What Pillow raises of damaged files."""


def save_floats(path: Path, values: NDArray[np.float32]) -> None:
    """Write float32 [H, W] as a NumPy file, little-endian.

    Raises:
        OSError: it cannot be written.
    """
    with path.open("wb") as file:
        npy.write_array(file, np.ascontiguousarray(values, "<f4"), version=(1, 0), allow_pickle=False)


def load_floats(path: Path, size: tuple[int, int]) -> NDArray[np.float32]:
    """What :func:`save_floats` wrote of a frame of (height, width) ``size``; nothing larger is read.

    Raises:
        ValueError: there is no such file, or it is another.
    """
    try:
        with path.open("rb") as file:
            if npy.read_magic(file) != (1, 0):
                raise ValueError("it is no NumPy file of version 1.0")
            shape, fortran, dtype = npy.read_array_header_1_0(file, max_header_size=_HEADER_BYTES)
            if shape != size or fortran or dtype != np.dtype("<f4"):
                raise ValueError(f"it must be float32 {list(size)}, got {dtype} {list(shape)}")
            length = 4 * size[0] * size[1]
            data = file.read(length + 1)
            if len(data) != length:
                raise ValueError("it was cut off" if len(data) < length else "it is too long")
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from error
    return np.frombuffer(data, "<f4").astype(np.float32, copy=False).reshape(size)


def save_gray(path: Path, values: NDArray[np.uint8]) -> None:
    """Write uint8 [H, W] as a PNG file.

    Raises:
        OSError: it cannot be written.
    """
    from PIL import Image

    with path.open("wb") as file:
        Image.fromarray(values).save(file, format="PNG", compress_level=1)


def load_gray(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """What :func:`save_gray` wrote of a frame of (height, width) ``size``; nothing larger is decoded.

    Raises:
        ValueError: there is no such file, or it is another.
    """
    from PIL import Image

    try:
        with path.open("rb") as file, Image.open(file, formats=["PNG"]) as image:
            if image.mode != "L" or (image.height, image.width) != size:
                raise ValueError(f"it must be gray {size[1]}x{size[0]}, got {image.mode} {image.width}x{image.height}")
            values: NDArray[np.uint8] = np.array(image)
    except _PNG_ERRORS as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"cannot read {path}: {' '.join(str(reason)[:200].split())}") from error
    return values

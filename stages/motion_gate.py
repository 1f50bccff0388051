"""Whether anything moved since the network last ran: only then is there something new for it to see."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..kernels import changed_blocks, luma_means
from ..kernels.device import to_host
from ..pipeline.errors import SourceError, UsageError
from ..pipeline.packet import Frame
from ..pipeline.types.picture import Size

Mask = str | os.PathLike[str] | NDArray[np.bool_]
"""Of the size of a frame, or of any other: an image file, ignored where it is white, or bool [h, w]."""

SMALLEST_BLOCK_PX, LARGEST_BLOCK_PX = 8, 256
LONGEST_GRID = 160
STILL_S = 2.0
"""The network runs at least so often where nothing moves."""
SETTLED_S = 0.4
"""The network runs once more so long after the last movement: on what has come to rest, in a sharp picture."""
_EARLY_S = 0.001  # timestamps are rounded


@dataclass(frozen=True, slots=True, eq=False)
class LastRun:
    """What is known of the frame on which the network last ran.

    Attributes:
        means: uint16 [rows, columns], the brightness of its blocks.
        counted: bool [rows, columns]: not ignored.
        pts_ns: its time.
        moved: whether it ran because something moved.
    """

    means: NDArray[np.uint16]
    counted: NDArray[np.bool_]
    pts_ns: int
    moved: bool


class MotionGate:
    """Compares each frame with the last one on which the network ran, so what moves slowly is seen too.

    A frame is 160 blocks long at most, of 8 pixels or more. The network runs where three of nine neighbouring blocks
    have changed in brightness beyond light, noise and a slight shift of the camera
    (:func:`vidgraph.kernels.changed_blocks`), on the first frame, once more 0.4 seconds after the last movement, and
    every 2 seconds of the video in any case.

    Args:
        ignore: areas in which movement does not count, of all streams or by their names. A block is ignored where the
            middle of it is.

    Raises:
        UsageError: a mask is no image, or not of bool [h, w].
    """

    def __init__(self, ignore: Mask | Mapping[str, Mask] | None = None) -> None:
        self._of_all = None if ignore is None or isinstance(ignore, Mapping) else _read_mask(ignore)
        by_stream = ignore if isinstance(ignore, Mapping) else {}
        self._by_stream = {name: _read_mask(mask) for name, mask in by_stream.items()}
        given = by_stream.values() if isinstance(ignore, Mapping) else [ignore]
        self.files: list[Path] = [Path(mask) for mask in given if isinstance(mask, str | os.PathLike)]

    def check_streams(self, names: Iterable[str]) -> None:
        """Refuse masks of streams that there are not.

        Raises:
            UsageError: with the streams that there are.
        """
        known = list(names)
        for name in self._by_stream:
            if name not in known:
                raise UsageError(
                    f"ignore_motion names the stream {name!r}, which is not in the run: {', '.join(known)}"
                )

    @property
    def ignored(self) -> str | dict[str, str] | None:
        """The masks as the header of results names them: by a hash of what they ignore."""
        if self._of_all is not None:
            return _digest(self._of_all)
        return {name: _digest(mask) for name, mask in self._by_stream.items()} or None

    def look(self, frame: Frame, last: LastRun | None) -> LastRun | None:
        """Whether the network is to run on a frame, and then what is known of it; None where it is not.

        Args:
            last: of the same stream and epoch; None before its first run.
        """
        picture = frame.picture
        longest = -(-max(picture.height, picture.width) // LONGEST_GRID)
        block = min(max(SMALLEST_BLOCK_PX, longest), LARGEST_BLOCK_PX)
        means = to_host(luma_means(picture.planes, picture.format, block=block))  # where the picture lies
        if last is None or last.means.shape != means.shape:
            size = (picture.height, picture.width)
            return LastRun(means, self._counted(frame.stream_id, size, block, means.shape), frame.pts_ns, moved=True)
        if changed_blocks(means, last.means, last.counted).any():
            return LastRun(means, last.counted, frame.pts_ns, moved=True)
        due_s = SETTLED_S if last.moved else STILL_S
        if (frame.pts_ns - last.pts_ns) / 1e9 < due_s - _EARLY_S:
            return None
        return LastRun(means, last.counted, frame.pts_ns, moved=False)

    def _counted(self, stream_id: str, size: Size, block: int, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        mask = self._by_stream.get(stream_id, self._of_all)
        if mask is None:
            return np.ones(shape, np.bool_)
        middles = [
            np.minimum((np.arange(count) + 0.5) * block, side - 1) for count, side in zip(shape, size, strict=True)
        ]
        y, x = (
            (middle * length / side).astype(int)
            for middle, length, side in zip(middles, mask.shape, size, strict=True)
        )  # fmt: skip
        return np.ascontiguousarray(~mask[np.ix_(y, x)])


def _read_mask(mask: Mask) -> NDArray[np.bool_]:
    from .sources.images import read_image

    if isinstance(mask, str | os.PathLike):
        try:
            read: NDArray[np.bool_] = read_image(Path(mask)).rgb()[:, :, 1] >= 128
        except SourceError as error:
            raise UsageError(
                f"ignore_motion must name an image, white where movement does not count: {error}"
            ) from error
        return read
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.ndim != 2 or not mask.size:
        got = f"{mask.dtype} {list(mask.shape)}" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise UsageError(f"ignore_motion must be an image file or a bool array [h, w], got {got}")
    return mask


def _digest(mask: NDArray[np.bool_]) -> str:
    text = f"{mask.shape[1]}x{mask.shape[0]}"
    return f"{text} {hashlib.sha256(text.encode() + np.packbits(mask).tobytes()).hexdigest()[:16]}"

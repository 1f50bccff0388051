"""Annotated pictures as numbered image files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..pipeline.claims import Claims
from ..pipeline.packet import Key, Packet
from ..pipeline.picture import Picture
from ..pipeline.stage import EndReason
from .draw import ANNOTATED
from .numbered_files import NumberedFiles
from .outputs import shown_picture

_OPTIONS: dict[str, dict[str, Any]] = {
    ".png": {"format": "PNG", "compress_level": 1},  # 4 times as fast as the default, 15 % larger
    ".jpg": {"format": "JPEG", "quality": 92},
    ".jpeg": {"format": "JPEG", "quality": 92},
}


class WriteImages:
    """Writes every frame that has pixels, failed ones undrawn, into a file named after its number in the stream.

    A file appears under its name when it is whole.

    Args:
        patterns: the file names of each stream, with one ``%d`` or ``%06d``; .png, .jpg or .jpeg.
        picture: the key of what to write; None: the frames as they came.
        overwrite: remove the files of an earlier run that fit the pattern.
        claims: of the run; None: its own.
    """

    name = "write_images"

    def __init__(
        self,
        patterns: Mapping[str, Path],
        *,
        picture: Key[Picture] | None = ANNOTATED,
        overwrite: bool = False,
        claims: Claims | None = None,
    ) -> None:
        self._files = NumberedFiles(patterns, overwrite=overwrite, what="pictures", claims=claims)
        self._key = picture
        self.reads: frozenset[Key[Any]] = frozenset() if picture is None else frozenset({picture})

    @property
    def patterns(self) -> Mapping[str, Path]:
        """The file names of each stream."""
        return self._files.patterns

    def open(self) -> None:
        """Make the folders, and room in them.

        Raises:
            OutputError: a folder cannot be written, or another process writes such files into it.
        """
        self._files.open()

    def write(self, packet: Packet) -> None:
        """Write one picture.

        Raises:
            OutputError: the disk is full, …
        """
        from PIL import Image

        picture = shown_picture(packet, self._key)
        if picture is None:
            return
        image = Image.fromarray(picture.rgb())
        self._files.write(packet.frame, lambda path: image.save(path, **_OPTIONS[self._suffix(packet)]))

    def _suffix(self, packet: Packet) -> str:
        return self._files.pattern(packet.frame).suffix.lower()

    def end_stream(self, stream_id: str, reason: EndReason) -> None: ...

    def close(self) -> None:
        """Let others write such files."""
        self._files.close()

"""Annotated pictures as numbered image files."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...pipeline.claims import Claims
from ...pipeline.packet import Key, Packet
from ...pipeline.stage import Sink
from ...pipeline.types.picture import HDR_TRANSFERS, Picture
from ..drawing.draw import ANNOTATED
from .addresses import shown_picture
from .named_files import Names
from .numbered_files import NumberedSink
from .settings import SinkSettings

log = logging.getLogger("vidgraph")

_OPTIONS: dict[str, dict[str, Any]] = {
    ".png": {"format": "PNG", "compress_level": 1},  # 4 times as fast as the default, 15 % larger
    ".jpg": {"format": "JPEG", "quality": 92},
    ".jpeg": {"format": "JPEG", "quality": 92},
}


class WriteImages(NumberedSink):
    """Writes every frame that has pixels, failed ones undrawn, into a file named after its number, or its picture.

    The colour profile of a picture file is kept; of a video with colours other than those of sRGB a PNG says which
    they are. A file appears under its name when it is whole.

    Args:
        patterns: the file names of each stream, with one ``%d`` or ``%06d``, or ``{name}``; .png, .jpg or .jpeg.
        picture: the key of what to write; None: the frames as they came.
        overwrite: remove the files of an earlier run that fit the pattern.
        names: what ``{name}`` is, by stream and frame number.
        claims: of the run; None: its own.
    """

    name = "write_images"
    what = "pictures"

    def __init__(
        self,
        patterns: Mapping[str, Path],
        *,
        picture: Key[Picture] | None = ANNOTATED,
        overwrite: bool = False,
        names: Names | None = None,
        claims: Claims | None = None,
    ) -> None:
        super().__init__(patterns, overwrite=overwrite, names=names, claims=claims)
        self._said_colors: set[str] = set()
        self._key = picture
        self.reads: frozenset[Key[Any]] = frozenset() if picture is None else frozenset({picture})

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
        options = _OPTIONS[self._suffix(packet)]
        if picture.tags.icc_profile:
            options = {**options, "icc_profile": picture.tags.icc_profile}
        elif picture.tags.wide:
            options = {**options, **self._colors(packet, picture)}
        self._save(packet.frame, lambda path: image.save(path, **options))

    def _colors(self, packet: Packet, picture: Picture) -> dict[str, Any]:
        """What a PNG says of colours that are not those of sRGB; of a JPEG, which cannot say it, it is said here."""
        from PIL.PngImagePlugin import PngInfo

        if self._suffix(packet) == ".png":
            about = PngInfo()
            # Source: PNG third edition, 11.3.2.6: primaries, transfer, matrix (0: RGB), full range
            about.add(b"cICP", bytes([picture.tags.primaries, picture.tags.transfer, 0, 1]))
            return {"pnginfo": about}
        if packet.frame.stream_id not in self._said_colors:
            self._said_colors.add(packet.frame.stream_id)
            name = HDR_TRANSFERS.get(picture.tags.transfer)
            log.warning(
                "%s: its colours are %s; a JPEG cannot say so, and they will look flat: write .png, or a video",
                packet.frame.stream_id, f"HDR ({name})" if name else "of a wide gamut",
            )  # fmt: skip
        return {}

    def _suffix(self, packet: Packet) -> str:
        return self._pattern(packet.frame).suffix.lower()


def open_images(address: str, paths: dict[str, Path], settings: SinkSettings) -> Sink:
    """A picture for each frame; see :class:`~.kinds.SinkKind`."""
    return WriteImages(
        paths,
        picture=settings.picture,
        overwrite=settings.overwrite,
        names=settings.names.get(address),
        claims=settings.claims,
    )

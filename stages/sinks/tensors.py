"""A network's raw outputs as NumPy files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from ...pipeline.claims import Claims
from ...pipeline.packet import HELD_FROM, TENSORS, Key, Packet
from ...pipeline.stage import Sink
from ...pipeline.types.tensors import Tensors
from .named_files import Names
from .numbered_files import NumberedSink
from .settings import SinkSettings

INPUT_SIZE, AFFINE = "vidgraph.input_size", "vidgraph.affine"
"""What a file holds besides the network's outputs: int64 [2], height and width of the network's input; float64 [2, 2],
``frame = scale * input + offset`` as rows (scale, offset) of (x, y)."""


class WriteTensors(NumberedSink):
    """Writes the tensors of every frame on which the network ran into an ``.npz`` file named after its number.

    Frames that were dropped, or that hold the result of another, have no file. A file appears under its
    name when it is whole; the same tensors make the same bytes.

    Args:
        patterns: the file names of each stream, with one ``%d`` or ``%06d``, or ``{name}``; without one for a single
            frame.
        key: where the tensors are.
        overwrite: remove the files of an earlier run that fit the pattern.
        names: what ``{name}`` is, by stream and frame number.
        claims: of the run; None: its own.
    """

    name = "write_tensors"
    what = "tensors"

    def __init__(
        self,
        patterns: Mapping[str, Path],
        *,
        key: Key[Tensors] = TENSORS,
        overwrite: bool = False,
        names: Names | None = None,
        claims: Claims | None = None,
    ) -> None:
        super().__init__(patterns, overwrite=overwrite, names=names, claims=claims)
        self._key = key
        self.reads: frozenset[Key[Any]] = frozenset({key})

    def write(self, packet: Packet) -> None:
        """Write the tensors of one frame.

        Raises:
            OutputError: the disk is full, …
        """
        tensors = packet.get(self._key)
        if tensors is None or HELD_FROM in packet:
            return
        affine = np.array([tensors.affine.scale, tensors.affine.offset], np.float64)
        about = {INPUT_SIZE: np.array(tensors.input_size, np.int64), AFFINE: affine}
        self._save(packet.frame, lambda path: save_npz(path, {**tensors.arrays, **about}))


def save_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays of any names for ``numpy.load``; ``numpy.savez`` cannot write all (``file``), and adds the date.

    Raises:
        OSError: it cannot be written.
    """
    with ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def open_tensors(address: str, paths: dict[str, Path], settings: SinkSettings) -> Sink:
    """A file of tensors for each frame; see :class:`~.kinds.SinkKind`."""
    key = next((found for one in settings.keys if (found := one.get(TENSORS))), TENSORS)
    return WriteTensors(
        paths, key=key, overwrite=settings.overwrite, names=settings.names.get(address), claims=settings.claims
    )

"""WIDER FACE's easy, medium and hard faces of the validation set, as its authors give them.

Source: ``wider_face_val.mat`` with ``wider_{easy,medium,hard}_val.mat`` of the authors' evaluation tools.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...pipeline.errors import SourceError, UsageError, import_extra

NAMES = ("easy", "medium", "hard")


@dataclass(frozen=True, slots=True, eq=False)
class WiderSubsets:
    """Faces of every image: boxes float32 [M, 4] and bool [M, 3], whether each counts in each subset."""

    images: dict[str, tuple[NDArray[np.float32], NDArray[np.bool_]]]
    names: tuple[str, ...] = NAMES

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> WiderSubsets:
        """Read the four files.

        Raises:
            SourceError: one is missing or is something else.
            MissingExtraError: SciPy is not installed.
        """
        root = Path(folder)
        faces = _load(root / "wider_face_val.mat")
        keeps = [_load(root / f"wider_{name}_val.mat") for name in NAMES]
        try:
            return cls(dict(_images(faces, keeps)))
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise SourceError(f"the files of {root} are not those of WIDER FACE's evaluation: {error}") from error

    def of(self, clip: str) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """The faces of the image that a clip stands for.

        Raises:
            UsageError: it is none of the validation set.
        """
        stem = PurePosixPath(clip).stem
        found = self.images.get(stem, self.images.get(PurePosixPath(clip).name))
        if found is None:
            raise UsageError(f"{clip} is no image of WIDER FACE's validation set; leave the subsets out")
        return found


def _images(faces: dict[str, Any], keeps: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    """Name, boxes and subsets of every image; events, images and faces are nested cells."""
    images = []
    for event in range(len(faces["file_list"])):
        names, boxes = faces["file_list"][event][0], faces["face_bbx_list"][event][0]
        for image in range(len(names)):
            found = np.asarray(boxes[image][0], np.float32).reshape(-1, 4)
            corners = np.concatenate([found[:, :2], found[:, :2] + found[:, 2:]], axis=1)
            counts = np.zeros((len(found), len(NAMES)), np.bool_)
            for column, keep in enumerate(keeps):
                numbers = np.asarray(keep["gt_list"][event][0][image][0], np.int64).reshape(-1)
                counts[numbers - 1, column] = True
            images.append((str(np.asarray(names[image][0]).reshape(-1)[0]), (corners, counts)))
    return images


def _load(path: Path) -> dict[str, Any]:
    io = import_extra("scipy.io", "reading WIDER FACE's subsets", "eval")
    try:
        loaded: dict[str, Any] = io.loadmat(path)
    except (OSError, ValueError, NotImplementedError) as error:
        raise SourceError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    return loaded

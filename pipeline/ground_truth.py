"""What is known about a frame for certain: for training, and to judge results by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .packet import Key
from .types.detections import Detections, check_array
from .types.landmarks import Landmarks
from .types.panoptic import PanopticMap


@dataclass(frozen=True, slots=True, eq=False)
class GroundTruth:
    """Everything that a data set says about one frame.

    Attributes:
        objects: the things, with score 1; ``masks`` and ``track_ids`` where the data set has them.
        ignored: bool [N], objects that neither count as missed nor as found (COCO's ``iscrowd``).
        hidden: float32 [N], the part of each object within the frame that others cover, in [0, 1]; -1 unknown.
        panoptic: a segment for every pixel, or None.
        bodies: body joints, or None. Scores are COCO's visibility halved: 1 seen, 0.5 hidden, 0 not known.
        faces: face points with the faces' boxes, or None; scores as for ``bodies``.
        faces_ignored: bool [F], faces that do not count (too small, turned away); None with ``faces``.
        flow: float32 [H, W, 2], (x, y) pixels from a pixel to where it was in the previous frame; None where
            there is none, NaN where the pixel was not seen.

    Raises:
        ValueError: a dtype or shape does not fit the above.
    """

    objects: Detections
    ignored: NDArray[np.bool_]
    hidden: NDArray[np.float32]
    panoptic: PanopticMap | None = None
    bodies: Landmarks | None = None
    faces: Landmarks | None = None
    faces_ignored: NDArray[np.bool_] | None = None
    flow: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        count = len(self.objects)
        check_array("GroundTruth", "ignored", self.ignored, np.bool_, (count,))
        check_array("GroundTruth", "hidden", self.hidden, np.float32, (count,))
        if (self.faces is None) != (self.faces_ignored is None):
            raise ValueError("GroundTruth.faces and GroundTruth.faces_ignored are given together or not at all")
        if self.faces is not None:
            check_array("GroundTruth", "faces_ignored", self.faces_ignored, np.bool_, (len(self.faces),))

    @classmethod
    def of(cls, objects: Detections) -> GroundTruth:
        """Objects that all count, and nothing else."""
        return cls(objects, np.zeros(len(objects), np.bool_), np.full(len(objects), -1, np.float32))


TRUTH: Key[GroundTruth] = Key("truth", GroundTruth)

MPII_JOINTS = (
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "pelvis", "thorax",
    "upper_neck", "head_top", "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow",
    "left_wrist",
)  # fmt: skip
"""The 16 joints in MPII's order; right and left are the person's own."""

FACE_POINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
"""The five points of a face, left and right as seen in the picture (RetinaFace's order)."""

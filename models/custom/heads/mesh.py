"""Points of one thing that fills the picture, beside how sure it is that it is there: MediaPipe's faces and bodies.

A point is x, y and z in pixels of the input (z is not kept), and perhaps how sure it is that the point is not hidden
and lies in the picture, as logits.

Source: MediaPipe's graphs of its face and pose landmark models; Bazarevsky et al., BlazePose, 2020.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....engines.spec import TensorSpec
from ....pipeline.packet import LANDMARKS
from ....pipeline.types.picture import Size
from ....stages.inference.infer import RawOutputs
from ...formats import Arrays, OutputSelector
from ...options import PostprocessOptions
from ..description import Description
from ..head import Found, Head, check_finite
from .boxes import sigmoid
from .choices import refuse_choices
from .points_alone import PointsHead, around, landmarks, names_of
from .yolo_rows import shown

MIN_SCORE_OF_MESH = 0.5
_SIDES = ("left", "right")
BLAZEPOSE_NAMES = (
    "nose",
    *(f"{side}_eye{part}" for side in _SIDES for part in ("_inner", "", "_outer")),
    *(f"{side}_ear" for side in _SIDES),
    *(f"mouth_{side}" for side in _SIDES),
    *(f"{side}_{part}" for part in ("shoulder", "elbow", "wrist", "pinky", "index", "thumb") for side in _SIDES),
    *(f"{side}_{part}" for part in ("hip", "knee", "ankle", "heel", "foot_index") for side in _SIDES),
)
"""In BlazePose's order; left and right are the person's."""


@dataclass(frozen=True, slots=True)
class Mesh:
    """How a network gives its points.

    Attributes:
        count, values: of points, and of numbers for each: 3, or 5 with two logits of how sure it is.
        kept: points, of which the others serve a tracker.
        score: ``sigmoid`` is still to be applied to how sure the network is, or that is ``given``.
        names: of those kept; None: unknown.
    """

    count: int
    values: int
    kept: int
    score: str | None
    names: tuple[str, ...] | None = None


KNOWN = (Mesh(468, 3, 468, "sigmoid"), Mesh(39, 5, 33, "given", BLAZEPOSE_NAMES))
"""MediaPipe's face and BlazePose, with the six points that only align its next crop."""


@dataclass(frozen=True, slots=True)
class MeshHead(PointsHead):
    """The points; see :class:`.points_alone.PointsHead`.

    Attributes:
        mesh: how they are given.
        points, score: names of the outputs: float32 of ``count`` times ``values`` numbers, and of one.
    """

    mesh: Mesh = KNOWN[0]
    points: str = ""
    score: str = ""
    kind: str = "mesh"

    @property
    def reads(self) -> frozenset[str]:
        """Both outputs."""
        return frozenset({self.points, self.score})

    def select_outputs(self, choices: PostprocessOptions) -> OutputSelector:
        """The points in pixels of the input, their scores, and that of the whole.

        Raises:
            UsageError: a choice that means nothing for this network.
        """
        refuse_choices(choices, "gives the points of one thing", but=("min_score",))

        def pick(outputs: Mapping[str, NDArray[Any]]) -> Arrays:
            for name in (self.points, self.score):
                check_finite(name, outputs[name])
            table = outputs[self.points].reshape(1, self.mesh.count, self.mesh.values)[:, : self.mesh.kept]
            sure = outputs[self.score].reshape(1).astype(np.float32)
            sure = sigmoid(sure) if self.mesh.score == "sigmoid" else sure.copy()
            scores = sigmoid(table[..., 3:].min(axis=2)) if self.mesh.values > 3 else sure[:, None]
            return {
                "points": np.ascontiguousarray(table[..., :2], np.float32),
                "scores": np.array(np.broadcast_to(scores, table.shape[:2]), np.float32),
                "sure": sure,
            }

        return pick

    def decode(self, raw: RawOutputs, frame: Size, choices: PostprocessOptions, names: tuple[str, ...]) -> Found:
        """The points of the frame, in one row, if the network is sure enough that they are there."""
        points, scores, sure = raw.affine.points(raw.arrays["points"]), raw.arrays["scores"], raw.arrays["sure"]
        least = MIN_SCORE_OF_MESH if choices.min_score is None else choices.min_score
        finite = np.isfinite(points).all(axis=(1, 2)) & np.isfinite(scores).all(axis=1)
        rows = np.flatnonzero(finite & (sure > least))
        return {LANDMARKS: landmarks(points[rows], scores[rows], around(points[rows], frame), self.point_names)}


def _mesh(numbers: int, about: Description) -> Mesh | None:
    """That of an output of so many numbers, as the TOML says or as it is known."""
    known = next((mesh for mesh in KNOWN if mesh.count * mesh.values == numbers), None)
    if about.points is None or (known and about.points == (known.count, known.values)):
        return known
    count, values = about.points
    fits = count * values == numbers and values in (3, 5)
    return Mesh(count, values, count, about.scores) if fits else None


def _one(outputs: Sequence[TensorSpec], named: str | None) -> TensorSpec | None:
    """The one of that name, or the only one there is."""
    found = [spec for spec in outputs if named in (None, spec.name)]
    return found[0] if len(found) == 1 else None


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """The head for one output of as many numbers as a known mesh has, or the TOML says, and one; see ..head."""
    said = about.head == "mesh"
    floats = [spec for spec in outputs if spec.dtype.kind == "f" and spec.shape[:1] == (1,)]
    meshes = [spec for spec in floats if _mesh(math.prod(spec.shape), about)]
    points = _one(meshes, about.outputs.get("points"))
    score = _one([spec for spec in floats if math.prod(spec.shape) == 1], about.outputs.get("scores"))
    if points is None or score is None:
        wanted = (
            "an output of K x 3 or K x 5 numbers (`points`) and one of one number (`scores` of `outputs`) are wanted"
        )
        return wanted if said else None
    mesh = _mesh(math.prod(points.shape), about)
    assert mesh is not None
    rule = about.scores or mesh.score
    if rule not in ("sigmoid", "given"):
        return f'say whether {shown(score)} is a probability: scores = "given" or "sigmoid"'
    names = names_of(mesh.kept, replace(about, points=None, point_names=about.point_names or mesh.names))
    if isinstance(names, str):
        return names
    return MeshHead(names, mesh=replace(mesh, score=rule), points=points.name, score=score.name)

"""NME, PCKh and WIDER FACE's precision by hand, the last also against a plain reading of the authors' protocol."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from vidgraph.pipeline.errors import SourceError, UsageError
from vidgraph.pipeline.ground_truth import FACE_POINTS, MPII_JOINTS
from vidgraph.training.evaluation.faces import WiderAp
from vidgraph.training.evaluation.overlap import greedy_match
from vidgraph.training.evaluation.points import BodyPoints, FacePoints
from vidgraph.training.evaluation.wider_subsets import WiderSubsets

from .scenes import Box, points_of

FACE: Box = (0.0, 0.0, 40.0, 90.0)  # the square root of its area is 60
POINTS = np.array([[10, 30], [30, 30], [20, 50], [12, 70], [28, 70]], np.float32)
COUNTS = np.array([False])


def test_nme_by_box_and_by_eyes() -> None:
    errors = FacePoints()
    truth = points_of([FACE], POINTS[None], FACE_POINTS)
    errors.add(truth, COUNTS, points_of([FACE], POINTS[None] + [3, 4], FACE_POINTS), np.array([0.9], np.float32))
    got = errors.result()
    assert got.matched == 1
    assert got.by_box == pytest.approx(5 / 60)
    assert got.by_eyes == pytest.approx(5 / 20)
    assert got.failed == 0.0


def test_points_that_are_not_known_are_left_out() -> None:
    known = np.array([[1, 1, 0.5, 0, 0]])
    moved = POINTS.copy()
    moved[3:] += 1000
    moved[2] += [6, 0]
    errors = FacePoints()
    errors.add(points_of([FACE], POINTS[None], FACE_POINTS, scores=known), COUNTS,
               points_of([FACE], moved[None], FACE_POINTS), np.array([0.9], np.float32))  # fmt: skip
    assert errors.result().by_box == pytest.approx(2 / 60)


def test_faces_that_do_not_count_or_match_nothing_have_no_error() -> None:
    errors = FacePoints()
    truth = points_of([FACE, (100.0, 0.0, 140.0, 90.0)], np.stack([POINTS, POINTS]), FACE_POINTS)
    found = points_of([FACE], POINTS[None] + 100, FACE_POINTS)
    errors.add(truth, np.array([True, False]), found, np.array([0.9], np.float32))
    assert errors.result().by_box is None
    assert errors.result().matched == 0


def test_pckh_counts_joints_within_half_a_head() -> None:
    joints = np.zeros((16, 2), np.float32)
    joints[MPII_JOINTS.index("upper_neck")], joints[MPII_JOINTS.index("head_top")] = (50, 40), (50, 20)  # 20 pixels
    moved = joints.copy()
    moved[0] += [10, 0]  # exactly half a head: right
    moved[1] += [10.5, 0]
    moved[MPII_JOINTS.index("pelvis")] += [50, 0]
    body: Box = (0.0, 0.0, 60.0, 60.0)
    bodies = BodyPoints(MPII_JOINTS)
    score = np.array([0.9], np.float32)
    bodies.add(points_of([body], joints[None], MPII_JOINTS), points_of([body], moved[None], MPII_JOINTS), score)
    got = bodies.result()
    assert got.every == pytest.approx(14 / 16)
    assert got.without_trunk == pytest.approx(13 / 14)
    assert got.joints["right_ankle"] == 1.0
    assert got.joints["right_knee"] == got.joints["pelvis"] == 0.0
    # Another body that nobody found: all of its joints are wrong.
    empty = points_of([], np.zeros((0, 16, 2)), MPII_JOINTS)
    bodies.add(points_of([body], joints[None], MPII_JOINTS), empty, np.zeros(0, np.float32))
    assert bodies.result().every == pytest.approx(14 / 32)


def test_the_best_scored_takes_the_face() -> None:
    overlaps = np.array([[0.6, 0.9], [0.7, 0.95], [0.4, 0.1]])
    assert greedy_match(overlaps, 0.5).tolist() == [1, 0, -1]


FIRST, SECOND = np.array([[0, 0, 20, 20], [50, 50, 90, 90]], np.float32)


def wider(faces: np.ndarray, counts: list[bool], boxes: np.ndarray, scores: list[float]) -> float | None:
    precision = WiderAp()
    precision.add(faces, np.array(counts)[:, None], boxes, np.array(scores, np.float32))
    return precision.result()["all"]


def test_wider_by_hand() -> None:
    both = np.stack([FIRST, SECOND])
    assert wider(both, [True, True], both, [0.9, 0.2]) == pytest.approx(1.0)
    assert wider(both, [True, True], both[:1], [0.9]) == pytest.approx(0.5)
    # A second box on a face is false; behind it stands the other face: precision 2/3 there.
    twice = np.stack([FIRST, FIRST, SECOND])
    assert wider(both, [True, True], twice, [0.9, 0.8, 0.2]) == pytest.approx(0.5 + 0.5 * 2 / 3)
    # A face that does not count is neither missed nor false.
    assert wider(both, [True, False], twice[[0, 2]], [0.2, 0.9]) == pytest.approx(1.0)
    assert wider(both, [False, False], both, [0.9, 0.2]) is None
    # What is on no face is false.
    assert wider(both[:1], [True], both, [0.2, 0.9]) == pytest.approx(0.5)
    assert wider(both[:0], [], both, [0.2, 0.9]) is None


@pytest.mark.parametrize("seed", range(3))
def test_wider_against_a_plain_reading_of_the_protocol(seed: int) -> None:
    random = np.random.default_rng(seed)
    images = []
    for _ in range(12):
        faces = random.integers(0, 200, (int(random.integers(1, 7)), 4)).astype(np.float32)
        faces[:, 2:] = faces[:, :2] + random.integers(8, 60, (len(faces), 2))
        near = faces[random.integers(0, len(faces), 6)] + random.integers(-4, 5, (6, 4))
        far = faces[:2] + 300
        boxes = np.concatenate([near, far]).astype(np.float32)
        images.append((faces, random.random(len(faces)) < 0.7, boxes, random.random(len(boxes)).astype(np.float32)))
    precision = WiderAp()
    for faces, counts, boxes, scores in images:
        precision.add(faces, counts[:, None], boxes, scores)
    assert precision.result()["all"] == pytest.approx(plain_wider(images), abs=1e-9)


def plain_wider(images: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]) -> float:
    """The protocol in plain loops, from its description."""
    every = np.concatenate([scores for *_, scores in images]).astype(np.float64)
    low, high = every.min(), every.max()
    totals = np.zeros((1000, 2))
    for faces, counts, boxes, scores in images:
        order = np.argsort(-scores, kind="stable")
        level = (scores[order].astype(np.float64) - low) / (high - low)
        proposals, recalled, found = [], [], set()
        for box in boxes[order]:
            overlaps = [plain_iou(box, face) for face in faces]
            best = int(np.argmax(overlaps))
            proposal = True
            if overlaps[best] >= 0.5:
                proposal = bool(counts[best])
                if counts[best]:
                    found.add(best)
            proposals.append(proposal)
            recalled.append(len(found))
        for number in range(1000):
            kept = int((level >= 1 - (number + 1) / 1000).sum())
            if kept:
                totals[number] += sum(proposals[:kept]), recalled[kept - 1]
    faces_in_all = sum(int(counts.sum()) for _, counts, _, _ in images)
    precision = [hits / shown if shown else 0.0 for shown, hits in totals]
    recall = [0.0, *(totals[:, 1] / faces_in_all), 1.0]
    envelope = [0.0, *precision, 0.0]
    for place in range(len(envelope) - 2, -1, -1):
        envelope[place] = max(envelope[place], envelope[place + 1])
    return sum((recall[i + 1] - recall[i]) * envelope[i + 1] for i in range(len(recall) - 1))


def plain_iou(a: np.ndarray, b: np.ndarray) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b)]
    return float(width * height / (sum(areas) - width * height))


def test_wider_subsets_are_read_from_the_authors_files(tmp_path: Path) -> None:
    scipy_io = pytest.importorskip("scipy.io", reason="needs SciPy (the extra 'eval')")

    def cell(*items: object) -> np.ndarray:
        column = np.empty((len(items), 1), object)
        for row, item in enumerate(items):
            column[row, 0] = item
        return column

    boxes = np.array([[1, 2, 10, 20], [5, 5, 30, 30]])
    scipy_io.savemat(
        tmp_path / "wider_face_val.mat",
        {"file_list": cell(cell("0_Parade_1")), "face_bbx_list": cell(cell(boxes))},
    )
    for name, rows in (("easy", [[2]]), ("medium", [[1], [2]]), ("hard", [[1], [2]])):
        scipy_io.savemat(tmp_path / f"wider_{name}_val.mat", {"gt_list": cell(cell(np.array(rows)))})
    subsets = WiderSubsets.read(tmp_path)
    faces, counts = subsets.of("0--Parade/0_Parade_1")
    assert faces.tolist() == [[1, 2, 11, 22], [5, 5, 35, 35]]
    assert counts.tolist() == [[False, True, True], [True, True, True]]
    with pytest.raises(UsageError, match="other is no image of WIDER FACE's validation set"):
        subsets.of("other")
    (tmp_path / "wider_hard_val.mat").unlink()
    with pytest.raises(SourceError, match="cannot read"):
        WiderSubsets.read(tmp_path)

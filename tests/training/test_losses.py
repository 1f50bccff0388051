"""Each loss against loops over what it is defined on."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch (the extra 'torch')")

from vidgraph.training.batches import Anchors, MaskTargets  # noqa: E402
from vidgraph.training.losses import (  # noqa: E402
    FACE_WEIGHTS,
    Weights,
    box_fit,
    box_loss,
    class_loss,
    face_losses,
    flow_loss,
    giou_loss,
    instance_losses,
    mask_loss,
    match_loss,
    semantic_loss,
)

IMAGES, PRIORS, CLASSES, FACTORS = 3, 40, 4, 6
PROTO = (5, 7)


def smooth_l1(error: float, beta: float = 1.0) -> float:
    return 0.5 * error * error / beta if abs(error) < beta else abs(error) - beta / 2


def cross_entropy(logits: np.ndarray, label: int) -> float:
    return float(np.log(np.exp(logits.astype(np.float64)).sum()) - logits[label])


def binary_cross_entropy(logit: float, truth: float, inside: float = 1.0) -> float:
    probability = 1 / (1 + np.exp(-float(logit)))
    return float(-inside * truth * np.log(probability) - (1 - truth) * np.log(1 - probability))


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.fixture
def anchors() -> Anchors:
    """Two images with positive anchors and one without; some anchors take no part."""
    labels = np.zeros((IMAGES, PRIORS), np.int64)
    labels[0, [3, 8, 20]] = [1, 4, 2]
    labels[1, 7] = 3
    labels[:, 30:33] = -1
    images, places = np.nonzero(labels > 0)
    return Anchors(labels, images, places, 2 * normal(len(images), 4, seed=1), (0.1, 0.2))


def hard_negatives(logits: np.ndarray, labels: np.ndarray, ratio: int) -> float:
    """Cross entropy of positive anchors and, in each image, of the background anchors that say so least."""
    total = 0.0
    for said, wanted in zip(logits, labels, strict=True):
        background = sorted((cross_entropy(row, 0) for row in said[wanted == 0]), reverse=True)
        positive = [cross_entropy(row, label) for row, label in zip(said, wanted, strict=True) if label > 0]
        total += sum(positive) + sum(background[: ratio * max(len(positive), 1)])
    return total


def test_boxes(anchors: Anchors) -> None:
    loc = 2 * normal(IMAGES, PRIORS, 4)
    wanted = sum(
        smooth_l1(float(said - truth))
        for image, place, row in zip(anchors.images, anchors.anchors, anchors.loc, strict=True)
        for said, truth in zip(loc[image, place], row, strict=True)
    )
    found = box_loss(torch.from_numpy(loc), anchors, Weights(box=2.0))
    assert float(found) == pytest.approx(2 * wanted, rel=1e-5)


def corners(loc: np.ndarray, prior: np.ndarray) -> tuple[float, float, float, float]:
    """The box of an anchor (cx, cy, w, h) as corners, as networks of SSD are decoded."""
    cx, cy = prior[:2] + 0.1 * loc[:2] * prior[2:]
    w, h = prior[2:] * np.exp(0.2 * loc[2:])
    return cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2


Corners = tuple[float, float, float, float]


def iou(a: Corners, b: Corners) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / (area(a) + area(b) - shared)


def area(box: Corners) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def giou(a: Corners, b: Corners) -> float:
    shared = iou(a, b) / (1 + iou(a, b)) * (area(a) + area(b))
    union = area(a) + area(b) - shared
    hull = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    return iou(a, b) - (hull - union) / hull


def test_boxes_by_their_generalised_overlap(anchors: Anchors) -> None:
    """Boxes that meet and boxes far apart, of anchors of any size: the loss does not depend on it."""
    loc = 6 * normal(IMAGES, PRIORS, 4)
    priors = np.abs(normal(PRIORS, 4, seed=5)) + 0.1
    wanted = sum(
        1 - giou(corners(loc[image, place], priors[place]), corners(row, priors[place]))
        for image, place, row in zip(anchors.images, anchors.anchors, anchors.loc, strict=True)
    )
    found = box_loss(torch.from_numpy(loc), anchors, Weights(giou=3.0))
    assert float(found) == pytest.approx(3 * wanted, rel=1e-4)


def test_no_box_is_too_large_for_a_loss() -> None:
    said = torch.full((2, 4), 1000.0, requires_grad=True)
    giou_loss(said, torch.zeros(2, 4), (0.1, 0.2)).sum().backward()
    assert said.grad is not None
    assert torch.isfinite(said.grad).all()


@pytest.mark.parametrize("ratio", [1, 3, 100])
def test_classes_with_the_hardest_negatives(ratio: int, anchors: Anchors) -> None:
    """100 times as many are more than there are: then all take part, and those without a part still do not."""
    logits = 3 * normal(IMAGES, PRIORS, CLASSES + 1)
    found = class_loss(torch.from_numpy(logits), torch.from_numpy(anchors.labels), ratio)
    assert float(found) == pytest.approx(hard_negatives(logits, anchors.labels, ratio), rel=1e-5)


@pytest.mark.parametrize("ratio", [1, 3])
def test_scores_that_say_how_well_boxes_fit(ratio: int, anchors: Anchors) -> None:
    """What a positive anchor does not give its class it is to give the background; others are as ever."""
    logits, loc = 3 * normal(IMAGES, PRIORS, CLASSES + 1), 3 * normal(IMAGES, PRIORS, 4, seed=2)
    fit = box_fit(torch.from_numpy(loc), anchors)
    found = class_loss(torch.from_numpy(logits), torch.from_numpy(anchors.labels), ratio, fit)
    wanted = hard_negatives(logits, anchors.labels, ratio)
    prior = np.array([0.4, 0.6, 0.2, 0.3], np.float32)
    for image, place, row in zip(anchors.images, anchors.anchors, anchors.loc, strict=True):
        shared = iou(corners(loc[image, place], prior), corners(row, prior)) ** 0.5
        assert float(fit[image, place]) == pytest.approx(shared, abs=1e-5)
        own, background = logits[image, place, anchors.labels[image, place]], logits[image, place, 0]
        wanted += (1 - shared) * (own - background)
    assert float(found) == pytest.approx(wanted, rel=1e-4)
    rest = fit.clone()
    rest[anchors.images, anchors.anchors] = 1.0
    assert torch.equal(rest, torch.ones(IMAGES, PRIORS))


def test_a_fit_gives_boxes_no_gradient(anchors: Anchors) -> None:
    loc = torch.from_numpy(normal(IMAGES, PRIORS, 4)).requires_grad_()
    assert not box_fit(loc, anchors).requires_grad


def test_only_the_chosen_anchors_get_a_gradient(anchors: Anchors) -> None:
    logits = torch.from_numpy(normal(IMAGES, PRIORS, CLASSES + 1)).requires_grad_()
    class_loss(logits, torch.from_numpy(anchors.labels), 2).backward()
    touched = (logits.grad != 0).any(2).numpy()
    assert touched.sum(1).tolist() == [3 + 6, 1 + 2, 2]
    assert touched[anchors.images, anchors.anchors].all()
    assert not touched[anchors.labels < 0].any()


def mask_targets() -> tuple[MaskTargets, list[tuple[np.ndarray, np.ndarray, float, list[int]]]]:
    """Two objects of the first image (one has two anchors) and one of the second, and the same as loops want it."""
    random = np.random.default_rng(5)
    parts = []
    for image, box, rows in ((0, (0, 0, 3, 2), [0, 2]), (0, (2, 1, 7, 5), [1]), (1, (1, 1, 2, 4), [3])):
        x1, y1, x2, y2 = box
        cells = ((image * PROTO[0] + np.arange(y1, y2))[:, None] * PROTO[1] + np.arange(x1, x2)).reshape(-1)
        values = (random.random(len(cells)) < 0.5).astype(np.float32)
        parts.append((cells, values, 0.3 if image else float((x2 - x1) * (y2 - y1)) - 0.5, rows))
    targets = MaskTargets(
        np.concatenate([cells for cells, *_ in parts]),
        np.concatenate([values for _, values, *_ in parts]),
        tuple(len(cells) for cells, *_ in parts),
        tuple(area for _, _, area, _ in parts),
        tuple(np.array(rows) for *_, rows in parts),
        np.array([1.5, 1.0, 1.0], np.float32),
    )
    return targets, parts


@pytest.mark.parametrize("inside", [1.0, 2.0])
def test_masks(inside: float, anchors: Anchors) -> None:
    """An area below one cell counts as one; cells of the object may count more than others."""
    coeff, proto = np.tanh(normal(IMAGES, PRIORS, FACTORS)), np.abs(normal(IMAGES, *PROTO, FACTORS, seed=2))
    targets, parts = mask_targets()
    wanted = 0.0
    for cells, values, area, rows in parts:
        for row in rows:
            image, place = anchors.images[row], anchors.anchors[row]
            logits = proto.reshape(-1, FACTORS)[cells] @ coeff[image, place]
            judged = sum(binary_cross_entropy(each, truth, inside) for each, truth in zip(logits, values, strict=True))
            wanted += judged / max(area, 1.0) * targets.weights[image]
    found = mask_loss(torch.from_numpy(coeff), torch.from_numpy(proto), anchors, targets, inside=inside)
    assert float(found) == pytest.approx(wanted, rel=1e-5)


def test_no_masks_are_no_loss(anchors: Anchors) -> None:
    nothing = MaskTargets(np.zeros(0, np.int64), np.zeros(0, np.float32), (), (), (), np.ones(IMAGES, np.float32))
    proto = torch.from_numpy(normal(IMAGES, *PROTO, FACTORS)).requires_grad_()
    loss = mask_loss(torch.zeros(IMAGES, PRIORS, FACTORS), proto, anchors, nothing)
    loss.backward()
    assert float(loss.detach()) == 0.0


def test_the_semantic_head() -> None:
    logits = normal(2, CLASSES, 3, 5)
    truth = (normal(2, CLASSES, 3, 5, seed=1) > 0).astype(np.float32)
    by_cell = [binary_cross_entropy(*pair) for pair in zip(logits.ravel(), truth.ravel(), strict=True)]
    found = semantic_loss(torch.from_numpy(logits), torch.from_numpy(truth))
    assert float(found) == pytest.approx(sum(by_cell) / (2 * 3 * 5), rel=1e-5)


def test_flow_in_cells_where_it_is_known() -> None:
    """``said`` is in units of which 2 go from the first column (or row) to the last; the truth in whole sides."""
    height, width, unit = 3, 5, 2.0
    said, truth = normal(2, 2, height, width), 0.3 * normal(2, 2, height, width, seed=1)
    truth[0, :, 1, 2] = truth[1, :, :, 0] = np.nan
    errors = []
    for image, axis, y, x in np.ndindex(said.shape):
        cells = (width, height)[axis]
        if np.isfinite(truth[image, axis, y, x]):
            error = said[image, axis, y, x] * (cells - 1) / unit - truth[image, axis, y, x] * cells
            errors.append(smooth_l1(float(error), beta=0.5))
    found = flow_loss(torch.from_numpy(said), torch.from_numpy(truth), unit)
    assert float(found) == pytest.approx(sum(errors) / len(errors), rel=1e-5)
    nothing = flow_loss(torch.from_numpy(said), torch.full((2, 2, height, width), np.nan), unit)
    assert float(nothing) == 0.0


def test_flow_of_a_coarser_map_takes_every_other_cell() -> None:
    said, truth = normal(1, 2, 2, 3), normal(1, 2, 4, 6, seed=1)
    same = torch.from_numpy(np.ascontiguousarray(truth[:, :, 1::2, 1::2]))
    found = flow_loss(torch.from_numpy(said), torch.from_numpy(truth), 2.0)
    assert float(found) == float(flow_loss(torch.from_numpy(said), same, 2.0))


def test_features_that_match() -> None:
    said, truth = normal(2, 6, 3, 4), normal(2, 6, 3, 4, seed=1)
    cosines = (said * truth).sum(1) / np.sqrt((said**2).sum(1) * (truth**2).sum(1))
    found = match_loss(torch.from_numpy(said), torch.from_numpy(truth))
    assert float(found) == pytest.approx(1 - cosines.mean(), rel=1e-5)


def test_the_parts_are_weighted_and_divided_by_the_positive_anchors(anchors: Anchors) -> None:
    outputs = tuple(
        torch.from_numpy(each)
        for each in (
            normal(IMAGES, PRIORS, 4),
            normal(IMAGES, PRIORS, CLASSES + 1),
            np.tanh(normal(IMAGES, PRIORS, FACTORS)),
            np.abs(normal(IMAGES, *PROTO, FACTORS)),
        )
    )
    loc, logits, coeff, proto = outputs
    targets, _ = mask_targets()
    semantic, truth = torch.from_numpy(normal(IMAGES, CLASSES, 2, 2)), torch.ones(IMAGES, CLASSES, 2, 2)
    weights = Weights(box=2.0, classes=3.0, mask=5.0, semantic=7.0, inside=1.5, fit=True)
    found = instance_losses(outputs, semantic, anchors, targets, semantic_truth=truth, weights=weights)
    labels = torch.from_numpy(anchors.labels)
    assert {name: float(value) for name, value in found.items()} == pytest.approx(
        {
            "box": float(box_loss(loc, anchors, weights)) / 4,
            "class": 3 * float(class_loss(logits, labels, 3, box_fit(loc, anchors))) / 4,
            "mask": 5 * float(mask_loss(coeff, proto, anchors, targets, inside=1.5)) / 4,
            "semantic": 7 * float(semantic_loss(semantic, truth)),
        }
    )


def test_faces(anchors: Anchors) -> None:
    """The network gives probabilities; points count where all of a face are known."""
    labels = np.minimum(anchors.labels, 1)
    faces = Anchors(labels, anchors.images, anchors.anchors, anchors.loc, anchors.variances)
    loc, logits, landm = normal(IMAGES, PRIORS, 4), normal(IMAGES, PRIORS, 2), normal(IMAGES, PRIORS, 10)
    points, pointed = normal(4, 10, seed=3), np.array([True, False, True, True])
    outputs = torch.from_numpy(loc), torch.from_numpy(logits).softmax(2), torch.from_numpy(landm)
    found = face_losses(outputs, faces, torch.from_numpy(points), torch.from_numpy(pointed), FACE_WEIGHTS)
    errors = landm[anchors.images, anchors.anchors][pointed] - points[pointed]
    assert {name: float(value) for name, value in found.items()} == pytest.approx(
        {
            "box": float(box_loss(outputs[0], faces, FACE_WEIGHTS)) / 4,
            "class": hard_negatives(logits, labels, FACE_WEIGHTS.negatives) / 4,
            "points": sum(map(smooth_l1, errors.ravel().tolist())) / 3,
        },
        rel=1e-4,
    )

"""The losses of YOLACT and of RetinaFace, in torch, without a loop over anchors.

Source: Bolya et al., YOLACT, arXiv:1904.02689; Liu et al., SSD, ECCV 2016 (matching, hard negatives);
Deng et al., RetinaFace, arXiv:1905.00641; Liu et al., YolactEdge, arXiv:2012.12259 (features that match);
Rezatofighi et al., Generalized Intersection over Union, arXiv:1902.09630; Li et al., Generalized Focal Loss,
arXiv:2006.04388 (scores that say how well a box fits).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .batches import Anchors, MaskTargets
from .targets import BACKGROUND, NEUTRAL

Losses = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Weights:
    """What each part counts; as in YOLACT, but for ``inside``, ``flow`` and ``match``, which are of this package.

    Attributes:
        box, classes, mask, semantic: the parts of :func:`instance_losses`.
        inside: of cells of an object in the loss of masks, over cells beside it. Where a network is not sure of the
            edge, masks overlap their objects most if cells count as the object's from less than even chances on:
            2 means from a third on.
        flow: of the error of the flow, in cells of P4.
        match: of the distance between warped features and those that the frame itself has.
        giou: of boxes where their loss is the generalised IoU rather than smooth L1.
        negatives: hard negatives for each positive anchor.
        fit: scores learn how well their boxes fit, see :func:`class_loss`.
    """

    box: float = 1.5
    classes: float = 1.0
    mask: float = 6.125
    semantic: float = 1.0
    inside: float = 1.0
    flow: float = 0.5
    match: float = 0.0
    giou: float | None = None
    negatives: int = 3
    fit: bool = False


INSIDE = 2.0
"""See :attr:`Weights.inside`; the optimum for the overlap is a threshold of half the overlap that is reached (Lipton
et al., Optimal thresholding of classifiers to maximize F1 measure, arXiv:1402.1892)."""
GIOU = 3.0
"""Weight of the loss by generalised IoU: at the end of a training boxes then count as much as classes."""
LARGEST_OFFSET = 20.0
"""Offsets of sides are looked at up to here: more than 50 times an anchor's, where the exponential is still finite."""
FACE_WEIGHTS = Weights(box=2.0, classes=1.0, negatives=7)


def box_loss(loc: Tensor, anchors: Anchors, weights: Weights) -> Tensor:
    """Of the positive anchors, weighted and summed: smooth L1 of offsets, or one minus the generalised IoU.

    Args:
        loc: float32 [B, P, 4].
        anchors: what they are to say.
        weights: of the losses; which of the two it is.
    """
    said = loc[_index(anchors.images, loc), _index(anchors.anchors, loc)]
    truth = torch.from_numpy(anchors.loc).to(loc.device)
    if weights.giou is None:
        return F.smooth_l1_loss(said, truth, reduction="sum") * weights.box
    return giou_loss(said, truth, anchors.variances).sum() * weights.giou


def giou_loss(said: Tensor, truth: Tensor, variances: tuple[float, float]) -> Tensor:
    """One minus the generalised IoU of boxes given as offsets from the same anchors.

    Both are divided by the anchor's sides, which changes no ratio of areas.

    Args:
        said, truth: float32 [N, 4], see :func:`.targets.encode_boxes`.
        variances: of centres and of sides.

    Returns:
        float32 [N], in [0, 2].
    """
    shared, union, hull = _areas(said, truth, variances)
    return 1.0 - shared / union + (hull - union) / hull


def box_fit(loc: Tensor, anchors: Anchors) -> Tensor:
    """The root of the IoU of each positive anchor's box with the true one, and 1 for all others.

    The root, as scores are to tell objects from background too, and half of a small one is much.

    Args:
        loc: float32 [B, P, 4]; gets no gradient.
        anchors: what they are to say.

    Returns:
        float32 [B, P], in [0, 1].
    """
    place = _index(anchors.images, loc), _index(anchors.anchors, loc)
    with torch.no_grad():
        shared, union, _ = _areas(loc[place], torch.from_numpy(anchors.loc).to(loc.device), anchors.variances)
        fit = torch.ones(loc.shape[:2], device=loc.device)
        fit[place] = (shared / union).sqrt()
    return fit


def _areas(said: Tensor, truth: Tensor, variances: tuple[float, float]) -> tuple[Tensor, Tensor, Tensor]:
    """What boxes share, cover together, and the least box around both: float32 [N] each."""
    (low, high), (true_low, true_high) = (_corners(each, variances) for each in (said, truth))
    shared = (torch.minimum(high, true_high) - torch.maximum(low, true_low)).clamp(min=0.0).prod(1)
    union = (high - low).prod(1) + (true_high - true_low).prod(1) - shared
    return shared, union, (torch.maximum(high, true_high) - torch.minimum(low, true_low)).prod(1)


def _corners(loc: Tensor, variances: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Corners [N, 2] of boxes in sides of their anchors, from its centre."""
    centre, half = loc[:, :2] * variances[0], (loc[:, 2:].clamp(max=LARGEST_OFFSET) * variances[1]).exp() / 2
    return centre - half, centre + half


def class_loss(logits: Tensor, labels: Tensor, negatives: int, fit: Tensor | None = None) -> Tensor:
    """Cross entropy of the positive anchors and of the hardest negative ones, summed.

    Of each image ``negatives`` times as many background anchors as positive ones take part, those that say so least;
    an image without positive ones has as many as if it had one.

    Args:
        logits: float32 [B, P, C + 1], background first.
        labels: int64 [B, P], see :mod:`.targets`.
        negatives: for each positive one.
        fit: float32 [B, P], in [0, 1]: the probability of its class that a positive anchor is to give, the rest being
            the background's; None: 1, as published. With :func:`box_fit` detections whose boxes fit come first.
    """
    with torch.no_grad():
        hardness = logits.logsumexp(2) - logits[..., BACKGROUND]
        hardness = hardness.masked_fill(labels != BACKGROUND, -1.0)
        wanted = ((labels > BACKGROUND).sum(1).clamp(min=1) * negatives).clamp(max=labels.shape[1])
        hardest, places = hardness.topk(int(wanted.max()), dim=1)
        taken = (torch.arange(hardest.shape[1], device=logits.device) < wanted[:, None]) & (hardest >= 0.0)
        chosen = torch.zeros_like(labels, dtype=torch.bool).scatter_(1, places, taken) | (labels > BACKGROUND)
    if fit is None:
        return F.cross_entropy(logits[chosen], labels[chosen], reduction="sum")
    said, share = logits[chosen].log_softmax(1), fit[chosen]
    own = said.gather(1, labels[chosen][:, None]).squeeze(1)
    return -(share * own + (1 - share) * said[:, BACKGROUND]).sum()


def mask_loss(coeff: Tensor, proto: Tensor, anchors: Anchors, targets: MaskTargets, *, inside: float = 1.0) -> Tensor:
    """Binary cross entropy of the assembled masks within their boxes, over the area of the box, summed over anchors.

    Args:
        coeff: float32 [B, P, K], after tanh.
        proto: float32 [B, Hp, Wp, K], after ReLU.
        anchors: where the positive ones are.
        targets: the masks.
        inside: what a cell of the object counts, where one beside it counts 1.
    """
    if not targets.counts:
        return proto.sum() * 0.0
    rows = F.embedding(_index(targets.cells, proto), proto.reshape(-1, proto.shape[-1]))
    said = coeff[_index(anchors.images, coeff), _index(anchors.anchors, coeff)]
    order = torch.cat([torch.from_numpy(each) for each in targets.anchors]).to(coeff.device)
    found = [len(each) for each in targets.anchors]
    objects = zip(rows.split(list(targets.counts)), said[order].split(found), strict=True)
    masks = torch.cat([(cells @ factors.T).reshape(-1) for cells, factors in objects])
    repeats = torch.tensor(found, device=proto.device)
    per_cell = repeats.repeat_interleave(torch.tensor(targets.counts, device=proto.device))
    truth = torch.from_numpy(targets.values).to(proto.device).repeat_interleave(per_cell)
    image_of = [int(anchors.images[each[0]]) for each in targets.anchors]
    scale = torch.from_numpy(targets.weights[image_of]).to(proto.device) / torch.tensor(
        targets.areas, device=proto.device
    ).clamp(min=1.0)
    sizes = repeats * torch.tensor(targets.counts, device=proto.device)
    return F.binary_cross_entropy_with_logits(
        masks.float(),
        truth,
        scale.repeat_interleave(sizes),
        reduction="sum",
        pos_weight=torch.tensor(inside, device=proto.device),
    )


def semantic_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Binary cross entropy of every class at every cell, the mean over cells and images, summed over classes.

    Args:
        logits: float32 [B, C, h, w]; truth: float32, the same shape, 0 or 1.
    """
    return F.binary_cross_entropy_with_logits(logits, truth) * logits.shape[1]


def flow_loss(said: Tensor, truth: Tensor, unit: float) -> Tensor:
    """Smooth L1 between flows where the true one is known, in cells of the map.

    Args:
        said: float32 [B, 2, h, w], (x, y); ``unit`` of it is the whole width (from the first column to the last).
        truth: float32 [B, 2, H, W] in widths and heights of the input, NaN where it is not known.
        unit: see ``said``.
    """
    height, width = said.shape[2:]
    if truth.shape[2:] != said.shape[2:]:
        truth = F.interpolate(truth, size=(height, width), mode="nearest-exact")
    cells = torch.tensor([width, height], dtype=said.dtype, device=said.device)[:, None, None]
    offset = said * ((cells - 1) / unit)
    known = torch.isfinite(truth)
    error = F.smooth_l1_loss(offset, torch.where(known, truth * cells, offset.detach()), reduction="sum", beta=0.5)
    return error / known.sum().clamp(min=1)


def match_loss(said: Tensor, truth: Tensor) -> Tensor:
    """One minus the cosine between two feature maps [B, C, h, w], the mean over cells."""
    return 1.0 - F.cosine_similarity(said, truth, dim=1).mean()


def instance_losses(
    outputs: tuple[Tensor, Tensor, Tensor, Tensor],
    semantic: Tensor,
    anchors: Anchors,
    masks: MaskTargets,
    *,
    semantic_truth: Tensor,
    weights: Weights,
) -> Losses:
    """The parts of YOLACT's loss, weighted; their sum is what is trained.

    Args:
        outputs: loc, logits, coeff and proto.
        semantic: float32 [B, C, h, w], the logits of the semantic head.
        anchors, masks, semantic_truth: what they should be.
        weights: of the parts.
    """
    loc, logits, coeff, proto = (each.float() for each in outputs)
    count = max(len(anchors.anchors), 1)
    labels = torch.from_numpy(anchors.labels).to(loc.device)
    fit = box_fit(loc, anchors) if weights.fit else None
    return {
        "box": box_loss(loc, anchors, weights) / count,
        "class": class_loss(logits, labels, weights.negatives, fit) * (weights.classes / count),
        "mask": mask_loss(coeff, proto, anchors, masks, inside=weights.inside) * (weights.mask / count),
        "semantic": semantic_loss(semantic.float(), semantic_truth) * weights.semantic,
    }


def face_losses(
    outputs: tuple[Tensor, Tensor, Tensor], anchors: Anchors, points: Tensor, pointed: Tensor, weights: Weights
) -> Losses:
    """The parts of RetinaFace's loss, weighted.

    Args:
        outputs: loc [B, P, 4], conf [B, P, 2] (after the softmax) and landm [B, P, 10].
        anchors: what they should be.
        points: float32 [N, 10] and pointed: bool [N], of the positive anchors; only where it is set points count.
        weights: of the parts.
    """
    loc, conf, landm = (each.float() for each in outputs)
    count = max(len(anchors.anchors), 1)
    labels = torch.from_numpy(anchors.labels).to(loc.device)
    said = landm[_index(anchors.images, loc), _index(anchors.anchors, loc)]
    return {
        "box": box_loss(loc, anchors, weights) / count,
        # The logarithm of a softmax is as good as logits: it is a softmax's argument again.
        "class": class_loss(conf.clamp(min=1e-30).log(), labels, weights.negatives) * (weights.classes / count),
        "points": F.smooth_l1_loss(said[pointed], points[pointed], reduction="sum") / pointed.sum().clamp(min=1),
    }


def _index(values: object, like: Tensor) -> Tensor:
    return torch.as_tensor(values, device=like.device)


assert NEUTRAL < BACKGROUND  # class_loss tells positive anchors by their sign

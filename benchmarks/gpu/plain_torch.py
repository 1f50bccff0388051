"""The arithmetic of four kernels as it is usually written in torch, in fp32 or fp16, on any device.

Tensors come in as they lie: planes uint8, the rest float32; ``dtype`` is what is computed in.
"""

from __future__ import annotations

from typing import Any

from ..bench_detections import LIMIT, MAX_IOU, MIN_SCORE, TOP_K


def preprocess(torch: Any, luma: Any, chroma: Any, side: int, dtype: Any) -> Any:
    """RGB [1, 3, side, side], 0..255, of NV12 planes in BT.601, limited range: resized, then converted."""
    resize = torch.nn.functional.interpolate
    shape: dict[str, Any] = {"size": (side, side), "mode": "bilinear", "align_corners": False}
    y = (resize(luma[None, None].to(dtype), **shape)[0, 0] - 16) * (255 / 219)
    u, v = (resize(chroma.permute(2, 0, 1)[None].to(dtype), **shape)[0] - 128) * (255 / 224)
    rgb = torch.stack([y + 1.402 * v, y - 0.344136 * u - 0.714136 * v, y + 1.772 * u])
    return rgb.clamp_(0, 255)[None]


def decode(torch: Any, loc: Any, priors: Any) -> Any:
    """Boxes of SSD, as the published code writes it."""
    centre = priors[:, :2] + loc[:, :2] * 0.1 * priors[:, 2:]
    extent = priors[:, 2:] * torch.exp(loc[:, 2:] * 0.2)
    low = centre - extent / 2
    return torch.cat([low, low + extent], dim=1)


def suppress(torch: Any, logits: Any, loc: Any, priors: Any, dtype: Any) -> tuple[Any, Any, Any]:
    """Softmax, threshold and Fast NMS, as the published code writes it.

    Returns:
        boxes [D, 4], classes [D], and the rows [D] that they come from.
    """
    softmax = torch.softmax(logits.to(dtype), dim=1).T[1:]
    above = (softmax.max(dim=0)[0] > MIN_SCORE).nonzero()[:, 0]
    boxes = decode(torch, loc[above].to(dtype), priors[above].to(dtype))
    scores, order = softmax[:, above].sort(1, descending=True)
    scores, order = scores[:, :TOP_K].contiguous(), order[:, :TOP_K].contiguous()
    ordered = boxes[order]
    low = torch.maximum(ordered[:, :, None, :2], ordered[:, None, :, :2])
    high = torch.minimum(ordered[:, :, None, 2:], ordered[:, None, :, 2:])
    shared = (high - low).clamp_(min=0).prod(3)
    area = (ordered[..., 2:] - ordered[..., :2]).prod(2)
    overlaps = (shared / (area[:, :, None] + area[:, None, :] - shared)).triu_(diagonal=1).max(dim=1)[0]
    kept = overlaps <= MAX_IOU
    classes = torch.arange(len(scores), device=scores.device)[:, None].expand_as(kept)[kept]
    best = scores[kept].sort(0, descending=True)[1][:LIMIT]
    return ordered[kept][best], classes[best], above[order][kept][best]


def masks(torch: Any, proto: Any, coeff: Any, boxes: Any, size: tuple[int, int], dtype: Any) -> Any:
    """Bool [N, H, W], as the published code writes it."""
    maps = torch.sigmoid(proto.to(dtype) @ coeff.to(dtype).t())
    side = proto.shape[0]
    at = torch.arange(side, device=proto.device, dtype=torch.float32)
    low, high = (boxes[:, :2].float() * side - 1).clamp(min=0), (boxes[:, 2:].float() * side + 1).clamp(max=side)
    x_in = (at[:, None] >= low[None, :, 0]) & (at[:, None] < high[None, :, 0])
    y_in = (at[:, None] >= low[None, :, 1]) & (at[:, None] < high[None, :, 1])
    maps = (maps * (y_in[:, None] & x_in[None]).to(dtype)).permute(2, 0, 1).contiguous()
    return torch.nn.functional.interpolate(maps[None], size, mode="bilinear", align_corners=False)[0] > 0.5


def overlay(rgb: Any, masks: Any, colors: Any, alpha: float, dtype: Any) -> Any:
    """An RGB picture [H, W, 3] with masks drawn on it, one after the other."""
    picture = rgb.to(dtype)
    for mask, color in zip(masks, colors.to(dtype), strict=True):
        share = mask[:, :, None].to(dtype) * alpha
        picture = picture * (1 - share) + color * share
    return picture


def chain(torch: Any, raw: tuple[Any, ...], size: tuple[int, int], dtype: Any) -> tuple[Any, ...]:
    """From raw outputs (logits, loc, priors, proto, coefficients of all rows) to detections with masks."""
    logits, loc, priors, proto, coeff = raw
    boxes, classes, rows = suppress(torch, logits, loc, priors, dtype)
    return boxes, classes, masks(torch, proto, coeff[rows], boxes, size, dtype)

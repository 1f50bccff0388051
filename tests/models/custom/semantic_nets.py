"""A small DeepLab of our own: a backbone, and dilated convolutions side by side (ASPP). Random weights."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH = 16


def conv(inside: int, outside: int, size: int = 3, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    padding = dilation * (size // 2)
    return nn.Sequential(
        nn.Conv2d(inside, outside, size, stride, padding, dilation, bias=False), nn.BatchNorm2d(outside), nn.ReLU()
    )


class Pooled(nn.Module):
    """The mean of the whole map, everywhere."""

    def __init__(self, inside: int) -> None:
        super().__init__()
        self.project = conv(inside, WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        mean = self.project(F.adaptive_avg_pool2d(x, 1))
        return F.interpolate(mean, size=x.shape[2:], mode="bilinear", align_corners=False)


class DeepLab(nn.Module):
    """float32 [1, 3, h, w] -> logits [1, C, h / 8, w / 8], [1, C, h, w] (``whole``) or labels [1, h, w]."""

    def __init__(self, classes: int, *, end: str = "") -> None:
        super().__init__()
        self.end = end
        self.backbone = nn.Sequential(conv(3, 8, stride=2), conv(8, 16, stride=2), conv(16, 24, stride=2))
        self.branches = nn.ModuleList(
            [conv(24, WIDTH, 1), *(conv(24, WIDTH, dilation=rate) for rate in (2, 4)), Pooled(24)]
        )
        self.project, self.classify = conv(4 * WIDTH, WIDTH, 1), nn.Conv2d(WIDTH, classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.backbone(images)
        logits: Tensor = self.classify(self.project(torch.cat([branch(maps) for branch in self.branches], 1))) * 4
        if self.end:
            logits = F.interpolate(logits, size=images.shape[2:], mode="bilinear", align_corners=False)
        return logits.argmax(1) if self.end == "labels" else logits

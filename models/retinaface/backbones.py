"""The two backbones of the pyramid detector; needs torch.

Attribute names are those of the official state dicts.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..layers import bottlenecks, conv_norm, flatten_rows, maps_of


def activation(slope: float) -> nn.Module:
    """ReLU, or LeakyReLU where ``slope`` is not 0."""
    return nn.LeakyReLU(slope) if slope else nn.ReLU()


def conv_block(inputs: int, outputs: int, kernel: int, *, stride: int = 1, slope: float) -> nn.Sequential:
    """Convolution, norm, activation."""
    return nn.Sequential(*conv_norm(inputs, outputs, kernel, stride=stride), activation(slope))


def separable_block(inputs: int, outputs: int, stride: int = 1, *, slope: float) -> nn.Sequential:
    """Depthwise 3x3, then 1x1, each with norm and activation.

    Source: Howard et al., MobileNets, arXiv:1704.04861.
    """
    return nn.Sequential(
        *conv_norm(inputs, inputs, 3, stride=stride, groups=inputs),
        activation(slope),
        *conv_norm(inputs, outputs, 1),
        activation(slope),
    )


class MobileNetQuarter(nn.Module):
    """MobileNetV1 at a quarter of its width, without the classifier: maps of 64, 128 and 256 channels."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        separable = partial(separable_block, slope=slope)
        self.stage1 = nn.Sequential(
            conv_block(3, 8, 3, stride=2, slope=slope),
            separable(8, 16),
            separable(16, 32, 2),
            separable(32, 32),
            separable(32, 64, 2),
            separable(64, 64),
        )
        self.stage2 = nn.Sequential(separable(64, 128, 2), *(separable(128, 128) for _ in range(5)))
        self.stage3 = nn.Sequential(separable(128, 256, 2), separable(256, 256))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Maps at stride 8, 16 and 32."""
        at_8, at_16, at_32 = maps_of((self.stage1, self.stage2, self.stage3), image)
        return at_8, at_16, at_32


class ResNet50(nn.Module):
    """ResNet-50 without the classifier: maps of 512, 1024 and 2048 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_norm(3, 64, 7, stride=2)
        self.layer1 = bottlenecks(64, 64, 3, 1)
        self.layer2 = bottlenecks(256, 128, 4, 2)
        self.layer3 = bottlenecks(512, 256, 6, 2)
        self.layer4 = bottlenecks(1024, 512, 3, 2)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Maps at stride 8, 16 and 32."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(image))), 3, 2, 1)
        at_8 = self.layer2(self.layer1(x))
        at_16 = self.layer3(at_8)
        return at_8, at_16, self.layer4(at_16)


def upsample_to(x: Tensor, like: Tensor) -> Tensor:
    """``x`` enlarged to the exact height and width of ``like`` by repeating its nearest cell."""
    return F.interpolate(x, size=like.shape[2:], mode="nearest")


Heads = Iterable[nn.Module]
"""One for each level."""


def outputs_of(
    features: Iterable[Tensor], boxes: Heads, classes: Heads, points: Heads
) -> tuple[Tensor, Tensor, Tensor]:
    """From the features of every level: loc [B, N, 4], conf [B, N, 2] (softmax), landm [B, N, 10]."""
    maps = [[head(x) for head, x in zip(heads, features, strict=True)] for heads in (boxes, classes, points)]
    loc, conf, landm = (
        torch.cat([flatten_rows(x, row) for x in levels], 1) for levels, row in zip(maps, (4, 2, 10), strict=True)
    )
    return loc, conf.softmax(-1), landm

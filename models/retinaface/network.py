"""The RetinaFace networks in torch: imported only to read a checkpoint, to export and to train.

Every network maps a float32 image [B, 3, H, W] (BGR minus ``MEAN_BGR``; any H and W) to
loc [B, N, 4], conf [B, N, 2] (background, face; softmax) and landm [B, N, 10], rows in the order
(level, y, x, anchor). Attribute names are those of the official state dicts.

Source: Deng et al., RetinaFace, arXiv:1905.00641; biubug6/Pytorch_Retinaface and
biubug6/Face-Detector-1MB-with-landmark (both MIT) for the names and the widths.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from math import log

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..layers import conv_norm, he_initialised
from .backbones import (
    MobileNetQuarter,
    ResNet50,
    activation,
    conv_block,
    outputs_of,
    separable_block,
    upsample_to,
)
from .config import RetinaFaceConfig

FOREGROUND = 0.01
"""Probability of a face that training starts with."""

Outputs = tuple[Tensor, Tensor, Tensor]


def build_network(config: RetinaFaceConfig) -> nn.Module:
    """The network of ``config`` with fresh weights, in evaluation mode."""
    if config.backbone == "slim":
        return SsdFace(config, separable_block(64, 64, slope=0.0)).eval()
    if config.backbone == "rfb":
        return SsdFace(config, ReceptiveFieldBlock(64)).eval()
    return PyramidFace(config).eval()


class FeaturePyramid(nn.Module):
    """Lateral 1x1 convolutions and a top-down path of nearest upsampling, sum and 3x3 convolution."""

    def __init__(self, inputs: tuple[int, int, int], channels: int, slope: float) -> None:
        super().__init__()
        self.output1 = conv_block(inputs[0], channels, 1, slope=slope)
        self.output2 = conv_block(inputs[1], channels, 1, slope=slope)
        self.output3 = conv_block(inputs[2], channels, 1, slope=slope)
        self.merge1 = conv_block(channels, channels, 3, slope=slope)
        self.merge2 = conv_block(channels, channels, 3, slope=slope)

    def forward(self, at_8: Tensor, at_16: Tensor, at_32: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The three levels with ``channels`` channels each."""
        level3 = self.output3(at_32)
        lateral2 = self.output2(at_16)
        level2 = self.merge2(lateral2 + upsample_to(level3, lateral2))
        lateral1 = self.output1(at_8)
        return self.merge1(lateral1 + upsample_to(level2, lateral1)), level2, level3


class ContextModule(nn.Module):
    """3x3, 5x5 and 7x7 context from stacked 3x3 convolutions, side by side.

    Source: Najibi et al., SSH, arXiv:1708.03979.
    """

    def __init__(self, channels: int, slope: float) -> None:
        super().__init__()
        quarter = channels // 4
        self.conv3X3 = nn.Sequential(*conv_norm(channels, channels // 2, 3))
        self.conv5X5_1 = conv_block(channels, quarter, 3, slope=slope)
        self.conv5X5_2 = nn.Sequential(*conv_norm(quarter, quarter, 3))
        self.conv7X7_2 = conv_block(quarter, quarter, 3, slope=slope)
        self.conv7x7_3 = nn.Sequential(*conv_norm(quarter, quarter, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, channels, H, W] to the same shape."""
        shared = self.conv5X5_1(x)
        wide = self.conv7x7_3(self.conv7X7_2(shared))
        return F.relu(torch.cat([self.conv3X3(x), self.conv5X5_2(shared), wide], 1))


class Head(nn.Module):
    """One 1x1 convolution, under the name that the state dicts give it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1x1 = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, inputs, H, W] to [B, outputs, H, W]."""
        y: Tensor = self.conv1x1(x)
        return y


class PyramidFace(nn.Module):
    """Backbone, pyramid, context modules and heads: ``retinaface``, ``-resnet50`` and ``-1mb``."""

    def __init__(self, config: RetinaFaceConfig) -> None:
        super().__init__()
        deep = config.backbone == "resnet50"
        widths = (512, 1024, 2048) if deep else (64, 128, 256)
        channels, slope = config.channels, config.leaky_slope
        self.body = ResNet50() if deep else MobileNetQuarter(slope)
        self.fpn = FeaturePyramid(widths, channels, slope)
        self.ssh1, self.ssh2, self.ssh3 = (ContextModule(channels, slope) for _ in range(3))
        counts = [len(sides) for sides in config.min_sizes]
        self.ClassHead = nn.ModuleList([Head(channels, 2 * count) for count in counts])
        self.BboxHead = nn.ModuleList([Head(channels, 4 * count) for count in counts])
        self.LandmarkHead = nn.ModuleList([Head(channels, 10 * count) for count in counts])

    def forward(self, image: Tensor) -> Outputs:
        """See the module."""
        levels = self.fpn(*self.body(image))
        features = [ssh(level) for ssh, level in zip((self.ssh1, self.ssh2, self.ssh3), levels, strict=True)]
        return outputs_of(features, self.BboxHead, self.ClassHead, self.LandmarkHead)


class NormedConv(nn.Module):
    """Convolution and norm with an optional ReLU, under the names of the RFB state dict."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, dilation: int = 1, relu: bool = False) -> None:
        super().__init__()
        padding = dilation * (kernel // 2)
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, inputs, H, W] to [B, outputs, H, W]."""
        y: Tensor = self.bn(self.conv(x))
        return F.relu(y) if self.relu else y


class ReceptiveFieldBlock(nn.Module):
    """Three branches with dilations 2, 3 and 5, merged and added to a 1x1 shortcut (scale 1).

    Source: Liu et al., RFBNet, arXiv:1711.07767; widths as in the 1MB face detector.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = channels // 8
        wide, middle = 2 * narrow, narrow // 2 * 3
        self.branch0 = self._branch(channels, (narrow, wide), dilation=2)
        self.branch1 = self._branch(channels, (narrow, wide), dilation=3)
        self.branch2 = self._branch(channels, (narrow, middle, wide), dilation=5)
        self.ConvLinear = NormedConv(3 * wide, channels, 1)
        self.shortcut = NormedConv(channels, channels, 1)

    @staticmethod
    def _branch(channels: int, widths: tuple[int, ...], *, dilation: int) -> nn.Sequential:
        middle = [NormedConv(a, b, 3, relu=True) for a, b in pairwise(widths)]
        last = NormedConv(widths[-1], widths[-1], 3, dilation=dilation)
        return nn.Sequential(NormedConv(channels, widths[0], 1), *middle, last)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, channels, H, W] to the same shape."""
        branches = torch.cat([self.branch0(x), self.branch1(x), self.branch2(x)], 1)
        return F.relu(self.ConvLinear(branches) + self.shortcut(x))


def depthwise_head(inputs: int, outputs: int, *, stride: int = 1) -> nn.Sequential:
    """Depthwise 3x3 with bias, ReLU, 1x1 with bias."""
    depthwise = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs)
    return nn.Sequential(depthwise, activation(0.0), nn.Conv2d(inputs, outputs, 1))


class SsdFace(nn.Module):
    """Plain stack of separable convolutions with a head on four of its maps: ``-slim`` and ``-rfb``."""

    def __init__(self, config: RetinaFaceConfig, conv8: nn.Module) -> None:
        super().__init__()
        separable = partial(separable_block, slope=config.leaky_slope)
        self.conv1 = conv_block(3, 16, 3, stride=2, slope=config.leaky_slope)
        self.conv2, self.conv3, self.conv4 = separable(16, 32), separable(32, 32, 2), separable(32, 32)
        self.conv5, self.conv6, self.conv7 = separable(32, 64, 2), separable(64, 64), separable(64, 64)
        self.conv8 = conv8
        self.conv9, self.conv10, self.conv11 = separable(64, 128, 2), separable(128, 128), separable(128, 128)
        self.conv12, self.conv13 = separable(128, 256, 2), separable(256, 256)
        self.conv14 = nn.Sequential(
            nn.Conv2d(256, 64, 1), activation(0.0), depthwise_head(64, 256, stride=2), activation(0.0)
        )
        counts = [len(sides) for sides in config.min_sizes]
        self.loc, self.conf, self.landm = (self._heads(counts, row) for row in (4, 2, 10))

    @staticmethod
    def _heads(counts: list[int], row: int) -> nn.Sequential:
        *depthwise, last = zip((64, 128, 256, 256), counts, strict=True)
        heads: list[nn.Module] = [depthwise_head(inputs, count * row) for inputs, count in depthwise]
        return nn.Sequential(*heads, nn.Conv2d(last[0], last[1] * row, 3, padding=1))

    def forward(self, image: Tensor) -> Outputs:
        """See the module."""
        x = self.conv4(self.conv3(self.conv2(self.conv1(image))))
        at_8 = self.conv8(self.conv7(self.conv6(self.conv5(x))))
        at_16 = self.conv11(self.conv10(self.conv9(at_8)))
        at_32 = self.conv13(self.conv12(at_16))
        return outputs_of((at_8, at_16, at_32, self.conv14(at_32)), self.loc, self.conf, self.landm)


def start_from(network: nn.Module) -> None:
    """Sensible weights to start training from, in place: He initialisation; nearly every anchor says: no face."""
    for name, each in he_initialised(network, "fan_out"):
        head = name.startswith(("ClassHead", "BboxHead", "LandmarkHead", "loc.", "conf.", "landm."))
        if head and each.groups == 1:
            nn.init.normal_(each.weight, std=0.01)
        if name.startswith(("ClassHead", "conf.")) and each.bias is not None and each.groups == 1:
            nn.init.constant_(each.bias.data[0::2], log((1 - FOREGROUND) / FOREGROUND))

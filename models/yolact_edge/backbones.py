"""The backbones; needs torch. Attribute names are those of the official state dicts."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from ..layers import bottlenecks, conv_norm, maps_of
from .compact import CompactNet
from .config import YolactConfig

RESNET_BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3), "resnet152": (3, 8, 36, 3)}

MOBILENET_STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip
"""Expansion, channels, blocks, stride; stages 1 to 7, between the stem and the last 1x1."""

DARKNET_BLOCKS = (1, 2, 8, 8, 4)


def build_backbone(config: YolactConfig) -> ResNet | MobileNetV2 | DarkNet | CompactNet:
    """The backbone of ``config`` with fresh weights."""
    if config.backbone == "compact":
        return CompactNet(config)
    if config.backbone == "darknet53":
        return DarkNet()
    return MobileNetV2() if config.backbone == "mobilenetv2" else ResNet(RESNET_BLOCKS[config.backbone])


class ResNet(nn.Module):
    """A ResNet without its classifier: C3, C4 and C5."""

    channels = (512, 1024, 2048)

    def __init__(self, blocks: tuple[int, ...]) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_norm(3, 64, 7, stride=2)
        inputs = (64, 256, 512, 1024)
        self.layers = nn.ModuleList(
            bottlenecks(inputs[index], 64 << index, count, 1 if index == 0 else 2) for index, count in enumerate(blocks)
        )

    def forward(self, image: Tensor, taps: int = 3) -> list[Tensor]:
        """The first ``taps`` of the maps at stride 8, 16 and 32; deeper layers are not computed."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(image))), 3, 2, 1)
        return maps_of(self.layers[: taps + 1], x)[1:]


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise 3x3 (which takes the stride), linear 1x1, and a shortcut where the shapes allow it.

    Source: Sandler et al., MobileNetV2, arXiv:1801.04381.
    """

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        width = inputs * expansion
        expand = [] if expansion == 1 else [_conv_norm_relu6(inputs, width, 1)]
        depthwise = _conv_norm_relu6(width, width, 3, stride=stride, groups=width)
        self.conv = nn.Sequential(*expand, depthwise, *conv_norm(width, outputs, 1))
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, inputs, H, W] to [B, outputs, H / stride, W / stride]."""
        y: Tensor = self.conv(x)
        return x + y if self.shortcut else y


class MobileNetV2(nn.Module):
    """MobileNetV2 without its classifier: the ends of stages 3, 4 and 6.

    Stages 7 and 8 are in the published files, so they are here, but nothing reads what they would compute.
    """

    channels = (32, 64, 160)
    _taps = (3, 4, 6)

    def __init__(self) -> None:
        super().__init__()
        stages: list[nn.Module] = [_conv_norm_relu6(3, 32, 3, stride=2)]
        inputs = 32
        for expansion, outputs, count, stride in MOBILENET_STAGES:
            first = InvertedResidual(inputs, outputs, expansion, stride)
            others = (InvertedResidual(outputs, outputs, expansion, 1) for _ in range(count - 1))
            stages.append(nn.Sequential(first, *others))
            inputs = outputs
        self.layers = nn.ModuleList([*stages, _conv_norm_relu6(inputs, 1280, 1)])

    def forward(self, image: Tensor, taps: int = 3) -> list[Tensor]:
        """The first ``taps`` of the maps at stride 8, 16 and 32; deeper layers are not computed."""
        maps = maps_of(self.layers[: self._taps[taps - 1] + 1], image)
        return [maps[index] for index in self._taps[:taps]]


class DarkNetBlock(nn.Module):
    """1x1 to half the width, 3x3 back, and the shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = _conv_norm_leaky(channels, channels // 2, 1)
        self.conv2 = _conv_norm_leaky(channels // 2, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to the same shape."""
        y: Tensor = self.conv2(self.conv1(x))
        return x + y


class DarkNet(nn.Module):
    """DarkNet-53 without its classifier: the ends of stages 3, 4 and 5.

    Source: Redmon and Farhadi, YOLOv3, arXiv:1804.02767, table 1.
    """

    channels = (256, 512, 1024)

    def __init__(self) -> None:
        super().__init__()
        self._preconv = _conv_norm_leaky(3, 32, 3)
        stages: list[nn.Module] = []
        for index, count in enumerate(DARKNET_BLOCKS):
            width = 64 << index
            blocks = (DarkNetBlock(width) for _ in range(count))
            stages.append(nn.Sequential(_conv_norm_leaky(width // 2, width, 3, stride=2), *blocks))
        self.layers = nn.ModuleList(stages)

    def forward(self, image: Tensor, taps: int = 3) -> list[Tensor]:
        """The first ``taps`` of the maps at stride 8, 16 and 32; deeper layers are not computed."""
        return maps_of(self.layers[: taps + 2], self._preconv(image))[2:]


def _conv_norm_leaky(inputs: int, outputs: int, kernel: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(*conv_norm(inputs, outputs, kernel, stride=stride), nn.LeakyReLU(0.1))


def _conv_norm_relu6(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(*conv_norm(inputs, outputs, kernel, stride=stride, groups=groups), nn.ReLU6())

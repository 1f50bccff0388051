"""Layers that networks of several families are built of; needs torch.

Attribute names are those of torchvision, which the official state dicts of many projects share.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch import Tensor, nn
from torch.nn import functional as F


def conv_norm(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution without bias that keeps the size (at stride 1), and its norm."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs)]


class Bottleneck(nn.Module):
    """1x1, 3x3 (which takes the stride), 1x1 to four times the width, and the shortcut.

    Source: He et al., arXiv:1512.03385; the stride on the 3x3 as in torchvision.
    """

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_norm(inputs, width, 1)
        self.conv2, self.bn2 = conv_norm(width, width, 3, stride=stride)
        self.conv3, self.bn3 = conv_norm(width, 4 * width, 1)
        same = stride == 1 and inputs == 4 * width
        self.downsample = None if same else nn.Sequential(*conv_norm(inputs, 4 * width, 1, stride=stride))

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, inputs, H, W] to [B, 4 * width, H / stride, W / stride]."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


def bottlenecks(inputs: int, width: int, count: int, stride: int) -> nn.Sequential:
    """One stage of a ResNet; its first block takes the stride."""
    blocks = (Bottleneck(4 * width, width, 1) for _ in range(count - 1))
    return nn.Sequential(Bottleneck(inputs, width, stride), *blocks)


def maps_of(layers: Iterable[nn.Module], x: Tensor) -> list[Tensor]:
    """What each of ``layers`` makes of what the one before it gives, the first of ``x``."""
    maps = []
    for layer in layers:
        x = layer(x)
        maps.append(x)
    return maps


def flatten_rows(x: Tensor, row: int) -> Tensor:
    """[B, anchors * row, H, W] to [B, H * W * anchors, row], in the order (y, x, anchor)."""
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, row)


def he_initialised(network: nn.Module, mode: str) -> Iterator[tuple[str, nn.Conv2d]]:
    """Every convolution and its name, once it has weights by He's rule (``fan_in`` or ``fan_out``) and no bias."""
    for name, each in network.named_modules():
        if isinstance(each, nn.Conv2d):
            nn.init.kaiming_normal_(each.weight, mode=mode, nonlinearity="relu")
            if each.bias is not None:
                nn.init.zeros_(each.bias)
            yield name, each


class WithTables(nn.Module):
    """A network whose last inputs are fixed tables."""

    def __init__(self, network: nn.Module, tables: Iterable[Tensor]) -> None:
        super().__init__()
        self.network = network
        self.names: list[str] = []
        for table in tables:
            self.names.append(f"table{len(self.names)}")
            self.register_buffer(self.names[-1], table)

    def forward(self, *given: Tensor) -> object:
        """What the network gives for the other inputs."""
        return self.network(*given, *(getattr(self, name) for name in self.names))

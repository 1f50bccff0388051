"""The parts of the compact variant; needs torch.

Everything spatial is a dense 3x3 convolution with a norm. Separable ones need less than half of the operations in all,
but where vectors are wide (AVX-512) a step of training took as long.
"""

from __future__ import annotations

from math import log

from torch import Tensor, nn
from torch.nn import functional as F

from ..layers import conv_norm, he_initialised, maps_of
from .config import YolactConfig

FOREGROUND = 0.01
"""Probability of all classes together that training starts with."""


def dense(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """A 3x3 convolution with a norm."""
    return nn.Sequential(*conv_norm(inputs, outputs, 3, stride=stride))


class SharedConv(nn.Module):
    """As :func:`dense`, one for all levels of a pyramid, but each level has a norm of its own.

    What levels hold differs in its statistics: a norm that all share has, once it is fixed, those of none of them.
    """

    def __init__(self, channels: int, levels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(levels))

    def forward(self, x: Tensor, level: int) -> Tensor:
        """Map [B, channels, H, W] of a level to the same shape."""
        y: Tensor = self.norms[level](self.conv(x))
        return y


class Residual(nn.Module):
    """Two convolutions and the shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = dense(channels, channels), dense(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, channels, H, W] to the same shape."""
        return F.relu(x + self.second(F.relu(self.first(x))))


class CompactNet(nn.Module):
    """Convolutions that halve the map, and between them residual ones: C2, C3, C4 and C5."""

    def __init__(self, config: YolactConfig) -> None:
        super().__init__()
        first, *others = config.widths
        self.stem = _halved(3, first)
        stages, inputs = [], first
        for outputs, depth in zip(others, config.depths, strict=True):
            stages.append(nn.Sequential(*_halved(inputs, outputs), *(Residual(outputs) for _ in range(depth))))
            inputs = outputs
        self.layers = nn.ModuleList(stages)
        self.channels = tuple(others[1:])

    def forward(self, image: Tensor, taps: int = 3) -> list[Tensor]:
        """The map at stride 4 and the first ``taps`` at stride 8, 16 and 32; deeper layers are not computed."""
        return maps_of(self.layers[: taps + 1], self.stem(image))


class FinePrototypes(nn.Module):
    """Prototypes at stride 2, of P3 and of C2: small objects are a few cells of P3, and what is thin is lost at 4.

    Computed at stride 4, where a convolution costs a quarter; each cell then says what its four quarters are
    (Shi et al., sub-pixel convolution, arXiv:1609.05158).
    """

    def __init__(self, config: YolactConfig) -> None:
        super().__init__()
        width = config.widths[1]
        self.coarse = nn.Sequential(*conv_norm(config.channels, width, 1))
        self.fine = nn.Sequential(*conv_norm(width, width, 1))
        self.mixed = dense(width, config.channels)
        self.out = nn.Conv2d(config.channels, 4 * config.coefficients, 1)

    def forward(self, p3: Tensor, c2: Tensor) -> Tensor:
        """From [B, channels, h, w] and [B, width, Hp / 2, Wp / 2] to [B, Hp, Wp, coefficients]."""
        coarse = F.interpolate(self.coarse(p3), size=c2.shape[2:], mode="bilinear", align_corners=False)
        x = F.relu(self.mixed(F.relu(self.fine(c2) + coarse)))
        return F.pixel_shuffle(F.relu(self.out(x)), 2).permute(0, 2, 3, 1)


def start_from(network: nn.Module) -> None:
    """Sensible weights to start training from, in place.

    He initialisation; every anchor says background, but for 1 %; the warp moves nothing and changes nothing.
    """
    for name, each in he_initialised(network, "fan_in"):
        if name.startswith("prediction_layers") and name.endswith("_layer"):
            nn.init.normal_(each.weight, std=0.01)
        if name.endswith("conf_layer") and each.bias is not None:
            columns = each.bias.view(-1, network.prediction_layers[0].columns)
            nn.init.constant_(columns[:, 0], log((columns.shape[1] - 1) * (1 - FOREGROUND) / FOREGROUND))
        if name.startswith("flow_net.pred"):
            nn.init.zeros_(each.weight)
        if name.endswith(".scale") and each.bias is not None:
            nn.init.ones_(each.bias)


def _halved(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(*dense(inputs, outputs, 2), nn.ReLU())

"""What non-key frames need: the flow between two frames, the warp, and its refinement; needs torch."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...pipeline.types.picture import Size
from .compact import dense
from .config import YolactConfig
from .grid import grid_tables


class Motion(NamedTuple):
    """Where the features of a level come from, and how they change on the way.

    Attributes:
        flow: [B, 2, h, w], (x, y) from this frame back to the key frame, in ``1 / FLOW_UNIT`` of the map
            (:data:`.grid.FLOW_UNIT`).
        scale, bias: [B, channels, h, w], applied to the warped features.
    """

    flow: Tensor
    scale: Tensor
    bias: Tensor


class WarpGrid(NamedTuple):
    """What :func:`warp` needs to know of a map's size; see :func:`.grid.grid_tables`.

    Attributes:
        cells: int64 [1, 2, h, w], (x, y) of every cell.
        last: int64 [1, 2, 1, 1], x and y of the last cell.
        strides: int64 [1, 2, 1, 1], how far apart neighbours along x and along y are in a flat map.
        starts: int64 [B, 1, 1, 1], where the flat map of each frame of the batch begins.
        reach: float32 [1, 2, 1, 1], cells per unit of flow.
    """

    cells: Tensor
    last: Tensor
    strides: Tensor
    starts: Tensor
    reach: Tensor

    @classmethod
    def of(cls, size: Size, batch: int) -> WarpGrid:
        """For maps of ``size`` (height, width)."""
        return cls(**{name: torch.from_numpy(table) for name, table in grid_tables(size, batch).items()})


def warp(features: Tensor, flow: Tensor, grid: WarpGrid) -> Tensor:
    """Bilinear samples of ``features`` at every cell plus ``flow``; zero outside.

    The same as ``grid_sample`` with aligned corners, but the position of the cell itself is never a floating
    point number: a graph in bfloat16 rounds only the offset (2 parts in 1000) and not the absolute coordinate
    (up to a quarter of a cell on a map of 69).

    Args:
        features: [B, C, h, w].
        flow: [B, 2, h, w], see :class:`Motion`.
        grid: of this size.
    """
    offset = flow * grid.reach
    whole = offset.floor()
    part = offset - whole
    near = grid.cells + whole.long()
    far = near + 1
    near_in, far_in = (torch.minimum(each.clamp(min=0), grid.last) for each in (near, far))
    near_weight = (1 - part) * (near == near_in)
    far_weight = part * (far == far_in)
    (x1, y1), (x2, y2) = ((each * grid.strides).split(1, 1) for each in (near_in, far_in))
    (left, top), (right, bottom) = near_weight.split(1, 1), far_weight.split(1, 1)
    index = torch.cat([y1 + x1, y1 + x2, y2 + x1, y2 + x2], 1) + grid.starts
    weights = torch.cat([top * left, top * right, bottom * left, bottom * right], 1)
    channels = int(features.shape[1])  # a number in a traced graph too
    rows = F.embedding(index, features.permute(0, 2, 3, 1).reshape(-1, channels))
    return (rows * weights[..., None]).sum(1).permute(0, 3, 1, 2)


class Warp(nn.Module):
    """:func:`warp`, then scale and bias."""

    def forward(self, features: Tensor, motion: Motion, grid: WarpGrid) -> Tensor:
        """Map [B, channels, h, w] to the same shape."""
        return warp(features, motion.flow, grid) * motion.scale + motion.bias


def leaky_conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """A 3x3 convolution with LeakyReLU 0.1."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.LeakyReLU(0.1))


class PreConvs(nn.Module):
    """From the lateral of a frame to the map that the flow network compares, at stride 8 (compact: 16)."""

    def __init__(self, config: YolactConfig) -> None:
        super().__init__()
        stride = 2 if config.compact else 1
        self.convs = nn.ModuleList([leaky_conv(config.channels, config.flow_widths[0], stride)])

    def forward(self, lateral: Tensor) -> Tensor:
        """From [B, channels, h, w] to [B, 64, h, w] or what ``flow_widths`` says."""
        y: Tensor = self.convs[0](lateral)
        return y


class Prediction(nn.Module):
    """Flow, scale and bias from a map."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, 2, 3, padding=1, bias=False)
        self.scale = nn.Conv2d(inputs, channels, 1)
        self.bias = nn.Conv2d(inputs, channels, 1)

    def forward(self, x: Tensor) -> Motion:
        """Map [B, inputs, h, w] to a motion of the same height and width."""
        return Motion(self.conv(x), self.scale(x), self.bias(x))


class FlowNet(nn.Module):
    """Motion of P4 and P5 between two frames.

    The published files also hold a prediction for P3 (``pred1``, ``upfeat2``, ``upflow2``), which no published
    configuration warps: it has its place here and is not computed.
    """

    def __init__(self, config: YolactConfig) -> None:
        super().__init__()
        compared, at_8, at_16, at_32 = config.flow_widths
        channels = config.channels
        self.conv1 = nn.Sequential(leaky_conv(2 * compared, at_8), leaky_conv(at_8, at_8))
        self.conv2 = nn.Sequential(leaky_conv(at_8, at_16, 1 if config.compact else 2), leaky_conv(at_16, at_16))
        self.conv3 = nn.Sequential(leaky_conv(at_16, at_32, 2), leaky_conv(at_32, at_32))
        self.pred3 = Prediction(at_32, channels)
        self.upfeat3 = _plain_conv(at_32, at_16)
        self.upflow3 = _plain_conv(2, 2)
        self.pred2 = Prediction(2 * at_16 + 2, channels)
        if not config.compact:
            self.upfeat2 = _plain_conv(2 * at_16 + 2, at_8)
            self.upflow2 = _plain_conv(2, 2)
            self.pred1 = Prediction(2 * at_8 + 2, channels)

    def forward(self, target: Tensor, key: Tensor) -> tuple[Motion, Motion]:
        """From the two maps of :class:`PreConvs` to the motions of P4 and P5."""
        at_16 = self.conv2(self.conv1(torch.cat([target, key], 1)))
        at_32 = self.conv3(at_16)
        motion5 = self.pred3(at_32)
        features = self.upfeat3(resize_to(at_32, at_16))
        flow = self.upflow3(resize_to(motion5.flow, at_16))
        return self.pred2(torch.cat([at_16, features, flow], 1)), motion5


def _plain_conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)


class Refine(nn.Module):
    """Warped P4 and P5, refined with what the frame itself shows at C3."""

    def __init__(self, config: YolactConfig) -> None:
        super().__init__()
        both, channels = 2 * config.channels, config.channels

        def refine() -> nn.Sequential:
            if config.compact:
                return nn.Sequential(dense(both, channels), nn.LeakyReLU(0.1))
            return leaky_conv(both, channels)

        self.refine_convs = nn.ModuleList([refine() for _ in range(2)])

    def forward(self, lateral: Tensor, levels: list[Tensor]) -> list[Tensor]:
        """``levels`` with what their convolution makes of them and of the shrunk ``lateral`` added."""
        refined = []
        for level, conv in zip(levels, self.refine_convs, strict=True):
            lateral = resize_to(lateral, level)
            refined.append(level + conv(torch.cat([level, lateral], 1)))
        return refined


def resize_to(x: Tensor, like: Tensor) -> Tensor:
    """``x`` resized bilinearly to the exact height and width of ``like``."""
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)

"""The networks in torch: imported only to read a checkpoint, to export and to train.

A network maps a float32 image [B, 3, H, W] (normalised RGB, any H and W) to

- ``loc`` [B, P, 4] and ``logits`` [B, P, classes + 1] (background first, before the softmax), rows in the
  order (level, y, x, anchor),
- ``coeff`` [B, P, 32], after tanh,
- ``proto`` [B, Hp, Wp, 32], after ReLU.

Attribute names are those of the official state dicts, and every tensor of a published file has its place;
what only training or nobody reads (the semantic head, see also :mod:`.flow` and :mod:`.backbones`) is not computed.

Source: Bolya et al., YOLACT, arXiv:1904.02689; Liu et al., YolactEdge, arXiv:2012.12259;
dbolya/yolact and haotian-liu/yolact_edge (both MIT) for the names and the widths.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .backbones import build_backbone
from .config import ASPECTS, CHANNELS, COEFFICIENTS, YolactConfig
from .flow import FlowNet, PreConvs, Refine, Warp, WarpGrid, resize_to, warp

Outputs = tuple[Tensor, Tensor, Tensor, Tensor]
"""loc, logits, coeff, proto."""


class State(NamedTuple):
    """What a key frame leaves for the frames after it.

    Attributes:
        p4, p5: [B, 256, h, w], pyramid levels before their 3x3 convolution.
        pre: [B, 64, h, w], the map of the flow network.
    """

    p4: Tensor
    p5: Tensor
    pre: Tensor


def build_network(config: YolactConfig) -> Yolact:
    """The network of ``config`` with fresh weights, in evaluation mode."""
    network = YolactVideo(config) if config.flow else Yolact(config)
    network.eval()
    return network


class Pyramid(nn.Module):
    """Lateral convolutions, and the path from the deepest level down."""

    def __init__(self, inputs: tuple[int, ...]) -> None:
        super().__init__()
        self.lat_layers = nn.ModuleList([nn.Conv2d(each, CHANNELS, 1) for each in reversed(inputs)])

    def forward(self, maps: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        """From C3, C4, C5 to P3, P4, P5 before their own convolutions, and the lateral of C3."""
        lat5, lat4, lateral = (conv(each) for conv, each in zip(self.lat_layers, reversed(maps), strict=True))
        p4 = lat4 + resize_to(lat5, lat4)
        return [lateral + resize_to(p4, lateral), p4, lat5], lateral


class PyramidOutput(nn.Module):
    """A convolution for each level, and the two levels above P5."""

    def __init__(self) -> None:
        super().__init__()
        self.pred_layers = nn.ModuleList([nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(3)])
        self.downsample_layers = nn.ModuleList([nn.Conv2d(CHANNELS, CHANNELS, 3, 2, 1) for _ in range(2)])

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        """From P3, P4, P5 to P3 .. P7; the last two have no activation."""
        outputs = [F.relu(conv(x)) for conv, x in zip(reversed(self.pred_layers), levels, strict=True)]
        for conv in self.downsample_layers:
            outputs.append(conv(outputs[-1]))
        return outputs


class Prototypes(nn.Sequential):
    """The masks that all objects are made of; the numbers of the layers are those of the official state dicts."""

    def __init__(self) -> None:
        super().__init__()
        for index in (0, 2, 4, 8):
            self.add_module(str(index), nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1))
        self.add_module("10", nn.Conv2d(CHANNELS, COEFFICIENTS, 1))

    def forward(self, p3: Tensor) -> Tensor:
        """Map [B, 256, h, w] to [B, 2 h, 2 w, 32]."""
        first, second, third, fourth, last = self
        x = F.relu(third(F.relu(second(F.relu(first(p3))))))
        x = F.interpolate(x, size=[2 * x.shape[2], 2 * x.shape[3]], mode="bilinear", align_corners=False)
        return F.relu(last(F.relu(fourth(x)))).permute(0, 2, 3, 1)


class Head(nn.Module):
    """Boxes, classes and coefficients of every anchor; one set of weights for all levels."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.columns = columns
        self.upfeature = nn.Sequential(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1))
        self.bbox_layer, self.conf_layer, self.mask_layer = (
            nn.Conv2d(CHANNELS, len(ASPECTS) * each, 3, padding=1) for each in (4, columns, COEFFICIENTS)
        )

    def forward(self, levels: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """From [B, 256, h, w] of every level to [B, P, 4], [B, P, columns], [B, P, 32]."""
        shared = [F.relu(self.upfeature(x)) for x in levels]
        loc = torch.cat([flatten_rows(self.bbox_layer(x), 4) for x in shared], 1)
        logits = torch.cat([flatten_rows(self.conf_layer(x), self.columns) for x in shared], 1)
        coeff = torch.cat([flatten_rows(self.mask_layer(x), COEFFICIENTS) for x in shared], 1)
        return loc, logits, coeff.tanh()


class Yolact(nn.Module):
    """The image network."""

    def __init__(self, config: YolactConfig) -> None:
        super().__init__()
        self.backbone = build_backbone(config.backbone)
        self.fpn_phase_1 = Pyramid(self.backbone.channels)
        self.fpn_phase_2 = PyramidOutput()
        self.proto_net = Prototypes()
        self.prediction_layers = nn.ModuleList([Head(config.columns)])
        self.semantic_seg_conv = nn.Conv2d(CHANNELS, config.columns - 1, 1)

    def forward(self, image: Tensor) -> Outputs:
        """See the top of the module."""
        levels, _ = self.fpn_phase_1(self.backbone(image))
        return self.predict(levels)

    def predict(self, levels: list[Tensor]) -> Outputs:
        """From P3, P4, P5 before their own convolutions to the outputs."""
        outputs = self.fpn_phase_2(levels)
        return (*self.prediction_layers[0](outputs), self.proto_net(outputs[0]))


class YolactVideo(Yolact):
    """The video network: key frames go all the way, the others take P4 and P5 from the last key frame.

    Called as a module it takes every image as a key frame.
    """

    def __init__(self, config: YolactConfig) -> None:
        super().__init__(config)
        self.flow_net_pre_convs = PreConvs()
        self.flow_net = FlowNet()
        self.warp = Warp()
        self.spa = Refine() if config.spa else None

    def key(self, image: Tensor) -> tuple[Outputs, State]:
        """A key frame: its outputs, and what it leaves for the frames after it."""
        levels, lateral = self.fpn_phase_1(self.backbone(image))
        return self.predict(levels), State(levels[1], levels[2], self.flow_net_pre_convs(lateral))

    def non_key(
        self, image: Tensor, state: State, grids: tuple[WarpGrid, WarpGrid] | None = None
    ) -> tuple[Outputs, Tensor]:
        """Another frame, with the state of the last key frame; ``grids`` are those of P4 and P5 (None: made here).

        Returns:
            the outputs, and float32 [B]: how badly the warp explains the frame, see :func:`mismatch`.
        """
        lateral = self.fpn_phase_1.lat_layers[-1](self.backbone(image, taps=1)[0])
        pre = self.flow_net_pre_convs(lateral)
        motions = self.flow_net(pre, state.pre)
        if grids is None:
            sizes = [(each.shape[2], each.shape[3]) for each in state[:2]]
            grids = (WarpGrid.of(sizes[0], len(image)), WarpGrid.of(sizes[1], len(image)))
        evidence = mismatch(resize_to(pre, state.p4), resize_to(state.pre, state.p4), motions[0].flow, grids[0])
        p4, p5 = (self.warp(*each) for each in zip(state[:2], motions, grids, strict=True))
        p3 = lateral + resize_to(p4, lateral)  # of P4 as it is before the refinement
        if self.spa is not None:
            p4, p5 = self.spa(lateral, [p4, p5])
        return self.predict([p3, p4, p5]), evidence


def mismatch(target: Tensor, key: Tensor, flow: Tensor, grid: WarpGrid) -> Tensor:
    """How far maps of a frame are from those of its key frame after the warp.

    Args:
        target, key: [B, C, h, w].
        flow, grid: see :func:`.flow.warp`.

    Returns:
        float32 [B]: the mean difference over the mean magnitude; 0 is the same picture, about 1 another one.
    """
    difference = (target - warp(key, flow, grid)).abs().mean((1, 2, 3))
    return difference / target.abs().mean((1, 2, 3)).clamp(min=1e-6)


class KeyGraph(nn.Module):
    """Key frames as they are exported: an image in; outputs and state out."""

    def __init__(self, network: YolactVideo) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """The outputs, then the state."""
        outputs, state = self.network.key(image)
        return *outputs, *state


class NonKeyGraph(nn.Module):
    """Other frames as they are exported: an image, the state and the tables of both grids in; outputs out."""

    def __init__(self, network: YolactVideo) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, p4: Tensor, p5: Tensor, pre: Tensor, *tables: Tensor) -> tuple[Tensor, ...]:
        """The outputs, then the evidence."""
        count = len(WarpGrid._fields)
        grids = WarpGrid(*tables[:count]), WarpGrid(*tables[count:])
        outputs, evidence = self.network.non_key(image, State(p4, p5, pre), grids)
        return *outputs, evidence


def flatten_rows(x: Tensor, row: int) -> Tensor:
    """[B, anchors * row, H, W] to [B, H * W * anchors, row], in the order (y, x, anchor)."""
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, row)

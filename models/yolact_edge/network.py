"""The networks in torch: imported only to read a checkpoint, to export and to train.

A network maps a float32 image [B, 3, H, W] (normalised RGB, any H and W) to

- ``loc`` [B, P, 4] and ``logits`` [B, P, classes + 1] (background first, before the softmax), rows in the
  order (level, y, x, anchor),
- ``coeff`` [B, P, 32], after tanh (compact variants: ``x / (1 + |x|)``, which costs a tenth),
- ``proto`` [B, Hp, Wp, 32], after ReLU

(or another number of prototypes).

Attribute names are those of the official state dicts, and every tensor of a published file has its place; what only
training or nobody reads (the semantic head, see also :mod:`.flow` and :mod:`.backbones`) is not computed.

Source: Bolya et al., YOLACT, arXiv:1904.02689; Liu et al., YolactEdge, arXiv:2012.12259;
dbolya/yolact and haotian-liu/yolact_edge (both MIT) for the names and the widths.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..layers import flatten_rows
from .backbones import build_backbone
from .compact import FinePrototypes, SharedConv, dense, start_from
from .config import YolactConfig
from .flow import FlowNet, Motion, PreConvs, Refine, Warp, WarpGrid, resize_to, warp

Outputs = tuple[Tensor, Tensor, Tensor, Tensor]
"""loc, logits, coeff, proto."""


class State(NamedTuple):
    """What a key frame leaves for the frames after it.

    Attributes:
        p4, p5: [B, channels, h, w], pyramid levels before their 3x3 convolution.
        pre: [B, 64, h, w], the map of the flow network (compact: other widths).
    """

    p4: Tensor
    p5: Tensor
    pre: Tensor


class StateWithProtos(NamedTuple):
    """The same where prototypes are carried along: proto is [B, Hp, Wp, coefficients]."""

    p4: Tensor
    p5: Tensor
    pre: Tensor
    proto: Tensor


AnyState = State | StateWithProtos


Grids = tuple[WarpGrid, ...]
"""Of P4 and P5, and of the prototypes where they are carried along."""


class Look(NamedTuple):
    """A frame with what training needs on the way.

    Attributes:
        outputs: loc, logits, coeff, proto.
        inner: P3, P4 and P5 before their 3x3 convolutions; of a frame that is no key frame, P4 and P5 as warped
            and refined.
        levels: P3 .. P7 as prototypes and heads see them.
        state: of a key frame of a video network.
        motions: of P4 and P5, of a frame that is no key frame.
        evidence: [B], likewise; see :func:`mismatch`.
    """

    outputs: Outputs
    inner: list[Tensor]
    levels: list[Tensor]
    state: AnyState | None = None
    motions: tuple[Motion, Motion] | None = None
    evidence: Tensor | None = None


def build_network(config: YolactConfig) -> Yolact:
    """The network of ``config`` with fresh weights, in evaluation mode."""
    network = YolactVideo(config) if config.flow else Yolact(config)
    if config.compact:
        start_from(network)
    network.eval()
    return network


class Pyramid(nn.Module):
    """Lateral convolutions, and the path from the deepest level down."""

    def __init__(self, inputs: tuple[int, ...], channels: int) -> None:
        super().__init__()
        self.lat_layers = nn.ModuleList([nn.Conv2d(each, channels, 1) for each in reversed(inputs)])

    def forward(self, maps: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        """From C3, C4, C5 to P3, P4, P5 before their own convolutions, and the lateral of C3."""
        lat5, lat4, lateral = (conv(each) for conv, each in zip(self.lat_layers, reversed(maps), strict=True))
        p4 = lat4 + resize_to(lat5, lat4)
        return [lateral + resize_to(p4, lateral), p4, lat5], lateral


class PyramidOutput(nn.Module):
    """A convolution for each level, and the levels above P5."""

    def __init__(self, config: YolactConfig) -> None:
        super().__init__()
        above = len(config.strides) - 3
        self.pred_layers = nn.ModuleList([spatial(config) for _ in range(3)])
        self.downsample_layers = nn.ModuleList([spatial(config, 2) for _ in range(above)])

    def forward(self, levels: list[Tensor], count: int | None = None) -> list[Tensor]:
        """From P3, P4, P5 to P3 .. P7, or the finest ``count``, 3 or more; those above P5 have no activation."""
        outputs = [F.relu(conv(x)) for conv, x in zip(reversed(self.pred_layers), levels, strict=True)]
        above = None if count is None else count - len(outputs)
        for conv in self.downsample_layers[:above]:
            outputs.append(conv(outputs[-1]))
        return outputs


class Prototypes(nn.Sequential):
    """The masks that all objects are made of; the numbers of the layers are those of the official state dicts."""

    def __init__(self, config: YolactConfig) -> None:
        super().__init__()
        for index in (0, 2, 4, 8):
            self.add_module(str(index), spatial(config))
        self.add_module("10", nn.Conv2d(config.channels, config.coefficients, 1))

    def forward(self, p3: Tensor, c2: Tensor) -> Tensor:
        """Map [B, channels, h, w] to [B, 2 h, 2 w, coefficients]; ``c2`` is not looked at."""
        first, second, third, fourth, last = self
        x = F.relu(third(F.relu(second(F.relu(first(p3))))))
        x = F.interpolate(x, size=[2 * x.shape[2], 2 * x.shape[3]], mode="bilinear", align_corners=False)
        return F.relu(last(F.relu(fourth(x)))).permute(0, 2, 3, 1)


class Head(nn.Module):
    """Boxes, classes and coefficients of every anchor; one set of weights for all levels."""

    def __init__(self, config: YolactConfig, depth: int) -> None:
        super().__init__()
        self.columns, self.coefficients, self.compact = config.columns, config.coefficients, config.compact
        convolutions = (
            SharedConv(config.channels, len(config.strides)) if config.compact else spatial(config)
            for _ in range(depth)
        )
        self.upfeature = nn.Sequential(*convolutions)
        kernel = 1 if config.compact else 3
        self.bbox_layer, self.conf_layer, self.mask_layer = (
            nn.Conv2d(config.channels, len(config.aspects) * each, kernel, padding=kernel // 2)
            for each in (4, config.columns, config.coefficients)
        )

    def forward(self, levels: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """From [B, channels, h, w] of every level to [B, P, 4], [B, P, columns], [B, P, coefficients]."""
        shared = [self.shared(x, level) for level, x in enumerate(levels)]
        layers = (self.bbox_layer, 4), (self.conf_layer, self.columns), (self.mask_layer, self.coefficients)
        loc, logits, coeff = (torch.cat([flatten_rows(layer(x), row) for x in shared], 1) for layer, row in layers)
        return loc, logits, coeff / (1 + coeff.abs()) if self.compact else coeff.tanh()

    def shared(self, x: Tensor, level: int) -> Tensor:
        """Map [B, channels, h, w] of a level to the same shape."""
        for conv in self.upfeature:
            x = F.relu(conv(x, level) if self.compact else conv(x))
        return x


def spatial(config: YolactConfig, stride: int = 1) -> nn.Module:
    """A 3x3 convolution between maps of the pyramid's width, without activation."""
    if config.compact:
        return dense(config.channels, config.channels, stride)
    return nn.Conv2d(config.channels, config.channels, 3, stride, 1)


class Yolact(nn.Module):
    """The image network."""

    def __init__(self, config: YolactConfig) -> None:
        super().__init__()
        self.backbone = build_backbone(config)
        self.fpn_phase_1 = Pyramid(self.backbone.channels, config.channels)
        self.fpn_phase_2 = PyramidOutput(config)
        self.proto_net = FinePrototypes(config) if config.compact else Prototypes(config)
        depths = [config.head_depth] if config.slim_depth is None else [config.head_depth, config.slim_depth]
        self.prediction_layers = nn.ModuleList([Head(config, depth) for depth in depths])
        self.semantic_seg_conv = nn.Conv2d(config.channels, config.columns - 1, 1)

    def forward(self, image: Tensor) -> Outputs:
        """See the top of the module."""
        return self.look(image).outputs

    def look(self, image: Tensor) -> Look:
        """A frame by itself."""
        maps = self.backbone(image)
        inner, lateral = self.fpn_phase_1(maps[-3:])
        levels = self.fpn_phase_2(inner)
        proto = self.proto_net(levels[0], maps[0])
        state = self.state_of(inner, lateral, proto)
        return Look((*self.prediction_layers[0](levels), proto), inner, levels, state)

    def state_of(self, inner: list[Tensor], lateral: Tensor, proto: Tensor) -> AnyState | None:
        """What a frame leaves for those after it: nothing."""
        return None

    def semantic(self, levels: list[Tensor]) -> Tensor:
        """From P3 .. P7 to logits [B, classes, h, w] at stride 8, one sigmoid each: for a loss in training only."""
        logits: Tensor = self.semantic_seg_conv(levels[0])
        return logits


class YolactVideo(Yolact):
    """The video network: key frames go all the way, the others take P4 and P5 from the last key frame.

    Called as a module it takes every image as a key frame.
    """

    def __init__(self, config: YolactConfig) -> None:
        super().__init__(config)
        self.carry_protos, self.compact, self.slim_levels = config.carry_protos, config.compact, config.slim_levels
        self.flow_net_pre_convs = PreConvs(config)
        self.flow_net = FlowNet(config)
        self.warp = Warp()
        self.spa = Refine(config) if config.spa else None

    def key(self, image: Tensor) -> tuple[Outputs, AnyState]:
        """A key frame: its outputs, and what it leaves for the frames after it."""
        look = self.look(image)
        assert look.state is not None
        return look.outputs, look.state

    def state_of(self, inner: list[Tensor], lateral: Tensor, proto: Tensor) -> AnyState:
        """What a key frame leaves."""
        parts = inner[1], inner[2], self.flow_net_pre_convs(lateral)
        return StateWithProtos(*parts, proto) if self.carry_protos else State(*parts)

    def non_key(self, image: Tensor, state: AnyState, grids: Grids | None = None) -> tuple[Outputs, Tensor]:
        """Another frame, with the state of the last key frame; ``grids`` as :func:`grids_of` makes them (None: here).

        Returns:
            the outputs, and float32 [B]: how badly the warp explains the frame, see :func:`mismatch`.
        """
        follow = self.follow(image, state, grids)
        assert follow.evidence is not None
        return follow.outputs, follow.evidence

    def follow(self, image: Tensor, state: AnyState, grids: Grids | None = None) -> Look:
        """:meth:`non_key` with what training needs on the way."""
        grids = grids_of(state, len(image)) if grids is None else grids
        maps = self.backbone(image, taps=1)
        lateral = self.fpn_phase_1.lat_layers[-1](maps[-1])
        pre = self.flow_net_pre_convs(lateral)
        motions = self.flow_net(pre, state.pre)
        now, then = (each if self.compact else resize_to(each, state.p4) for each in (pre, state.pre))
        evidence = mismatch(now, then, motions[0].flow, grids[0])
        p4, p5 = (self.warp(*each) for each in zip(state[:2], motions, grids, strict=False))
        p3 = lateral + resize_to(p4, lateral)  # of P4 as it is before the refinement
        if self.spa is not None:
            p4, p5 = self.spa(lateral, [p4, p5])
        levels = self.fpn_phase_2([p3, p4, p5], self.slim_levels)
        if isinstance(state, StateWithProtos):
            proto = carried(state.proto, motions[0].flow, grids[2])
        else:
            proto = self.proto_net(levels[0], maps[0])
        outputs = *self.prediction_layers[-1](levels), proto
        return Look(outputs, [p3, p4, p5], levels, None, motions, evidence)


def grids_of(state: AnyState, batch: int) -> Grids:
    """The grids of the maps of ``state`` for ``batch`` frames."""
    sizes = [(each.shape[2], each.shape[3]) for each in (state.p4, state.p5)]
    if isinstance(state, StateWithProtos):
        sizes.append((state.proto.shape[1], state.proto.shape[2]))
    return tuple(WarpGrid.of(size, batch) for size in sizes)


def carried(proto: Tensor, flow: Tensor, grid: WarpGrid) -> Tensor:
    """The prototypes [B, Hp, Wp, K] of a key frame after the ``flow`` [B, 2, h, w] of P4."""
    maps = proto.permute(0, 3, 1, 2)
    return warp(maps, resize_to(flow, maps), grid).permute(0, 2, 3, 1)


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

    def forward(self, image: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        """The outputs, then the evidence."""
        kind = StateWithProtos if self.network.carry_protos else State
        count, states = len(WarpGrid._fields), len(kind._fields)
        grids = tuple(WarpGrid(*others[first : first + count]) for first in range(states, len(others), count))
        outputs, evidence = self.network.non_key(image, kind(*others[:states]), grids)
        return *outputs, evidence

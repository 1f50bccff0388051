"""A small matting network of our own, recurrent at two scales by gated convolutions (GRU). Random weights."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (6, 8)


class Gated(nn.Module):
    """A GRU of convolutions; a first state of any shape that can be spread over the features."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gates, self.candidate = nn.Conv2d(2 * width, 2 * width, 3, 1, 1), nn.Conv2d(2 * width, width, 3, 1, 1)

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        state = state.expand_as(x)
        reset, update = torch.sigmoid(self.gates(torch.cat([x, state], 1))).chunk(2, 1)
        candidate = torch.tanh(self.candidate(torch.cat([x, reset * state], 1)))
        return (1 - update) * state + update * candidate


class Matting(nn.Module):
    """float32 [B, 3, h, w] and two states -> ``fgr`` [B, 3, h, w], ``pha`` [B, 1, h, w] and the states of the next."""

    def __init__(self) -> None:
        super().__init__()
        one, two = WIDTHS
        self.first, self.second = nn.Conv2d(3, one, 3, 2, 1), nn.Conv2d(one, two, 3, 2, 1)
        self.memories = nn.ModuleList([Gated(one), Gated(two)])
        self.end = nn.Conv2d(one + two, 4, 1)

    def forward(self, src: Tensor, r1i: Tensor, r2i: Tensor) -> tuple[Tensor, ...]:
        r1o = self.memories[0](F.relu(self.first(src)), r1i)
        r2o = self.memories[1](F.relu(self.second(r1o)), r2i)
        large = [F.interpolate(each, size=src.shape[2:], mode="bilinear", align_corners=False) for each in (r1o, r2o)]
        residual, alpha = self.end(torch.cat(large, 1)).split([3, 1], 1)
        return (src + residual).clamp(0, 1), torch.sigmoid(alpha), r1o, r2o


def first_states(size: tuple[int, int], *, full: bool) -> list[Tensor]:
    """Zeros of the shape that states have for an input of ``size``, or [1, 1, 1, 1]."""
    height, width = size
    shapes = [(1, WIDTHS[0], height // 2, width // 2), (1, WIDTHS[1], height // 4, width // 4)]
    return [torch.zeros(shape if full else (1, 1, 1, 1)) for shape in shapes]


def open_axes() -> dict[str, dict[int, str]]:
    """All axes of the states open, and sides and batch of the pictures."""
    spatial = {0: "batch_size", 2: "height", 3: "width"}
    everything = {**spatial, 1: "channels"}
    axes: dict[str, Any] = dict.fromkeys(("src", "fgr", "pha", "r1o", "r2o"), spatial)
    return axes | dict.fromkeys(("r1i", "r2i"), everything)

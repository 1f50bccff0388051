"""YOLO-style networks of our own with random weights: tiny, but of the same operators and outputs as the usual ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

STRIDES = (8, 16, 32)
WIDTHS = (8, 12, 16)
BINS = 8
"""Of the distribution over distances from which each side of an anchor-free box is read."""


class Conv(nn.Sequential):
    def __init__(self, inside: int, outside: int, kernel: int = 1, stride: int = 1) -> None:
        convolution = nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False)
        super().__init__(convolution, nn.BatchNorm2d(outside), nn.SiLU())


class Bottleneck(nn.Module):
    def __init__(self, width: int, *, shortcut: bool) -> None:
        super().__init__()
        self.body, self.shortcut = Conv(width, width, 3), shortcut

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.shortcut else self.body(x)


class SplitStage(nn.Module):
    """As in v8: one half goes through, the other through a bottleneck, and all are mixed."""

    def __init__(self, inside: int, outside: int, *, shortcut: bool = False) -> None:
        super().__init__()
        self.before, self.block = Conv(inside, 2 * (outside // 2)), Bottleneck(outside // 2, shortcut=shortcut)
        self.after = Conv(3 * (outside // 2), outside)

    def forward(self, x: Tensor) -> Tensor:
        kept, passed = self.before(x).chunk(2, 1)
        return self.after(torch.cat([kept, passed, self.block(passed)], 1))


class PartialStage(nn.Module):
    """As in v5: two branches, one with a bottleneck."""

    def __init__(self, inside: int, outside: int, *, shortcut: bool = False) -> None:
        super().__init__()
        half = outside // 2
        self.deep = nn.Sequential(Conv(inside, half), Bottleneck(half, shortcut=shortcut))
        self.flat, self.after = Conv(inside, half), Conv(2 * half, outside)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(torch.cat([self.deep(x), self.flat(x)], 1))


class PyramidPool(nn.Module):
    """Poolings one after the other, side by side."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before, self.after = Conv(width, width // 2), Conv(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        maps = [self.before(x)]
        for _ in range(3):
            maps.append(functional.max_pool2d(maps[-1], 5, 1, 2))
        return self.after(torch.cat(maps, 1))


class Body(nn.Module):
    """A backbone, and features from the deepest map up and down again: three maps of ``WIDTHS``."""

    def __init__(self, stage: Callable[..., nn.Module]) -> None:
        super().__init__()
        a, b, c = WIDTHS
        self.stem = nn.Sequential(Conv(3, 8, 6 if stage is PartialStage else 3, 2), Conv(8, 8, 3, 2))
        self.stem[0][0].padding = (2, 2) if stage is PartialStage else (1, 1)
        self.down3 = nn.Sequential(Conv(8, a, 3, 2), stage(a, a, shortcut=True))
        self.down4 = nn.Sequential(Conv(a, b, 3, 2), stage(b, b, shortcut=True))
        self.down5 = nn.Sequential(Conv(b, c, 3, 2), stage(c, c, shortcut=True), PyramidPool(c))
        self.up4, self.up3 = stage(b + c, b), stage(a + b, a)
        self.back4, self.mix4 = Conv(a, a, 3, 2), stage(a + b, b)
        self.back5, self.mix5 = Conv(b, b, 3, 2), stage(b + c, c)

    def forward(self, image: Tensor) -> list[Tensor]:
        p3 = self.down3(self.stem(image))
        p4 = self.down4(p3)
        p5 = self.down5(p4)
        up4 = self.up4(torch.cat([functional.interpolate(p5, scale_factor=2.0), p4], 1))
        n3 = self.up3(torch.cat([functional.interpolate(up4, scale_factor=2.0), p3], 1))
        n4 = self.mix4(torch.cat([self.back4(n3), up4], 1))
        return [n3, n4, self.mix5(torch.cat([self.back5(n4), p5], 1))]


class Prototypes(nn.Module):
    """Prototypes of twice the side of the finest map."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.body, self.last = nn.Sequential(Conv(WIDTHS[0], 8, 3), nn.ConvTranspose2d(8, 8, 2, 2)), Conv(8, count)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.body(x))


def towers(outside: int) -> nn.ModuleList:
    return nn.ModuleList(nn.Conv2d(w, outside, 1) for w in WIDTHS)


def flat(maps: Sequence[Tensor]) -> Tensor:
    return torch.cat([each.flatten(2) for each in maps], 2)


def grid(size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Centres [2, A] of all places, in pixels of their map, and strides [1, A]."""
    centres, strides = [], []
    for stride in STRIDES:
        y, x = torch.meshgrid(torch.arange(size[0] // stride), torch.arange(size[1] // stride), indexing="ij")
        centres.append(torch.stack([x.flatten(), y.flatten()]) + 0.5)
        strides.append(torch.full((1, x.numel()), float(stride)))
    return torch.cat(centres, 1), torch.cat(strides, 1)


class AnchorFree(nn.Module):
    """v8, v11: [1, 4 + C (+ 32) (+ 3 K), A], and the prototypes where there are masks."""

    def __init__(self, size: tuple[int, int], classes: int, *, masks: int = 0, joints: int = 0) -> None:
        super().__init__()
        self.body, self.classes, self.joints = Body(SplitStage), classes, joints
        self.sides, self.scores = towers(4 * BINS), towers(classes)
        self.coefficients = towers(masks) if masks else None
        self.points = towers(3 * joints) if joints else None
        self.prototypes = Prototypes(masks) if masks else None
        centres, strides = grid(size)
        self.register_buffer("centres", centres)
        self.register_buffer("strides", strides)
        self.register_buffer("bins", torch.arange(BINS, dtype=torch.float32).view(1, BINS, 1, 1))

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        maps = self.body(image)
        sides = flat([tower(x) for tower, x in zip(self.sides, maps, strict=True)])
        shares = sides.view(1, 4, BINS, -1).transpose(1, 2).softmax(1)
        first, second = (shares * self.bins).sum(1).chunk(2, 1)
        low, high = self.centres - first, self.centres + second
        boxes = torch.cat([(low + high) / 2, high - low], 1) * self.strides
        rows = [boxes, flat([tower(x) for tower, x in zip(self.scores, maps, strict=True)]).sigmoid()]
        if self.coefficients is not None:
            rows.append(flat([tower(x) for tower, x in zip(self.coefficients, maps, strict=True)]))
        if self.points is not None:
            raw = flat([tower(x) for tower, x in zip(self.points, maps, strict=True)]).view(1, self.joints, 3, -1)
            places = (raw[:, :, :2] * 2 + (self.centres - 0.5)) * self.strides
            rows.append(torch.cat([places, raw[:, :, 2:].sigmoid()], 2).view(1, 3 * self.joints, -1))
        table = torch.cat(rows, 1)
        return table if self.prototypes is None else (table, self.prototypes(maps[0]))


class AnchorBased(nn.Module):
    """v5: [1, A, 5 + C (+ 32)], three anchors at each place, and the prototypes where there are masks."""

    def __init__(self, size: tuple[int, int], classes: int, *, masks: int = 0) -> None:
        super().__init__()
        self.body, self.columns = Body(PartialStage), 5 + classes + masks
        self.classes, self.heads = classes, towers(3 * self.columns)
        self.prototypes = Prototypes(masks) if masks else None
        for level, stride in enumerate(STRIDES):
            y, x = torch.meshgrid(torch.arange(size[0] // stride), torch.arange(size[1] // stride), indexing="ij")
            self.register_buffer(f"corner{level}", torch.stack([x, y], -1).float() - 0.5)
            sizes = torch.tensor([[1.5, 2.0], [2.5, 2.0], [3.0, 4.5]]) * stride
            self.register_buffer(f"anchors{level}", sizes.view(3, 1, 1, 2))

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        maps, found = self.body(image), []
        for level, (tower, x) in enumerate(zip(self.heads, maps, strict=True)):
            height, width = x.shape[2:]
            raw = tower(x).view(1, 3, self.columns, height, width).permute(0, 1, 3, 4, 2)
            centre, extent, scores, behind = raw.split([2, 2, 1 + self.classes, self.columns - 5 - self.classes], 4)
            centre = (centre.sigmoid() * 2 + getattr(self, f"corner{level}")) * STRIDES[level]
            extent = (extent.sigmoid() * 2) ** 2 * getattr(self, f"anchors{level}")
            rows = torch.cat([centre, extent, scores.sigmoid(), behind], 4)
            found.append(rows.reshape(1, -1, self.columns))
        table = torch.cat(found, 1)
        return table if self.prototypes is None else (table, self.prototypes(maps[0]))


class EndToEnd(nn.Module):
    """v10: the best rows of an anchor-free network, [1, N, 6 (+ 32)], and the prototypes where there are masks."""

    def __init__(self, network: AnchorFree, rows: int = 40) -> None:
        super().__init__()
        self.network, self.rows = network, rows

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        given = self.network(image)
        table, *others = given if isinstance(given, tuple) else (given,)
        centre, extent, scores, behind = table.transpose(1, 2).split(
            [2, 2, self.network.classes, table.shape[1] - 4 - self.network.classes], 2
        )
        best, labels = scores.max(2, keepdim=True)
        index = best.topk(self.rows, 1).indices
        all_rows = torch.cat([centre - extent / 2, centre + extent / 2, best, labels.float(), behind], 2)
        found = all_rows.gather(1, index.expand(-1, -1, all_rows.shape[2]))
        return (found, *others) if others else found


def seeded(network: nn.Module, image: Tensor, seed: int) -> nn.Module:
    """Random weights and norms that have seen ``image``; its towers give N(0, 1), but few high scores."""
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean over all pictures
    with torch.no_grad():
        network.train()(image)
        for name, module in network.eval().named_modules():
            if isinstance(module, nn.ModuleList) and name.split(".")[-1] != "prototypes":
                for tower in module:
                    tower.register_forward_hook(_normal(name.split(".")[-1]))
        network(image)
    for module in network.modules():
        module._forward_hooks.clear()
        if isinstance(module, Conv):  # as before every export
            module[0], module[1] = fuse_conv_bn_eval(module[0], module[1]), nn.Identity()
    return network


def _normal(kind: str) -> Callable[[nn.Conv2d, tuple[Tensor, ...], Tensor], None]:
    def change(last: nn.Conv2d, _: tuple[Tensor, ...], given: Tensor) -> None:
        deviation, mean = torch.std_mean(given, (0, 2, 3))
        last.weight /= deviation[:, None, None, None]
        last.bias -= mean
        last.bias /= deviation
        if kind == "scores":
            last.weight *= 2
            last.bias *= 2
            last.bias -= 3
        elif kind == "heads":  # of box, objectness and scores: none of the boxes is thin
            last.weight.view(3, -1, last.in_channels)[:, :4] *= 0.5
            last.bias.view(3, -1)[:, :4] *= 0.5
            last.bias.view(3, -1)[:, 4] -= 2

    return change

"""A small RT-DETR of our own: backbone, encoder with attention, decoder with attention to sampled points.

Random weights; what it computes is what published networks compute, not what they have learned. Attention is
written out in plain operations, as exporters write it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH, HEADS, POINTS, QUERIES = 32, 4, 4, 20


def conv(inside: int, outside: int, stride: int = 2) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside), nn.SiLU())


class Attention(nn.Module):
    """Of several heads: softmax(Q K^T / sqrt(d)) V."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        def split(x: Tensor) -> Tensor:
            return x.view(1, -1, HEADS, WIDTH // HEADS).transpose(1, 2)

        q, k, v = split(self.query(queries)), split(self.key(keys)), split(self.value(values))
        weights = torch.softmax(q @ k.transpose(-1, -2) * (WIDTH // HEADS) ** -0.5, -1)
        mixed: Tensor = self.out((weights @ v).transpose(1, 2).reshape(1, -1, WIDTH))
        return mixed


class SampledAttention(nn.Module):
    """Of each query to a few points around its box, on one map (deformable attention)."""

    def __init__(self) -> None:
        super().__init__()
        self.offsets, self.weights = nn.Linear(WIDTH, HEADS * POINTS * 2), nn.Linear(WIDTH, HEADS * POINTS)
        self.value, self.out = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, queries: Tensor, boxes: Tensor, memory: Tensor, size: tuple[int, int]) -> Tensor:
        values = self.value(memory).view(1, size[0], size[1], HEADS, WIDTH // HEADS)
        maps = values.permute(0, 3, 4, 1, 2).reshape(HEADS, WIDTH // HEADS, size[0], size[1])
        offsets = self.offsets(queries).view(QUERIES, HEADS, POINTS, 2)
        places = boxes[0, :, None, None, :2] + offsets / POINTS * boxes[0, :, None, None, 2:] * 0.5
        grid = (2 * places - 1).permute(1, 0, 2, 3)  # [heads, queries, points, 2]
        sampled = F.grid_sample(maps, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        weights = torch.softmax(self.weights(queries).view(QUERIES, HEADS, POINTS), -1).permute(1, 0, 2)
        mixed = (sampled * weights[:, None]).sum(-1)  # [heads, width of a head, queries]
        summed: Tensor = self.out(mixed.reshape(WIDTH, QUERIES).t()[None])
        return summed


class Feedforward(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))


class DecoderLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.among, self.across, self.forward_part = Attention(), SampledAttention(), Feedforward()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(3))

    def forward(self, x: Tensor, position: Tensor, boxes: Tensor, memory: Tensor, size: tuple[int, int]) -> Tensor:
        x = self.norms[0](x + self.among(x + position, x + position, x))
        x = self.norms[1](x + self.across(x + position, boxes, memory, size))
        placed: Tensor = self.norms[2](x + self.forward_part(x))
        return placed


def anchors(height: int, width: int) -> Tensor:
    """A box around each place of a map, before the sigmoid: [1, places, 4]."""
    y, x = torch.meshgrid((torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij")
    centres = torch.stack([x, y], -1).reshape(1, -1, 2)
    return torch.logit(torch.cat([centres, torch.full_like(centres, 0.2)], -1), 1e-5)


class Detr(nn.Module):
    """float32 [1, 3, h, w] -> logits [1, 20, columns] and boxes [1, 20, 4] (cxcywh, relative); or finished rows.

    Queries are the best places of the encoder's map, as in RT-DETR; each layer of the decoder refines the boxes.
    """

    def __init__(self, size: tuple[int, int], columns: int, *, finished: bool = False) -> None:
        super().__init__()
        self.map_size = (size[0] // 16, size[1] // 16)
        self.register_buffer("anchors", anchors(*self.map_size))
        self.columns, self.finished = columns, finished
        self.backbone = nn.Sequential(conv(3, 8), conv(8, 16), conv(16, 24), conv(24, WIDTH))
        self.attention, self.forward_part = Attention(), Feedforward()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.place_scores, self.place_boxes = nn.Linear(WIDTH, columns), nn.Linear(WIDTH, 4)
        self.position = nn.Sequential(nn.Linear(4, 2 * WIDTH), nn.ReLU(), nn.Linear(2 * WIDTH, WIDTH))
        self.layers = nn.ModuleList(DecoderLayer() for _ in range(2))
        self.refine = nn.ModuleList(nn.Linear(WIDTH, 4) for _ in range(2))
        self.classify = nn.Linear(WIDTH, columns)

    def forward(self, images: Tensor, sizes: Tensor | None = None) -> tuple[Tensor, ...]:
        maps = self.backbone(images)
        memory = maps.flatten(2).transpose(1, 2)
        memory = self.norms[0](memory + self.attention(memory, memory, memory))
        memory = self.norms[1](memory + self.forward_part(memory))
        best = torch.topk(self.place_scores(memory).amax(-1), QUERIES, dim=1).indices
        x = torch.gather(memory, 1, best[..., None].expand(-1, -1, WIDTH))
        boxes = torch.sigmoid(self.place_boxes(x) + self.anchors[0, best[0]])
        for layer, refine in zip(self.layers, self.refine, strict=True):
            x = layer(x, self.position(boxes), boxes, memory, self.map_size)
            boxes = torch.sigmoid(refine(x) + torch.logit(boxes, 1e-5))
        logits = self.classify(x) * 3
        if not self.finished:
            return logits, boxes
        return self.rows(logits, boxes, sizes)

    def rows(self, logits: Tensor, boxes: Tensor, sizes: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Labels, boxes (x1, y1, x2, y2) in units of ``sizes`` (width, height), scores: the best pairs."""
        assert sizes is not None
        scores, index = torch.topk(torch.sigmoid(logits).flatten(1), QUERIES, dim=1)
        rows, labels = index // self.columns, index % self.columns
        centre, size = boxes[..., :2], boxes[..., 2:]
        corners = torch.cat([centre - size / 2, centre + size / 2], -1) * sizes.repeat(1, 2)[:, None].to(boxes.dtype)
        return labels, torch.gather(corners, 1, rows[..., None].expand(-1, -1, 4)), scores

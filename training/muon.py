"""Muon: momentum whose every step is made orthogonal, for convolutions; AdamW for everything else.

Source: Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024,
https://kellerjordan.github.io/posts/muon (the iteration and its coefficients).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import AdamW

MOMENTUM = 0.95
ITERATIONS = 5
COEFFICIENTS = (3.4445, -4.775, 2.0315)
"""Of the iteration of Newton and Schulz, of degree 5; five rounds bring singular values to between 0.7 and 1.2."""
FACTOR = 6.0
"""The rate of convolutions over that of everything else."""
LEAST_SIDE = 8
"""Convolutions with fewer outputs, or fewer inputs to each, are left to AdamW."""


class Muon(AdamW):
    """For networks of convolutions: those without bias (which have a norm after them) and without groups."""

    def __init__(self, network: nn.Module, rate: float, decay: float) -> None:
        """Of all weights of ``network`` that are trained.

        Args:
            network: its convolutions decide which weights are whose.
            rate: the learning rate; of convolutions it is ``FACTOR`` times that.
            decay: weight decay of what has two dimensions or more.
        """
        hidden = {id(each.weight) for each in network.modules() if isinstance(each, nn.Conv2d) and _is_hidden(each)}
        trained = [each for each in network.parameters() if each.requires_grad]
        others = [each for each in trained if id(each) not in hidden]
        convolutions = [each for each in trained if id(each) in hidden]
        groups = [*decaying(others, decay), {"params": convolutions, "weight_decay": decay, "factor": FACTOR}]
        super().__init__([group for group in groups if group["params"]], lr=rate)

    def step(self, closure: Any = None) -> None:
        """Change the weights; gradients of convolutions are gone afterwards."""
        assert closure is None
        with torch.no_grad():
            for group in self.param_groups:
                if "factor" in group:
                    for weight in group["params"]:
                        self._step_orthogonal(weight, group["lr"], group["weight_decay"])
        super().step()  # weights without gradient are left alone

    def _step_orthogonal(self, weight: Tensor, rate: float, decay: float) -> None:
        if weight.grad is None:
            return
        state = self.state[weight]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
            state["step"] = torch.zeros(())  # AdamW expects one of all states that it loads
        state["momentum"].lerp_(weight.grad, 1 - MOMENTUM)
        ahead = weight.grad.lerp(state["momentum"], MOMENTUM).reshape(len(weight), -1)
        longer = max(1.0, ahead.shape[0] / ahead.shape[1]) ** 0.5
        weight.mul_(1 - rate * decay)
        weight.add_(orthogonal(ahead).reshape(weight.shape), alpha=-rate * longer)
        weight.grad = None


def decaying(weights: list[nn.Parameter], decay: float) -> list[dict[str, Any]]:
    """Two groups for an optimizer: weights that decay, and those of fewer than two dimensions (norms, biases)."""
    return [
        {"params": [each for each in weights if each.ndim >= 2], "weight_decay": decay},
        {"params": [each for each in weights if each.ndim < 2], "weight_decay": 0.0},
    ]


def orthogonal(matrix: Tensor) -> Tensor:
    """The nearest matrix whose singular values are all about 1 (0.7 to 1.2): float32 [M, N]."""
    flat = matrix.shape[0] <= matrix.shape[1]
    x = matrix if flat else matrix.T
    x = x / (x.norm() + 1e-7)
    a, b, c = COEFFICIENTS
    square, product = x @ x.T, torch.eye(len(x))
    for _ in range(ITERATIONS):  # x itself, which is longer, takes part in the end only
        factor = b * square + c * (square @ square)
        factor.diagonal().add_(a)
        product, square = factor @ product, factor @ square @ factor
    x = product @ x
    return x if flat else x.T


def _is_hidden(conv: nn.Conv2d) -> bool:
    inputs = conv.weight[0].numel()
    return conv.bias is None and conv.groups == 1 and min(conv.out_channels, inputs) >= LEAST_SIDE

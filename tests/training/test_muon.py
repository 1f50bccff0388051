"""Muon: steps of convolutions are orthogonal, the rest is AdamW's, and a training goes on as it would have."""

from __future__ import annotations

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch (the extra 'torch')")

from torch import nn  # noqa: E402
from vidgraph.training.muon import FACTOR, Muon, orthogonal  # noqa: E402


def network() -> nn.Module:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(16)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, bias=False), norm, nn.ReLU(), nn.Conv2d(16, 16, 3, groups=16, bias=False),
        nn.Conv2d(16, 12, 1, bias=False), nn.Conv2d(12, 4, 1, bias=False), nn.Conv2d(12, 8, 1),
    )  # fmt: skip


HIDDEN = ("0.weight", "4.weight")
"""Neither grouped, nor with a bias, nor with too few outputs."""


def with_gradients(net: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for each in net.parameters():
        each.grad = torch.randn(each.shape, generator=generator)


@pytest.mark.parametrize("shape", [(12, 50), (50, 12), (16, 16)])
def test_orthogonal_matrices(shape: tuple[int, int]) -> None:
    """Singular values come to about 1; the singular vectors stay, so that it is the nearest such matrix."""
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    found = orthogonal(matrix)
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.6
    assert values.max() < 1.3
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    inner = left.T @ found @ right.T
    np.testing.assert_allclose(inner - torch.diag(torch.diag(inner)), 0.0, atol=1e-4)


def test_convolutions_take_orthogonal_steps() -> None:
    net = network()
    before = copy.deepcopy(net.state_dict())
    optimizer = Muon(net, 0.01, 0.1)
    with_gradients(net, 0)
    gradients = {name: each.grad.clone() for name, each in net.named_parameters() if each.grad is not None}
    optimizer.step()
    for name in HIDDEN:
        weight, old = net.state_dict()[name], before[name]
        rate = 0.01 * 1.0  # the factor is the trainer's to apply: groups say it
        longer = max(1.0, len(old) / old[0].numel()) ** 0.5
        wanted = old * (1 - rate * 0.1) - rate * longer * orthogonal(gradients[name].flatten(1)).reshape(old.shape)
        np.testing.assert_allclose(weight, wanted, atol=2e-6)
    assert [group.get("factor", 1.0) for group in optimizer.param_groups] == [1.0, 1.0, FACTOR]


def test_everything_else_is_adamw() -> None:
    nets = network(), network()
    muon = Muon(nets[0], 0.01, 0.1)
    weights = dict(nets[1].named_parameters())
    groups = [
        {"params": [each for name, each in weights.items() if each.ndim >= 2], "weight_decay": 0.1},
        {"params": [each for name, each in weights.items() if each.ndim < 2], "weight_decay": 0.0},
    ]
    adam = torch.optim.AdamW(groups, lr=0.01)
    for step in range(3):
        for net, optimizer in zip(nets, (muon, adam), strict=True):
            with_gradients(net, step)
            optimizer.step()
    ours, theirs = (net.state_dict() for net in nets)
    assert [name for name in weights if not torch.equal(ours[name], theirs[name])] == list(HIDDEN)


def test_goes_on_from_its_state() -> None:
    whole = network()
    optimizer = Muon(whole, 0.01, 0.1)
    for step in range(2):
        with_gradients(whole, step)
        optimizer.step()
    resumed = network()
    resumed.load_state_dict(whole.state_dict())
    other = Muon(resumed, 0.01, 0.1)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for net, each in ((whole, optimizer), (resumed, other)):
        with_gradients(net, 7)
        each.step()
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name])

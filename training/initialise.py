"""The weights from which training of faces starts."""

from __future__ import annotations

from math import log

from torch import nn

FOREGROUND = 0.01
"""Probability of a face that training starts with."""


def initialise_faces(network: nn.Module) -> None:
    """Of RetinaFace: He initialisation, and nearly every anchor says that there is no face."""
    for name, each in network.named_modules():
        if not isinstance(each, nn.Conv2d):
            continue
        nn.init.kaiming_normal_(each.weight, mode="fan_out", nonlinearity="relu")
        if each.bias is not None:
            nn.init.zeros_(each.bias)
        head = name.startswith(("ClassHead", "BboxHead", "LandmarkHead", "loc.", "conf.", "landm."))
        if head and each.groups == 1:
            nn.init.normal_(each.weight, std=0.01)
        if name.startswith(("ClassHead", "conf.")) and each.bias is not None and each.groups == 1:
            nn.init.constant_(each.bias.data[0::2], log((1 - FOREGROUND) / FOREGROUND))

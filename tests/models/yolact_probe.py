"""Runs the YolactEdge networks and keeps what passes between their parts, under the names of the golden files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
OUTPUTS = ("loc", "logits", "coeff", "proto")
STATE = ("state_p4", "state_p5", "state_pre")


def image(network: Any, picture: Any) -> tuple[Arrays, Arrays]:
    """Outputs and levels of an image network."""
    with probed(network) as taps:
        outputs = network(picture)
    return to_numpy(dict(zip(OUTPUTS, outputs, strict=True))), to_numpy(taps)


def key_frame(network: Any, picture: Any) -> tuple[Arrays, Arrays]:
    """Outputs with state, and levels, of a key frame."""
    with probed(network) as taps:
        outputs, state = network.key(picture)
    return to_numpy(dict(zip((*OUTPUTS, *STATE), (*outputs, *state), strict=True))), to_numpy(taps)


def non_key_frame(network: Any, picture: Any, state: tuple[Any, ...]) -> tuple[Arrays, Arrays]:
    """Outputs and levels of another frame."""
    from vidgraph.models.yolact_edge.network import State

    with probed(network) as taps:
        outputs, evidence = network.non_key(picture, State(*state))
    taps["flow_pre_key"] = state[2]
    return to_numpy(dict(zip((*OUTPUTS, "evidence"), (*outputs, evidence), strict=True))), to_numpy(taps)


def to_numpy(tensors: dict[str, Any]) -> Arrays:
    return {name: tensor.numpy() for name, tensor in tensors.items()}


@contextmanager
def probed(network: Any) -> Iterator[dict[str, Any]]:
    """The levels of the runs inside of the ``with``."""
    taps: dict[str, Any] = {}

    def keep(**named: Any) -> None:
        taps.update(named)

    def warped(module: Any, given: Any, out: Any) -> None:
        keep(**{"warped_P5" if "warped_P4" in taps else "warped_P4": out})

    def flow(module: Any, given: Any, out: Any) -> None:
        for level, motion in zip(("P4", "P5"), out, strict=True):
            keep(
                **{f"flow_{level}": motion.flow, f"flow_scale_{level}": motion.scale, f"flow_bias_{level}": motion.bias}
            )

    hooks = {
        "backbone": lambda module, given, out: keep(**dict(zip(("C3", "C4", "C5"), out))),  # noqa: B905 (fewer taps)
        "fpn_phase_1.lat_layers.2": lambda module, given, out: keep(lateral_C3=out),
        "fpn_phase_2": lambda module, given, out: keep(
            **dict(zip(("phase1_P3", "phase1_P4", "phase1_P5"), given[0], strict=True)),
            **dict(zip(("P3", "P4", "P5", "P6", "P7"), out, strict=True)),
        ),
        "flow_net_pre_convs": lambda module, given, out: keep(flow_pre_target=out),
        "flow_net": flow,
        "warp": warped,
    }
    parts = dict(network.named_modules())
    handles = [parts[name].register_forward_hook(hook) for name, hook in hooks.items() if name in parts]
    try:
        yield taps
    finally:
        for handle in handles:
            handle.remove()

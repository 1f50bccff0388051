"""What tests of a network's post-processing on a card share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from vidgraph.kernels import Device
from vidgraph.kernels.cuda import driver
from vidgraph.kernels.device import DEVICES, to_device
from vidgraph.pipeline.types.detections import Detections

from ..emulator import EmulatedDriver

CARD = Device("cuda", 0)
Outputs = dict[str, np.ndarray]


@pytest.fixture(params=[0, 1, *(["cuda"] if DEVICES["cuda"].count() else [])])
def reads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[int] | None:
    """Puts a card in place: bytes of each transfer from an emulated one; None for a real one."""
    if request.param == "cuda":
        return None
    emulated = EmulatedDriver(request.param)
    monkeypatch.setattr(driver, "_drivers", [emulated])
    return emulated.reads


def on_card(outputs: Outputs) -> dict[str, Any]:
    return {name: to_device(array, CARD) for name, array in outputs.items()}


def check_one_wait(reads: list[int] | None, *, large: int = 0) -> None:
    """One transfer, which was the only wait, since this was asked last; with masks of ``large`` bytes a second one."""
    if reads is not None:
        assert reads[1:] == ([large] if large else [])
        assert len(reads) == 1 + bool(large)
        reads.clear()


def check_same(got: Detections, want: Detections) -> None:
    for name in ("boxes", "scores", "class_ids"):
        np.testing.assert_array_equal(getattr(got, name), getattr(want, name))
    assert (got.masks is None) == (want.masks is None)
    for name in ("boxes", "bits", "offsets") if want.masks is not None else ():
        np.testing.assert_array_equal(getattr(got.masks, name), getattr(want.masks, name))

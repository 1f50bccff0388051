"""A card that is not there: emulated kernels, and networks that ONNX Runtime runs in place of TensorRT.

This module is the module of the engine, by one row; memory, streams and kernels are asked for as of a real driver.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from vidgraph.engines import ENGINES, EngineOptions, EngineRow, check_feeds, onnxruntime
from vidgraph.engines.spec import EngineDescription
from vidgraph.kernels.device import DEVICES, Device, to_device

from . import EmulatedDriver, libcuda

ENGINE = "emulated-card"


class OnCard:
    """An engine whose inputs and outputs lie on the card."""

    engine = ENGINE

    def __init__(self, path: Path, options: EngineOptions) -> None:
        self._host = onnxruntime.open_network(path, replace(options, device="cpu"))
        self.name, self.device, self.precision = self._host.name, options.device, self._host.precision
        self.inputs, self.outputs = self._host.inputs, self._host.outputs

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        there = Device.of(self.device)
        given = check_feeds(self.name, self.inputs, feeds, there)
        answers = self._host.run({name: array.to_host() for name, array in given.items()})
        return {name: to_device(array, there) for name, array in answers.items()}

    def close(self) -> None:
        self._host.close()


def open_network(path: Path, options: EngineOptions) -> OnCard:
    return OnCard(path, options)


def describe() -> EngineDescription:
    return EngineDescription("1.0", ("cuda",), ("fp32",))


def plug_in(monkeypatch: pytest.MonkeyPatch, seed: int = 0) -> EmulatedDriver:
    """The machine has one card, and an engine for it; gives what runs its kernels."""
    emulated = EmulatedDriver(seed)
    libcuda.plug_in(monkeypatch, emulated, seed)
    monkeypatch.setitem(DEVICES, "cuda", replace(DEVICES["cuda"], count=lambda: 1))
    row = EngineRow(ENGINE, __name__, package="onnxruntime", extra="onnxruntime", devices=("cuda",), wants="device")
    monkeypatch.setitem(ENGINES, ENGINE, row)
    return emulated

"""A card that is not there: emulated kernels, and networks that ONNX Runtime runs in place of TensorRT.

This module is the module of the engine, by one row; memory, streams and kernels are asked for as of a real driver.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.engines import ENGINES, EngineOptions, EngineRow, check_feeds, onnxruntime
from vidgraph.engines.spec import EngineDescription
from vidgraph.kernels.cuda import driver
from vidgraph.kernels.device import DEVICES, Device, DeviceArray, empty

from . import EmulatedDriver, libcuda

ENGINE = "emulated-card"


class OnCard:
    """An engine whose inputs and outputs lie on the card; outputs are overwritten by the same thread's next run."""

    engine = ENGINE

    def __init__(self, path: Path, options: EngineOptions) -> None:
        self._host = onnxruntime.open_network(path, replace(options, device="cpu"))
        self.name, self.device, self.precision = self._host.name, options.device, self._host.precision
        self.inputs, self.outputs = self._host.inputs, self._host.outputs
        self._leases = threading.local()

    def run(self, feeds: Mapping[str, Any]) -> dict[str, DeviceArray]:
        there, card = Device.of(self.device), driver.driver()
        given = check_feeds(self.name, self.inputs, feeds, there)
        leases: dict[str, DeviceArray] = self._leases.__dict__
        for spec in self.outputs:
            if spec.name not in leases:
                made = empty(spec.shape, spec.dtype, there)
                assert isinstance(made, DeviceArray)
                leases[spec.name] = made
        outputs = {spec.name: leases[spec.name] for spec in self.outputs}

        def work() -> None:
            answers = self._host.run({name: _numbers(array).copy() for name, array in given.items()})
            for name, answer in answers.items():
                _numbers(outputs[name])[...] = answer

        with card.active(there):
            libcuda.plugged_in().put(card.stream(there), work)
        return outputs

    def close(self) -> None:
        driver.driver().synchronise(Device.of(self.device))
        self._host.close()


def _numbers(array: DeviceArray) -> np.ndarray:
    """What lies on the card, for work of the card."""
    held = (ctypes.c_uint8 * (array.end - array.begin)).from_address(array.begin)
    return np.ndarray(array.shape, array.dtype, held, array.pointer - array.begin, array.strides)


def open_network(path: Path, options: EngineOptions) -> OnCard:
    return OnCard(path, options)


def describe() -> EngineDescription:
    return EngineDescription("1.0", ("cuda",), ("fp32",))


def plug_in(monkeypatch: pytest.MonkeyPatch, seed: int = 0) -> EmulatedDriver:
    """The machine has one card, and an engine for it; gives what runs its kernels."""
    emulated = EmulatedDriver(seed)
    emulated.library = libcuda.plug_in(monkeypatch, emulated, seed)
    monkeypatch.setitem(DEVICES, "cuda", replace(DEVICES["cuda"], count=lambda: 1))
    row = EngineRow(ENGINE, __name__, package="onnxruntime", extra="onnxruntime", devices=("cuda",), wants="device")
    monkeypatch.setitem(ENGINES, ENGINE, row)
    return emulated

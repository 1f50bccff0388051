"""CUDA kernels against their CPU twins, bit by bit, in the emulator: many orders of blocks and threads."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.kernels.cuda import driver
from vidgraph.kernels.device import DEVICES, Device, DeviceArray
from vidgraph.kernels.twins import TWINS

from .. import emulator
from .cases import to_device
from .cuda_cases import CASES, cases_of, compare

SEEDS = 20

pytestmark = pytest.mark.skipif(emulator.compiler() is None, reason="needs a C++ compiler")


def test_every_source_has_cases() -> None:
    assert set(CASES) == {source.stem for source in emulator.SOURCES}
    for (kernel, kind), module in TWINS.items():
        assert kind == "cuda"
        assert module.split(".")[1] in CASES, kernel


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("stem", CASES)
def test_the_same_bits_in_every_order_of_threads(stem: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    emulated = emulator.EmulatedDriver(seed)
    monkeypatch.setattr(driver, "_drivers", [emulated])
    for case, wanted in cases_of(stem):
        compare(case, wanted)
    assert emulated.launches > 0


class Beside(emulator.EmulatedDriver):
    """Arrays of the host come to lie four bytes beside where new memory begins."""

    def upload(self, array: np.ndarray, device: Device) -> int:
        memory = np.concatenate([np.zeros(4, np.uint8), array])
        return super().upload(memory, device) + 4

    def free(self, pointer: int, device: Device) -> None:
        super().free(pointer - pointer % 16, device)

    def launch(self, kernel: str, grid: Any, block: Any, shared: int, values: Any, device: Device) -> None:
        text = Path(self._sources[kernel]).read_text()
        found = re.search(rf"\b{kernel}\(([^)]*)\)", text)
        assert found is not None
        for parameter, value in zip(found[1].split(","), values, strict=True):
            assert "float4" not in parameter or value.value % 16 == 0, parameter
        super().launch(kernel, grid, block, shared, values, device)


@pytest.mark.parametrize("stem", ["class_nms", "fast_nms", "nms"])
def test_boxes_may_lie_anywhere(stem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "_drivers", [Beside()])
    for case, wanted in cases_of(stem):
        compare(case, wanted)


class Noting(emulator.EmulatedDriver):
    """Knows what its stream was made to wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: set[int] = set()

    def wait_for(self, stream: int, other: int, device: Device) -> None:
        self.waited.add(other)


def of_streams(given: Any, streams: list[int]) -> Any:
    """Arrays on the card, nested as they are given, as another stream each writes them; its handle is noted."""
    if isinstance(given, tuple | list):
        return type(given)(of_streams(each, streams) for each in given)
    if not isinstance(given, DeviceArray):
        return given
    handle = 1000 + len(streams)
    streams += [handle] if given.size else []
    return replace(given, owner=given, stream=handle)


@pytest.mark.parametrize("stem", CASES)
def test_what_other_streams_write_is_waited_for(stem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "_drivers", [noting := Noting()])
    for (function, arrays, options), _ in cases_of(stem):
        streams: list[int] = []
        there = {name: to_device(v, "cuda") if isinstance(v, np.ndarray) else v for name, v in options.items()}
        there = {name: of_streams(value, streams) for name, value in there.items()}
        given, before = of_streams(to_device(arrays, "cuda"), streams), noting.launches
        noting.waited.clear()
        function(*given, **there)
        assert noting.launches == before or noting.waited.issuperset(streams)


@pytest.mark.parametrize("stem", CASES)
def test_the_same_bits_on_a_card(stem: str) -> None:
    if not DEVICES["cuda"].count():
        pytest.skip("needs a CUDA device")
    for case, wanted in cases_of(stem):
        compare(case, wanted)

"""Events, copies and facts of a card, with a stand-in for NVIDIA's driver."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
from vidgraph.benchmarks.gpu import clock, machine
from vidgraph.kernels.cuda import driver
from vidgraph.kernels.device import Device
from vidgraph.pipeline.errors import EngineError

from .. import emulator
from ..emulator import card


class Libcuda:
    """A driver on whose card every event is 2 ms after the one before."""

    def __init__(self) -> None:
        self.made, self.records, self.events = 0, 0, dict[int, int]()
        self.memory = (ctypes.c_uint8 * 64)()

    def cuEventCreate(self, event: Any, flags: Any) -> int:
        self.made += 1
        event._obj.value = self.made
        return 0

    def cuEventRecord(self, event: Any, stream: Any) -> int:
        assert stream.value == driver.driver().stream(Device("cuda", 0))
        self.records += 1
        self.events[event.value] = self.records
        return 0

    def cuEventSynchronize(self, event: Any) -> int:
        return 0 if event.value in self.events else 1

    def cuEventElapsedTime(self, between: Any, start: Any, end: Any) -> int:
        between._obj.value = 2.0 * (self.events[end.value] - self.events[start.value])
        return 0

    def cuCtxSynchronize(self) -> int:
        return 700

    def cuMemHostAlloc(self, address: Any, size: Any, flags: Any) -> int:
        address._obj.value = ctypes.addressof(self.memory)
        return 0

    def cuMemcpyHtoDAsync_v2(self, target: Any, source: Any, size: Any, stream: Any) -> int:
        ctypes.memmove(target.value, source.value, size.value)
        return 0

    def cuMemcpyDtoHAsync_v2(self, target: Any, source: Any, size: Any, stream: Any) -> int:
        ctypes.memmove(target.value, source.value, size.value)
        return 0

    def cuDeviceGet(self, card: Any, index: Any) -> int:
        card._obj.value = index.value + 70
        return 0

    def cuDeviceGetName(self, name: Any, size: Any, card: Any) -> int:
        name.value = b"A card"
        return 0 if card.value == 71 else 101

    def cuDeviceTotalMem_v2(self, memory: Any, card: Any) -> int:
        memory._obj.value = 1 << 34
        return 0

    def cuDriverGetVersion(self, version: Any) -> int:
        version._obj.value = 13020
        return 0

    def cuDeviceGetAttribute(self, number: Any, attribute: Any, card: Any) -> int:
        number._obj.value = {75: 8, 76: 6, 16: 80}.get(attribute.value, 1)
        return 0


def test_a_card_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "load_libcuda", Libcuda)
    found = machine.card_facts(1)
    assert (found["card"], found["capability"], found["driver_cuda"]) == ("A card", "8.6", "13.2")
    assert (found["memory_bytes"], found["multiprocessors"]) == (1 << 34, 80)
    with pytest.raises(EngineError, match=r"^cannot ask cuda:0 what it is: its CUresults are \[0, 101, "):
        machine.card_facts(0)


@pytest.mark.skipif(emulator.compiler() is None, reason="needs a C++ compiler")
def test_events_are_those_of_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    card.plug_in(monkeypatch)
    library, fills = Libcuda(), list[int]()
    monkeypatch.setattr(clock, "load_libcuda", lambda: library)
    monkeypatch.setattr(clock, "SCRATCH", 64)
    monkeypatch.setattr(driver.driver(), "fill", lambda *arguments: fills.append(arguments[2]))
    events = clock.EventClock(Device("cuda", 0))
    fills.clear()
    events.hold()
    assert fills == [64, 64]  # 4 ms, at 2 ms each
    first, second, third = events.mark(), events.mark(), events.mark()
    assert events.spans_ms([(first, third)]) == [4.0]
    assert events.spans_ms([(second, second)]) == [0.0]
    made = library.made
    events.mark()
    assert library.made == made, "events are used again"
    with pytest.raises(EngineError, match=r"^cuCtxSynchronize failed on cuda:0 with the CUresult 700$"):
        events.synchronise()
    host, there = events.pinned(8), np.zeros(8, np.uint8)
    host[:] = range(8)
    events.copy_to(there.ctypes.data, host)
    assert there.tolist() == [*range(8)]
    there[:] = 9
    events.copy_from(there.ctypes.data, host)
    assert host.tolist() == [9] * 8

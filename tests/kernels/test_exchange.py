"""Device arrays are exchanged with other libraries without a copy, and each waits for what the other has queued."""

from __future__ import annotations

import ctypes
import gc
import weakref
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from vidgraph.kernels import Device, DeviceArray, device_array, exchange, to_device
from vidgraph.kernels.cuda.driver import CudaError, driver

from .. import standin
from ..emulator import libcuda

NUMBERS = np.arange(24, dtype=np.float32).reshape(6, 4)


class Foreign:
    """A CUDA array of another library; its memory is NumPy's, and ``asked`` the streams for which it was asked for."""

    def __init__(self, numbers: np.ndarray) -> None:
        self.numbers = numbers
        self.asked: list[Any] = []

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, 3)

    def __dlpack__(self, **options: Any) -> Any:
        self.asked.append(options.get("stream"))
        return self.numbers.__dlpack__()


class OfDefaultStream(Foreign):
    """As PyAV's."""

    def __dlpack__(self, *, stream: int | None = None) -> Any:
        if stream is not None:
            raise NotImplementedError("CUDA stream synchronization is not supported.")
        return super().__dlpack__()


CUDA_3 = Device("cuda", 3)


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> libcuda.StandIn:
    """A driver with four of them."""
    library = libcuda.plug_in(monkeypatch)
    library.devices = 4
    return library


class Interfaced:
    """One that has the CUDA Array Interface alone, as pycuda's."""

    def __init__(self, numbers: np.ndarray) -> None:
        shape, typestr = numbers.shape, numbers.dtype.str
        data = (numbers.ctypes.data, True)
        self.__cuda_array_interface__ = {
            "version": 3, "shape": shape, "typestr": typestr, "data": data, "strides": numbers.strides, "stream": 7,
        }  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "int64", "bool"])
@pytest.mark.usefixtures("cards")
def test_arrays_of_other_libraries_come_in_without_a_copy(dtype: str) -> None:
    numbers = np.arange(24).reshape(4, 6).astype(dtype)[:, ::2]
    for foreign, index in ((Foreign(numbers), 3), (Interfaced(numbers), 0)):
        array = device_array(foreign)
        assert (array.shape, array.dtype, array.strides) == (numbers.shape, numbers.dtype, numbers.strides)
        assert (array.pointer, array.device) == (numbers.ctypes.data, Device("cuda", index))
        assert array.stream == driver().stream(array.device)
    assert not array.writeable
    assert device_array(array) is array


def test_what_arrays_that_come_in_are_waited_for(cards: libcuda.StandIn) -> None:
    ours, foreign = driver().stream(CUDA_3), Foreign(NUMBERS)
    held = [device_array(foreign)]
    assert foreign.asked == [ours], "the library makes it wait"
    assert cards.queued == []
    held.append(device_array(OfDefaultStream(NUMBERS)))
    assert cards.queued == [("cuEventRecord", 1), ("cuStreamWaitEvent", ours)]
    cards.queued.clear()
    interfaced, ours = Interfaced(NUMBERS), driver().stream(Device("cuda"))
    for changes, stream in (({}, 7), ({"stream": None}, None), ({"version": 2}, 1)):
        interfaced.__cuda_array_interface__ |= changes
        held.append(device_array(interfaced))
        waited = [] if stream is None else [("cuEventRecord", stream), ("cuStreamWaitEvent", ours)]
        assert cards.queued == waited
        cards.queued.clear()


@pytest.mark.parametrize(
    ("foreign", "changes", "stream"),
    [(Foreign, {}, 1), (OfDefaultStream, {}, 1), (Interfaced, {}, 7), (Interfaced, {"stream": None}, 1)],
)
def test_memory_that_came_in_goes_back_behind_our_work(
    foreign: Any, changes: dict[str, Any], stream: int, cards: libcuda.StandIn
) -> None:
    """The library may write there as soon as nobody holds it, while what was queued here still reads."""
    theirs = foreign(NUMBERS.copy())
    if changes:
        theirs.__cuda_array_interface__ |= changes
    arrays = [device_array(theirs)]
    ours, owner = arrays[0].stream, weakref.ref(theirs)
    arrays = [arrays[0][2:4]]
    del theirs
    gc.collect()
    cards.queued.clear()
    assert owner() is not None
    arrays.clear()
    assert owner() is None
    assert cards.queued == [("cuEventRecord", ours), ("cuStreamWaitEvent", stream)]
    arrays = [device_array(foreign(NUMBERS))]
    cards.fails["cuEventRecord"] = 700
    arrays.clear()  # and nothing is raised where Python collects it


def test_the_driver_says_where_memory_without_dlpack_lies(cards: libcuda.StandIn) -> None:
    foreign = Interfaced(NUMBERS)
    cards.ordinals[NUMBERS.ctypes.data] = 2
    array = device_array(foreign)
    assert (array.device, array.stream) == (Device("cuda", 2), driver().stream(Device("cuda", 2)))
    assert array.stream != driver().stream(Device("cuda", 0))
    cards.fails["cuPointerGetAttribute"] = 1
    with pytest.raises(CudaError, match=r"^cannot find the card of an array of another library: "):
        device_array(foreign)


@pytest.mark.usefixtures("cards")
def test_an_interface_without_a_stream_comes_by_dlpack() -> None:
    """As that of torch."""
    array = Foreign(NUMBERS)
    interface = {**Interfaced(NUMBERS).__cuda_array_interface__, "version": 2}
    del interface["stream"]
    array.__cuda_array_interface__ = interface  # type: ignore[attr-defined]
    assert device_array(array).device == CUDA_3
    assert array.asked == [driver().stream(CUDA_3)]


def test_what_takes_arrays_that_go_out_waits(cards: libcuda.StandIn) -> None:
    array = device_array(Foreign(NUMBERS))
    ours = array.stream
    assert array.__cuda_array_interface__["stream"] == ours
    for stream, waits in ((55, 55), (None, 1), (-1, None)):
        array.__dlpack__(stream=stream)
        assert cards.queued == ([("cuEventRecord", ours), ("cuStreamWaitEvent", waits)] if waits else [])
        cards.queued.clear()


class Taken:
    """What another library makes of an array that it takes by DLPack."""

    def __init__(self, array: DeviceArray) -> None:
        self.device, self.capsule = array.__dlpack_device__(), array.__dlpack__(stream=-1)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device

    def __dlpack__(self, **options: Any) -> Any:
        return self.capsule


@pytest.mark.usefixtures("cards")
def test_arrays_go_out_without_a_copy() -> None:
    whole = to_device(NUMBERS, CUDA_3)
    assert isinstance(whole, DeviceArray)
    interface = whole.__cuda_array_interface__
    assert (interface["data"], interface["stream"]) == ((whole.pointer, False), whole.stream)
    assert (interface["version"], interface["shape"], interface["typestr"]) == (3, (6, 4), "<f4")
    columns = replace(whole, owner=whole, pointer=whole.pointer + 12, shape=(6, 2), strides=(16, -8))
    for array in (whole, whole[2:4], columns, whole[:0]):
        again = device_array(Taken(array))
        assert (again.pointer, again.shape, again.strides) == (array.pointer, array.shape, array.strides)
        assert (again.dtype, again.device) == (array.dtype, CUDA_3)
    np.testing.assert_array_equal(device_array(Taken(columns)).to_host(), NUMBERS[:, 3:0:-2])
    near = standin.from_host(NUMBERS, standin.DEVICE)
    assert not hasattr(near, "__cuda_array_interface__")


@pytest.mark.usefixtures("cards")
def test_arrays_that_went_out_live_as_long_as_they_are_used() -> None:
    array: Any = to_device(NUMBERS, CUDA_3)
    alive = weakref.ref(array.owner)
    capsule = array.__dlpack__(stream=-1)
    del array
    gc.collect()
    assert alive() is not None
    del capsule  # nobody took it
    gc.collect()
    assert alive() is None
    array = to_device(NUMBERS, CUDA_3)
    alive, capsule = weakref.ref(array.owner), array.__dlpack__(stream=-1)
    del array
    address = exchange._address_in(id(capsule), b"dltensor")
    ctypes.pythonapi.PyCapsule_SetName(ctypes.py_object(capsule), b"used_dltensor")
    del capsule
    gc.collect()
    assert alive() is not None
    managed = exchange._Managed.from_address(address)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(managed.deleter)(address)
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize("stream", [None, 1, 2, -1, 55])
def test_memory_that_went_out_is_used_again_behind_what_reads_it(stream: int | None, cards: libcuda.StandIn) -> None:
    """A library gives it back while its kernels are still queued; of streams of its own, that may be gone, it waits."""
    array: Any = to_device(NUMBERS, CUDA_3)
    ours, read = array.stream, np.zeros_like(NUMBERS)
    pointer, capsule = array.pointer, array.__dlpack__(stream=stream)
    address = exchange._address_in(id(capsule), b"dltensor")
    ctypes.pythonapi.PyCapsule_SetName(ctypes.py_object(capsule), b"used_dltensor")
    del array, capsule
    gc.collect()
    by_default = stream in (None, 1, 2)
    if by_default:
        with driver().active(CUDA_3):
            cards.put(1, lambda: ctypes.memmove(read.ctypes.data, pointer, read.nbytes))
    cards.queued.clear()
    managed = exchange._Managed.from_address(address)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(managed.deleter)(address)
    waited = [("cuEventRecord", 1), ("cuStreamWaitEvent", ours)] if by_default else []
    assert cards.queued == [*waited, ("cuMemFreeAsync", ours)]
    driver().synchronise(CUDA_3)
    np.testing.assert_array_equal(read, NUMBERS if by_default else np.zeros_like(NUMBERS))


def test_a_card_that_failed_raises_nothing_where_memory_comes_back(cards: libcuda.StandIn) -> None:
    capsule = to_device(NUMBERS, CUDA_3).__dlpack__(stream=None)  # type: ignore[union-attr]
    address = exchange._address_in(id(capsule), b"dltensor")
    ctypes.pythonapi.PyCapsule_SetName(ctypes.py_object(capsule), b"used_dltensor")
    cards.fails["cuEventCreate"] = 700
    exchange._delete(address)
    assert address not in exchange._given


@pytest.mark.usefixtures("cards")
def test_arrays_that_dlpack_cannot_say() -> None:
    array: Any = to_device(NUMBERS, CUDA_3)
    odd = replace(array, pointer=array.pointer + 2, shape=(2,), strides=())
    for given, options, message in (
        (replace(array, writeable=False), {}, "read-only"),
        (odd, {}, "at odd addresses"),
        (array, {"copy": True}, "is to be copied"),
        (
            standin.from_host(NUMBERS, standin.DEVICE),
            {},
            r"an array on standin:0 has no DLPack export; copy it with \.to_host",
        ),
    ):
        with pytest.raises(BufferError, match=message):
            given.__dlpack__(**options)


def test_what_is_no_device_array_does_not_come_in() -> None:
    for other, message in (
        (NUMBERS, r"a ndarray of DLPack device type 1 does not lie on CUDA"),
        ([1], r"a list has neither __cuda_array_interface__ nor __dlpack__"),
    ):
        with pytest.raises(TypeError, match=f"^{message}$"):
            device_array(other)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": ...}, r"version .* must be from 0 to 3, got nothing"),
        ({"version": 4}, r"version .* must be from 0 to 3, got 4"),
        ({"version": "3"}, r"version .* must be from 0 to 3, got '3'"),
        ({"shape": ...}, r"shape .* must be lengths from 0, of at most 2\^40 numbers in all, got nothing"),
        ({"shape": (-6, 4)}, r"shape .* got \(-6, 4\)"),
        ({"shape": (6.0, 4)}, r"shape .* got \(6\.0, 4\)"),
        ({"shape": (2**62, 4)}, r"shape .* got \(4611686018427387904, 4\)"),
        ({"shape": (2**64, 0)}, r"shape .* got \(18446744073709551616, 0\)"),
        ({"shape": 24}, r"shape .* got 24"),
        ({"typestr": ...}, r"typestr .* must be that of little-endian numbers, such as <f4, got nothing"),
        ({"typestr": "|O"}, r"typestr .* got '\|O'"),
        ({"typestr": ">f4"}, r"typestr .* got '>f4'"),
        ({"typestr": "f3"}, r"typestr .* got 'f3'"),
        ({"typestr": None}, r"typestr .* got None"),
        ({"data": ...}, r"data .* must be \(address, read-only\), with an address other than 0 unless .* got nothing"),
        ({"data": (None, False)}, r"data .* got \(None, False\)"),
        ({"data": (0, False)}, r"data .* got \(0, False\)"),
        ({"data": (-8, False)}, r"data .* got \(-8, False\)"),
        ({"data": (8, "no")}, r"data .* got \(8, 'no'\)"),
        ({"data": 8}, r"data .* got 8"),
        ({"strides": (16,)}, r"strides .* must be None, or bytes for each axis, got \(16,\)"),
        ({"strides": (16, 4, 1)}, r"strides .* got \(16, 4, 1\)"),
        ({"strides": ()}, r"strides .* got \(\)"),
        ({"strides": (16, 4.0)}, r"strides .* got \(16, 4\.0\)"),
        ({"mask": NUMBERS}, r"mask .* must be None, got array"),
        ({"stream": 0}, r"stream .* must be None, or a handle other than 0, got 0"),
        ({"stream": "7"}, r"stream .* got '7'"),
    ],
)
def test_interfaces_that_are_not_as_they_must_be(changes: dict[str, Any], message: str) -> None:
    foreign = Interfaced(NUMBERS)
    given = {**foreign.__cuda_array_interface__, **changes}
    foreign.__cuda_array_interface__ = {field: value for field, value in given.items() if value is not ...}
    with pytest.raises(
        ValueError, match=rf"^device_array: {message}.*; mend its export, or copy it with its own librar"
    ):
        device_array(foreign)


@pytest.mark.usefixtures("cards")
def test_interfaces_may_leave_out_what_has_a_default() -> None:
    foreign = Interfaced(np.zeros((0, 4), np.float32))
    foreign.__cuda_array_interface__ = {"version": 2, "shape": (0, 4), "typestr": "<f4", "data": (0, False)}
    array = device_array(foreign)
    assert (array.pointer, array.strides, array.writeable) == (0, (16, 4), True)
    foreign.__cuda_array_interface__ = None  # type: ignore[assignment]
    with pytest.raises(TypeError, match=r"^a Interfaced has neither"):
        device_array(foreign)


@pytest.mark.usefixtures("cards")
def test_what_came_by_dlpack_is_checked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidgraph.kernels.exchange._LETTERS", {2: "i"})
    with pytest.raises(TypeError, match=r"^a Foreign has numbers of DLPack type 0, which NumPy does not have"):
        device_array(Foreign(np.arange(3)))


def test_torch_and_this_package_mean_the_same() -> None:
    torch = pytest.importorskip("torch", reason="exchanges arrays with torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    tensor = torch.arange(6, device="cuda").reshape(2, 3)
    array = device_array(tensor)
    assert (array.pointer, array.shape, array.dtype) == (tensor.data_ptr(), (2, 3), np.int64)
    assert torch.equal(torch.from_dlpack(array), tensor)

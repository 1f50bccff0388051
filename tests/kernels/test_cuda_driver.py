"""The way to a card, on a driver that is not there: streams, copies through pinned memory, graphs, what goes wrong."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import pickle
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph import kernels
from vidgraph.kernels.cuda import libcuda as native, nvidia, staging
from vidgraph.kernels.cuda.driver import CudaError, driver, memory_in_use
from vidgraph.kernels.cuda.memory import concatenate, copy, empty, from_host, to_host, zeros
from vidgraph.kernels.device import Device, DeviceArray, DeviceFailure

from .. import emulator
from ..emulator import libcuda
from .cases import CUDA

ORDERS = [None, *range(8)]
"""None: streams are as late as may be; else the seed of when they work."""
NUMBERS = np.arange(1, 25, dtype=np.float32).reshape(4, 6)
HEADERS = [*Path("/usr/local").glob("cuda*/include/cuda.h"), *Path("/usr/include").glob("cuda.h")]


@pytest.fixture
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> libcuda.StandIn:
    call = getattr(request.node, "callspec", None)
    return libcuda.plug_in(monkeypatch, seed=call.params.get("order") if call else None)


@pytest.fixture
def small_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of them, of 64 bytes, so that copies are in pieces and wait for one another."""
    for module in (staging, nvidia):
        monkeypatch.setattr(module, "BUFFER", 64)
    monkeypatch.setattr(staging, "MOST_BUFFERS", 2)


def random_bytes(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, count, np.uint8)


def test_an_upload_is_beside_the_work_before_it_and_ahead_of_the_work_after_it(library: libcuda.StandIn) -> None:
    ours = driver().stream(CUDA)
    array = from_host(NUMBERS, CUDA)
    uploads = library.queued[0][1]
    assert uploads != ours
    assert library.queued == [
        ("cuMemAllocAsync", uploads), ("cuMemcpyHtoDAsync", uploads), ("cuEventRecord", uploads),
        ("cuStreamWaitEvent", ours),
    ]  # fmt: skip
    assert array.stream == ours


def test_memory_in_use_is_told_of_cards_that_are_used(library: libcuda.StandIn) -> None:
    assert memory_in_use() == {}
    assert library.calls == [], "no driver is started for that"
    array = empty((1 << 20,), np.uint8, CUDA)
    assert memory_in_use() == {CUDA: array.nbytes}
    library.fails["cuMemGetInfo_v2"] = 700
    assert memory_in_use() == {}


def test_threads_that_ask_first_at_once_have_one_driver(
    library: libcuda.StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    both, real = threading.Barrier(2), nvidia.open_driver

    def slowly() -> Any:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.3)  # the other one, if it comes in here
        return real()

    monkeypatch.setattr(nvidia, "open_driver", slowly)
    with ThreadPoolExecutor(2) as pool:
        opened = [pool.submit(driver) for _ in range(2)]
    assert opened[0].result() is opened[1].result()
    assert library.calls.count("cuInit") == 1


def test_a_result_is_read_behind_the_work_before_it_with_one_wait(library: libcuda.StandIn) -> None:
    array = zeros((4, 6), np.float32, CUDA)
    library.queued.clear()
    library.calls.clear()
    np.testing.assert_array_equal(to_host(array), np.zeros((4, 6)))
    ours, (downloads,) = array.stream, {stream for _, stream in library.queued} - {array.stream}
    assert library.queued == [
        ("cuEventRecord", ours), ("cuStreamWaitEvent", downloads), ("cuMemcpyDtoHAsync", downloads),
        ("cuEventRecord", downloads),
    ]  # fmt: skip
    waited = [call for call in library.calls if "Synchronize" in call]
    assert waited == ["cuEventSynchronize"] * 2, "for a buffer that is free, and for the copy"


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.usefixtures("small_buffers")
def test_copies_in_pieces_through_buffers_that_are_used_again(library: libcuda.StandIn, order: int | None) -> None:
    arrays = []
    for seed, count in enumerate((1, 63, 64, 65, 200, 7, 1000, 0)):
        given = random_bytes(count, seed)
        arrays.append(from_host(given, CUDA))
        given[:] = 0  # the caller may change it
    joined = concatenate(arrays)
    expected = [random_bytes(array.size, seed) for seed, array in enumerate(arrays)]
    np.testing.assert_array_equal(to_host(joined), np.concatenate(expected))
    for array, numbers in zip(arrays, expected, strict=True):
        np.testing.assert_array_equal(to_host(copy(array)), numbers)
    assert library.pinned == 2 * 64


@pytest.mark.parametrize("order", ORDERS[:4])
@pytest.mark.usefixtures("small_buffers")
def test_copies_of_several_threads(library: libcuda.StandIn, order: int | None) -> None:
    failed: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            for turn in range(5):
                given = random_bytes(150 + seed, 10 * seed + turn)
                np.testing.assert_array_equal(to_host(copy(from_host(given, CUDA))), given)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert library.pinned <= 2 * 64


def test_buffers_are_made_as_they_are_needed_and_no_more(library: libcuda.StandIn) -> None:
    for _ in range(3):
        np.testing.assert_array_equal(to_host(from_host(NUMBERS, CUDA)), NUMBERS)
    assert library.pinned <= 2 * staging.BUFFER, "a copy there and one back at a time"
    held = [from_host(NUMBERS + index, CUDA) for index in range(3 * staging.MOST_BUFFERS)]
    assert library.pinned == staging.MOST_BUFFERS * staging.BUFFER
    for index, array in enumerate(held):
        np.testing.assert_array_equal(to_host(array), NUMBERS + index)


@pytest.mark.parametrize("order", ORDERS)
def test_what_another_library_writes_is_waited_for(library: libcuda.StandIn, order: int | None) -> None:
    array = from_host(np.zeros_like(NUMBERS), CUDA)
    theirs = DeviceArray(array, array.pointer, array.shape, array.dtype, CUDA, stream=77)
    driver().wait_for(77, driver().stream(CUDA), CUDA)
    with driver().active(CUDA):
        library.put(77, lambda: ctypes.memmove(array.pointer, NUMBERS.ctypes.data, NUMBERS.nbytes))
    np.testing.assert_array_equal(to_host(copy(theirs)), NUMBERS)


@pytest.mark.parametrize("order", ORDERS)
def test_freed_memory_was_used_before(library: libcuda.StandIn, order: int | None) -> None:
    first = from_host(NUMBERS, CUDA)
    second = copy(first)
    del first
    gc.collect()
    assert ("cuMemFreeAsync", second.stream) in library.queued
    np.testing.assert_array_equal(to_host(second), NUMBERS)


def strided(array: DeviceArray, start: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> DeviceArray:
    return DeviceArray(array, array.pointer + start, shape, array.dtype, array.device, strides, array.stream)


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[::-1], lambda a: a[:, ::-1], lambda a: a[::-1, ::-2], lambda a: a.T[::-1], lambda a: a[1:3, 4:1:-1],
        lambda a: a[::2, ::3], lambda a: a[:0, ::-1], lambda a: a[2:, 5:], lambda a: a,
    ],
)  # fmt: skip
@pytest.mark.usefixtures("library")
def test_strides_of_any_sign(view: Callable[[np.ndarray], np.ndarray]) -> None:
    whole, expected = from_host(NUMBERS, CUDA), view(NUMBERS)
    start = expected.ctypes.data - NUMBERS.ctypes.data if expected.size else 0
    array = strided(whole, start, expected.shape, expected.strides)
    places = [array.pointer + np.dot(index, array.strides) for index in np.ndindex(*array.shape)]
    assert (array.begin, array.end) == (min(places, default=array.pointer), max(places, default=array.pointer - 4) + 4)
    np.testing.assert_array_equal(to_host(array), expected)
    np.testing.assert_array_equal(to_host(copy(array)), expected)


@pytest.mark.usefixtures("library")
def test_what_shares_memory_is_seen_whatever_the_strides() -> None:
    whole = zeros((8,), np.float32, CUDA)
    backwards = strided(whole, 28, (8,), (-4,))
    arrays = np.zeros((8, 3), np.float32), np.zeros((8, 3), np.float32), np.zeros((2, 3), np.float32)
    assert backwards.begin == whole.begin
    assert backwards.end == whole.end
    from vidgraph.kernels.arrays import output

    with pytest.raises(ValueError, match="out must not share memory with an input"):
        output("f", whole[:2], np.float32, (2,), [backwards], CUDA)
    other = from_host(arrays[0], CUDA)
    assert output("f", whole, np.float32, (8,), [other], CUDA) is whole


@pytest.mark.parametrize("order", ORDERS)
def test_a_graph_has_what_its_thread_puts_onto_its_stream_alone(library: libcuda.StandIn, order: int | None) -> None:
    here, done = driver(), []
    ours = here.stream(CUDA)

    def queue(stream: int) -> bool:
        assert stream != ours
        library.put(stream, lambda: done.append("captured"))
        library.put(ours, lambda: done.append("beside it"))
        return True

    graph = here.capture(queue, CUDA)
    assert graph is not None
    here.synchronise(CUDA)
    assert done == ["beside it"]
    for _ in range(2):
        here.launch_graph(graph, CUDA)
    here.synchronise(CUDA)
    assert done == ["beside it", "captured", "captured"]
    here.destroy_graph(graph, CUDA)


@pytest.mark.parametrize("fails", ["cuStreamEndCapture", "cuGraphInstantiateWithFlags", ""])
def test_what_cannot_be_captured(library: libcuda.StandIn, fails: str) -> None:
    if fails:
        library.fails[fails] = 901
    assert driver().capture(lambda stream: bool(fails), CUDA) is None
    assert "cuStreamDestroy_v2" in library.calls
    assert library.graphs == {}


def test_an_error_while_it_is_captured(library: libcuda.StandIn) -> None:
    with pytest.raises(ZeroDivisionError):
        driver().capture(lambda stream: bool(1 // 0), CUDA)
    assert "cuStreamDestroy_v2" in library.calls
    assert library.graphs == {}


def test_a_graph_that_another_library_captures_in_another_thread_stops_nothing(library: libcuda.StandIn) -> None:
    """As PyTorch and ONNX Runtime do by default: whoever has not said otherwise cannot get pinned memory meanwhile."""
    library.captured_beside = True
    arrays = [from_host(NUMBERS, CUDA)]
    for _ in range(2):
        np.testing.assert_array_equal(to_host(copy(arrays[0])), NUMBERS)
    assert library.calls.count("cuThreadExchangeStreamCaptureMode") == 1, "it is kept for the thread"
    with ThreadPoolExecutor(1) as pool:
        pool.submit(arrays.clear)
    assert library.calls.count("cuThreadExchangeStreamCaptureMode") == 2
    assert library.calls.count("cuMemFreeAsync") == 3


def test_two_cards(library: libcuda.StandIn) -> None:
    library.devices = 2
    cards = [Device("cuda", index) for index in range(2)]
    arrays = [from_host(NUMBERS + index, card) for index, card in enumerate(cards)]
    assert arrays[0].stream != arrays[1].stream
    assert driver().card(cards[1]).index == 1
    first = to_host(arrays[0])
    del arrays[0]
    np.testing.assert_array_equal([first, to_host(arrays[0])], [NUMBERS, NUMBERS + 1])


def test_a_thread_keeps_the_context_that_it_had(library: libcuda.StandIn) -> None:
    """As torch goes on where that is; also where a call fails, and where Python collects arrays."""
    library.devices = 2
    there = Device("cuda", 1)
    with driver().active(CUDA):
        theirs = library.context
        assert theirs
        held = [from_host(NUMBERS, there)]
        assert library.context == theirs
        np.testing.assert_array_equal(
            to_host(concatenate([copy(held[0]), zeros((4, 6), np.float32, there)]))[:4], NUMBERS
        )
        driver().wait_for(driver().stream(there), 1, there)
        assert driver().capture(lambda stream: library.context != theirs, there) is not None
        driver().synchronise(there)
        assert library.context == theirs
        held.clear()
        gc.collect()
        library.fails["cuMemAllocAsync"] = 2
        with pytest.raises(CudaError):
            from_host(NUMBERS, there)
        assert library.context == theirs
    assert not library.context


# What goes wrong.


def message_of(ask: Callable[[], object]) -> str:
    with pytest.raises(CudaError) as caught:
        ask()
    error = caught.value
    assert isinstance(error, DeviceFailure)
    assert "\n" not in str(error)
    assert str(error).endswith(". Use device cpu")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.code) == (str(error), error.code)
    return str(error).removesuffix(". Use device cpu")


def test_no_driver(library: libcuda.StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Any:
        raise OSError("libcuda.so.1: cannot open shared object file")

    monkeypatch.setattr(native, "_load", missing)
    for _ in range(2):
        assert (
            message_of(lambda: from_host(NUMBERS, CUDA)) == "there is no NVIDIA driver on this machine (libcuda.so.1)"
        )
    assert native.count_devices() == 0


def test_a_driver_that_is_too_old(library: libcuda.StandIn) -> None:
    library.version = 11080
    expected = "the NVIDIA driver is too old: it is for CUDA 11.8, and 12.0 is needed; update it"
    assert message_of(driver) == expected
    assert native.count_devices() == 1, "an error is better than the CPU where a card is there"


def test_a_driver_that_does_not_start(library: libcuda.StandIn) -> None:
    library.fails["cuInit"] = 803
    said = "system has unsupported display driver / cuda driver combination (CUDA_ERROR_SYSTEM_DRIVER_MISMATCH)"
    assert message_of(driver) == f"cannot start the NVIDIA driver: {said}"
    assert native.count_devices() == 0


def test_a_library_that_is_no_driver(library: libcuda.StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_load", lambda: ctypes.CDLL(None))
    expected = "the NVIDIA driver cannot be used: it has no cuDriverGetVersion; install it again"
    assert message_of(driver) == expected
    assert native.count_devices() == 0


@pytest.mark.usefixtures("library")
def test_a_card_that_is_not_there() -> None:
    for ask in (driver().card, driver().active, lambda device: empty((1,), np.uint8, device)):
        assert message_of(lambda ask=ask: ask(Device("cuda", 3))) == "there is no cuda:3 on this machine, which has 1"


@pytest.mark.parametrize("function", ["cuMemAllocAsync", "cuMemHostAlloc"])
def test_no_memory_left(library: libcuda.StandIn, function: str) -> None:
    library.fails[function] = 2
    message = message_of(lambda: from_host(NUMBERS, CUDA))
    assert message.startswith(f"cannot get {96 if 'Async' in function else staging.BUFFER} bytes of ")
    assert "out of memory (CUDA_ERROR_OUT_OF_MEMORY); end what else runs on the card, or use smaller pic" in message
    library.fails.clear()
    np.testing.assert_array_equal(to_host(from_host(NUMBERS, CUDA)), NUMBERS)


def test_memory_is_given_back_where_its_copy_fails(library: libcuda.StandIn) -> None:
    library.fails["cuMemcpyHtoDAsync_v2"] = 1
    assert message_of(lambda: from_host(NUMBERS, CUDA)).startswith("cannot copy to cuda:0: ")
    assert library.calls.count("cuMemAllocAsync") == library.calls.count("cuMemFreeAsync") == 1


def test_a_kernel_that_failed(library: libcuda.StandIn) -> None:
    """It shows where somebody waits; after that nothing hangs, and nothing raises where Python collects arrays."""
    arrays = [from_host(NUMBERS, CUDA)]
    library.fails.update(dict.fromkeys(("cuEventSynchronize", "cuMemFreeAsync", "cuCtxPushCurrent_v2"), 700))
    message = message_of(lambda: to_host(arrays[0]))
    assert "an illegal memory access was encountered (CUDA_ERROR_ILLEGAL_ADDRESS); work that was queued" in message
    arrays.clear()
    gc.collect()


def test_a_kernel_that_is_not_there(library: libcuda.StandIn) -> None:
    message = message_of(lambda: driver().launch("none", (1, 1, 1), (1, 1, 1), 0, [], CUDA))
    assert message == "there is no kernel none on cuda:0; install vidgraph again"


# The functions themselves.

_EIGHT_BYTES = {"CUdeviceptr", "size_t", "cuuint64_t", "unsigned long long"}
_POINTERS = {"CUcontext", "CUstream", "CUevent", "CUfunction", "CUgraph", "CUgraphExec", "CUlibrary", "CUmemoryPool"}


def declared_sizes(header: str, function: str) -> list[int]:
    """Bytes of the parameters of a function of the newest version."""
    name = re.sub(r"_v\d$|WithFlags$", "", function)
    found = re.search(rf"^CUresult CUDAAPI {name}\(([^)]*)\);", header, re.MULTILINE)
    assert found is not None, function
    sizes = []
    for parameter in found[1].split(","):
        kind = re.sub(r"\bconst\b|\w+\s*$", "", parameter.strip()).strip()
        pointer = "*" in parameter or kind in _POINTERS | _EIGHT_BYTES
        sizes.append(8 if pointer else 1 if kind == "unsigned char" else 4)
    return sizes


@pytest.mark.skipif(not HEADERS, reason="needs cuda.h, to compare with")
def test_functions_have_the_parameters_that_the_header_declares() -> None:
    header = HEADERS[0].read_text("utf-8", "replace")
    for function, kinds in native.PROTOTYPES.items():
        assert [ctypes.sizeof(kind) for kind in kinds] == declared_sizes(header, function), function


def test_every_function_is_there_for_tests_and_no_other() -> None:
    assert {f"do_{name}" for name in native.PROTOTYPES} == {name for name in dir(libcuda.StandIn) if name[:3] == "do_"}


@pytest.mark.skipif(emulator.compiler() is None, reason="needs a C++ compiler, which compiles the CUDA kernels")
def test_kernels_are_loaded_when_the_first_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    library = libcuda.plug_in(monkeypatch, emulator.EmulatedDriver())
    boxes, scores = np.array([[0, 0, 2, 2], [0, 0, 2, 2]], np.float32), np.array([0.5, 0.7], np.float32)
    there: list[Any] = [from_host(array, CUDA) for array in (boxes, scores)]
    assert "cuLibraryLoadData" not in library.calls, "an engine needs none"
    for _ in range(2):
        kept: Any = kernels.nms(*there, max_iou=0.5)
        np.testing.assert_array_equal(kept.to_host(), [1])
    assert library.calls.count("cuLibraryLoadData") == len(emulator.SOURCES)

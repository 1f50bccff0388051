"""Arrays on a device: nothing reads them silently, they move by request, and a kernel works where they lie."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from vidgraph import Picture, kernels
from vidgraph.kernels import Device, DeviceArray, to_device
from vidgraph.kernels.device import DEVICES, HOST, all_to_host, concatenate, device_of, empty, to_host
from vidgraph.kernels.twins import TWINS

from .. import standin
from .cases import random_boxes, random_planes
from .every_kernel import CASES
from .hostile_calls import kernels_of

NUMBERS = np.arange(24, dtype=np.float32).reshape(6, 4)


@pytest.fixture(autouse=True)
def device(monkeypatch: pytest.MonkeyPatch) -> None:
    standin.plug_in(monkeypatch)


@pytest.fixture
def array() -> DeviceArray:
    (found,) = standin.put(NUMBERS)
    return found


SILENT: dict[str, Callable[[Any], Any]] = {
    "np.asarray": np.asarray,
    "np.array": np.array,
    "np.asarray of a list": lambda array: np.asarray([array, array], np.float32),
    "np.ascontiguousarray": np.ascontiguousarray,
    "np.copyto": lambda array: np.copyto(np.zeros((6, 4), np.float32), array),
    "assignment": lambda array: operator.setitem(np.zeros((6, 4), np.float32), slice(None), array),
    "np.concatenate": lambda array: np.concatenate([array, array]),
    "np.add": lambda array: np.add(array, 1),
    "arithmetic": lambda array: NUMBERS + array,
    "arithmetic, reflected": lambda array: array + NUMBERS,
    "comparison": lambda array: array < 1,
    "np.sum": np.sum,
    "np.from_dlpack": np.from_dlpack,
    "memoryview": memoryview,
    "bytes": bytes,
    "iteration": list,
    "float": float,
    "int": int,
    "bool": bool,
    "in": lambda array: 1.0 in array,
    "one number": lambda array: array[0],
    "a mask": lambda array: array[NUMBERS > 1],
    "math": lambda array: __import__("math").sqrt(array),
}


@pytest.mark.parametrize("way", SILENT)
def test_nothing_reads_it_silently(array: DeviceArray, way: str) -> None:
    with pytest.raises((TypeError, BufferError)):
        SILENT[way](array)
    assert standin.TRANSFERS == {"to device": 1}


def test_says_what_to_do(array: DeviceArray) -> None:
    with pytest.raises(TypeError, match=r"^an array on standin:0 is not in host memory; copy it with \.to_host\(\)$"):
        np.asarray(array)
    with pytest.raises(TypeError, match=r"^an array on standin:0 takes a slice of rows; copy it with \.to_host\(\)"):
        array[0]  # type: ignore[index]


def test_it_is_what_it_was(array: DeviceArray) -> None:
    assert (array.shape, array.dtype, array.ndim, array.size, array.nbytes) == ((6, 4), np.float32, 2, 24, 96)
    assert (array.strides, len(array), str(array.device)) == ((16, 4), 6, "standin:0")
    assert array.flags == (True, True, True)
    np.testing.assert_array_equal(array.to_host(), NUMBERS)


def test_rows_are_a_view_and_a_copy_is_none(array: DeviceArray) -> None:
    rows, copied = array[1:3], array.copy()
    assert rows.pointer == array.pointer + 16
    assert copied.pointer != array.pointer
    np.testing.assert_array_equal(rows.to_host(), NUMBERS[1:3])
    np.testing.assert_array_equal(array[4:99][1:].to_host(), NUMBERS[5:])
    np.testing.assert_array_equal(copied.to_host(), NUMBERS)
    assert array[5:2].shape == (0, 4)
    np.testing.assert_array_equal(concatenate([rows, rows]).to_host(), np.concatenate([NUMBERS[1:3]] * 2))


def test_moves_are_counted_and_only_where_needed(array: DeviceArray) -> None:
    assert to_device(array, standin.DEVICE) is array
    assert to_device(NUMBERS, HOST) is NUMBERS
    assert to_host(NUMBERS) is NUMBERS
    assert standin.TRANSFERS == {"to device": 1}
    np.testing.assert_array_equal(to_host(to_device(array, HOST)), NUMBERS)
    assert standin.TRANSFERS == {"to device": 1, "to host": 1}
    made = empty((2, 3), "int32", standin.DEVICE)
    assert (device_of(made), made.dtype, device_of(empty((2,), "int32"))) == (standin.DEVICE, np.int32, HOST)


def test_devices_that_nothing_moves_to() -> None:
    with pytest.raises(
        ValueError, match=r"^this version moves no arrays to or from other:1; it does for: cpu, cuda, standin$"
    ):
        to_device(NUMBERS, Device("other", 1))
    with pytest.raises(ValueError, match=r"^cannot join arrays on cpu and standin:0; move them to one device$"):
        concatenate([NUMBERS, *standin.put(NUMBERS)])
    with pytest.raises(ValueError, match="a DeviceArray must lie on a device; in host memory, use a NumPy array"):
        DeviceArray(None, 0, (1,), np.dtype(np.uint8), HOST)


def test_several_come_to_the_host_in_one_transfer() -> None:
    given = [np.arange(3, dtype=np.uint8), np.arange(10).reshape(5, 2), np.zeros((0, 4), np.float32), np.float16(7)]
    given = [np.asarray(each) for each in given]
    there = standin.put(*given)
    turned = DeviceArray(there[1], there[1].pointer, (2, 5), there[1].dtype, standin.DEVICE, (8, 16))
    standin.TRANSFERS.clear()
    got = all_to_host([*there[:2], NUMBERS, turned, *there[2:]])
    assert standin.TRANSFERS == {"to host": 1}
    for one, want in zip(got, [*given[:2], NUMBERS, given[1].T, *given[2:]], strict=True):
        np.testing.assert_array_equal(one, want)
        assert (one.dtype, one.flags.aligned) == (want.dtype, True)
    assert all_to_host([NUMBERS])[0] is NUMBERS
    assert all_to_host([]) == []


def test_a_device_as_text() -> None:
    assert [str(Device.of(text)) for text in ("cpu", "cuda", "cuda:2")] == ["cpu", "cuda:0", "cuda:2"]
    assert Device.of("cpu") is HOST
    assert DEVICES["cpu"].count() == 1
    assert DEVICES["cuda"].count() >= 0


def boxes_and_scores() -> tuple[Any, Any]:
    return random_boxes(40, 3)


def test_kernels_work_where_their_arrays_lie() -> None:
    boxes, scores = boxes_and_scores()
    table = np.random.default_rng(1).random((40, 5), np.float32)
    random = np.random.default_rng(2)
    proto, coeff = random.random((8, 9, 3), np.float32), random.normal(size=(40, 3)).astype(np.float32)
    calls: list[tuple[Any, tuple[np.ndarray, ...], dict[str, Any]]] = [
        (kernels.nms, (boxes, scores), {"max_iou": 0.4}),
        (kernels.fast_nms, (boxes, table), {"max_iou": 0.4, "top_k": 20, "limit": 9, "min_score": 0.2}),
        (kernels.decode_boxes, (boxes / 100, boxes), {}),
        (kernels.top_scores, (scores,), {"min_score": 0.2, "limit": 5}),
        (kernels.assemble_masks, (proto, coeff, boxes / 100), {"size": (40, 50)}),
    ]
    for kernel, arrays, options in calls:
        expected, given = kernel(*arrays, **options), standin.put(*arrays)
        standin.TRANSFERS.clear()
        got = kernel(*given, **options)
        assert not standin.TRANSFERS, kernel.__name__
        for ours, theirs in zip(as_tuple(got), as_tuple(expected), strict=True):
            assert device_of(ours) == standin.DEVICE
            np.testing.assert_array_equal(ours.to_host(), theirs, err_msg=kernel.__name__)


def as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


PIXELS: dict[str, Any] = {
    "matrix": "bt709", "full_range": False, "size": (4, 6), "scale": (2.0, 2.0), "offset": (0.0, 0.0),
    "mean": (1, 2, 3), "std": (4, 5, 6),
}  # fmt: skip


def test_a_picture_on_a_device() -> None:
    planes = random_planes("yuv420p", 8, 12)
    picture = Picture("yuv420p", planes)
    there = picture.on(standin.DEVICE)
    assert picture.device == HOST
    assert (there.device, there.height, there.width) == (standin.DEVICE, 8, 12)
    assert there.on(standin.DEVICE) is there
    assert standin.TRANSFERS == {"to device": 3}
    expected = kernels.preprocess(planes, "yuv420p", **PIXELS)
    out = empty(expected.shape, expected.dtype, standin.DEVICE)
    got: Any = kernels.preprocess(there.planes, "yuv420p", **PIXELS, out=out)
    assert got is out
    assert standin.TRANSFERS == {"to device": 3}
    np.testing.assert_array_equal(got.to_host(), expected)
    with pytest.raises(ValueError, match=r"^the picture lies on standin:0, not in host memory; copy it with \.on"):
        _ = there.host_planes
    for _ in range(2):
        np.testing.assert_array_equal(there.rgb(), picture.rgb())
    assert standin.TRANSFERS == {"to device": 3, "to host": 4}  # what preprocess gave, and once the planes


def test_devices_are_not_mixed() -> None:
    boxes, scores = boxes_and_scores()
    (far_boxes, far_scores), other = standin.put(boxes, scores), standin.from_host(boxes, Device("standin", 1))
    for given, message in (
        (
            (boxes, far_scores),
            r"nms: boxes must lie on standin:0 as the others do, got a NumPy array; copy it with to_dev",
        ),
        (
            (far_boxes, scores),
            r"nms: boxes must lie in host memory as the others do, got one on standin:0; copy it with",
        ),
        ((other, far_scores), r"nms: boxes must lie on standin:0 as the others do, got one on standin:1; copy it with"),
    ):
        with pytest.raises(ValueError, match=f"^{message}"):
            kernels.nms(*given, max_iou=0.5)
    planes = random_planes("yuv420p", 8, 12)
    mixed = (planes[0], *standin.put(*planes[1:]))
    with pytest.raises(
        ValueError, match=r"^yuv420p: plane 1 must lie in host memory as the others do, got one on stan"
    ):
        Picture("yuv420p", mixed)
    with pytest.raises(ValueError, match=r"^preprocess: out must lie in host memory as the others do"):
        kernels.preprocess(planes, "yuv420p", **PIXELS, out=empty((1, 3, 4, 6), "float32", standin.DEVICE))


def test_what_does_not_fit_is_refused_as_on_the_host() -> None:
    boxes, scores = boxes_and_scores()
    far_boxes, far_scores = standin.put(boxes.astype(np.float64), scores)
    with pytest.raises(ValueError, match=r"^nms: boxes must be float32 \[40, 4\], got float64 \[40, 4\]$"):
        kernels.nms(far_boxes, far_scores, max_iou=0.5)
    strided = DeviceArray(far_boxes, far_boxes.pointer, (40, 4), np.dtype(np.float32), standin.DEVICE, (32, 8))
    with pytest.raises(
        ValueError, match=r"^nms: boxes must be C-contiguous, got strides \(32, 8\); copy it with .copy"
    ):
        kernels.nms(strided, far_scores, max_iou=0.5)
    with pytest.raises(ValueError, match=r"^nms: max_iou must be in \[0, 1\], got 2$"):
        kernels.nms(*standin.put(boxes), far_scores, max_iou=2)
    inside = far_scores[3:9]
    with pytest.raises(ValueError, match=r"^warp_features: there is no such kernel"):
        kernels.warp_features(inside, inside)


def moved(value: Any) -> Any:
    """The arrays of an argument on the device."""
    if isinstance(value, np.ndarray):
        return to_device(value, standin.DEVICE)
    return type(value)(map(moved, value)) if isinstance(value, (tuple, list)) else value


class _Refused:
    """Stands for the module ``kernels`` in the table of calls: each kernel is called once with arrays on the device."""

    def __init__(self) -> None:
        self.messages: dict[str, str] = {}

    def __getattr__(self, name: str) -> Any:
        found = getattr(kernels, name)
        if name not in kernels_of(kernels):
            return found

        def call(*values: Any, **named: Any) -> Any:
            result = found(*values, **named)
            if name not in self.messages and moved(values) != values:
                with pytest.raises(ValueError, match=r"\S") as caught:
                    found(*moved(values), **{key: moved(value) for key, value in named.items()})
                self.messages[name] = str(caught.value)
            return result

        return call


def test_every_kernel_refuses_a_device_that_it_has_no_twin_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in list(TWINS):
        monkeypatch.delitem(TWINS, key)
    module, asked = inspect.getmodule(CASES[0]), _Refused()
    monkeypatch.setattr(module, "kernels", asked)
    for cases in CASES:
        for _ in cases():
            pass
    assert set(asked.messages) == set(kernels_of(kernels)) - {"ssd_priors"}  # which takes no arrays
    for name, message in asked.messages.items():
        text = f"{name}: there is no such kernel for arrays on standin:0; copy them with .to_host()"
        assert message == text


def test_strides_are_as_many_as_axes() -> None:
    with pytest.raises(
        ValueError, match=r"^a DeviceArray of shape \(6, 4\) must have a stride for each axis, got \(16,\)"
    ):
        DeviceArray(None, 8, (6, 4), np.dtype(np.float32), standin.DEVICE, (16,))

"""The checks that kernels share: what compiled code could not stand is refused, in one line that says who and what."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided
from vidgraph import kernels
from vidgraph.kernels.arrays import output, require, require_strided
from vidgraph.kernels.scalars import flag, number, numbers, picture_size, shown, whole, wholes

from .hostile import Unspeakable, misplaced

NUMBERS = np.arange(12, dtype=np.float32).reshape(3, 4)
PLAIN: dict[str, Any] = {"matrix": "bt709", "full_range": False}


def table(**changes: Any) -> kernels.SurfaceTable:
    one = np.ones(1, np.float32)
    fields: dict[str, Any] = {"colours": np.full((1, 3), 100, np.float32), "inverse": np.eye(3, dtype=np.float32)[None]}
    fields |= {"amplitude": one, "fade": one * 0, "texture": np.zeros(1, np.int32), "shaded": np.zeros(1, np.uint8)}
    return kernels.SurfaceTable(**{**fields, "blur": np.zeros(1, np.int32), **changes})


def shade(**changes: Any) -> np.ndarray:
    shape = (8, 40)
    light, textures = np.full(shape, 255, np.uint8), np.full((1, 256, 256), 128, np.uint8)
    return kernels.shade_surfaces(np.zeros(shape, np.uint16), light, table(**changes), textures)


def field_of_records() -> np.ndarray:
    records = np.zeros((3, 4), np.dtype([("first", np.uint8), ("value", np.float32)]))
    return records["value"]


def repeated(*shape: int) -> np.ndarray:
    """A view of one number that says it were many."""
    return as_strided(np.zeros(1, np.float32), shape, [0] * len(shape))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (misplaced(NUMBERS, 1), r"boxes must begin at a multiple of 4 bytes in memory; copy it with numpy.copy"),
        (NUMBERS.astype(">f4"), r"boxes must be float32 \[N, 4\], got >f4 \[3, 4\]"),
        (np.ma.masked_array(NUMBERS), r"boxes must be a plain NumPy array, got MaskedArray; convert it"),
        (np.zeros((0, 4), np.float32).T, r"boxes must be float32 \[N, 4\], got float32 \[4, 0\]"),
    ],
)
def test_what_does_not_lie_right_is_refused(array: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        require(array, "boxes", np.float32, (None, 4))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (misplaced(NUMBERS, 2), r"scores must begin at a multiple of 4 bytes in memory"),
        (field_of_records(), r"scores must lie at whole numbers, got strides \(20, 5\)"),
        (repeated(2**31, 1), r"scores must have less than 2\^31 numbers along each axis .*, got \[2147483648, 1\]"),
        (repeated(2**21, 2**20), r"scores must have .* at most 2\^40 in all, got \[2097152, 1048576\]"),
        (np.zeros((0, 2**31), np.float32), r"scores must have less than 2\^31 numbers along each axis"),
        (NUMBERS[0], r"scores must be float32 \[A, C\], got float32 \[4\]"),
    ],
)
def test_what_cannot_be_counted_is_refused(array: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        require_strided(array, "scores", np.float32, 2, "[A, C]")


def test_any_strides_are_read_as_they_are() -> None:
    for array in (NUMBERS, NUMBERS[::-1], NUMBERS[:, ::2], NUMBERS.T, np.broadcast_to(NUMBERS[:1], (9, 4))):
        require_strided(array, "scores", np.float32, 2, "[A, C]")
    require(NUMBERS.view(np.memmap), "boxes", np.float32, (None, 4))


def test_an_output_within_an_input_is_refused() -> None:
    memory = np.zeros((6, 8, 3), np.uint8)
    for planes in ((memory,), (memory[::-1],)):
        with pytest.raises(ValueError, match=r"^to_rgb: out must not share memory with an input$"):
            kernels.to_rgb(planes, "rgb24", **PLAIN, out=memory)
    geometry: dict[str, Any] = {"size": (6, 8), "scale": (1, 1), "offset": (0, 0), "mean": (0, 0, 0)}
    out: dict[str, Any] = {"std": (1, 1, 1), "dtype": "uint8", "layout": "nhwc", "out": memory[None]}
    with pytest.raises(ValueError, match="preprocess: out must not share memory with an input"):
        kernels.preprocess((memory,), "rgb24", **PLAIN, **geometry, **out)
    assert output("who", memory, np.uint8, (6, 8, 3), [NUMBERS]) is memory


def test_whole_numbers() -> None:
    assert whole("who", "limit", np.int16(7), "must be so", low=0) == 7
    assert whole("who", "limit", 10**30, "must be so", low=0) == 2**62  # as good as no limit
    for value, message in (
        (2.5, r"^who: limit must be a whole number, got 2.5$"),
        (None, r"^who: limit must be a whole number, got None$"),
        (-1, r"^who: limit must not be negative, got -1$"),
        (300, r"^who: limit must be from 0 to 255, got 300$"),
        (Unspeakable(), r"^who: limit must be a whole number, got something of type Unspeakable$"),
    ):
        with pytest.raises(ValueError, match=message):
            whole("who", "limit", value, "must not be negative", low=0, high=255)
    assert list(wholes("who", "box", np.array([1, 2]), "must be two", 2)) == [1, 2]
    for values in ((1, 2, 3), (1, 2.0), None, iter(range(10**9)), "12"):
        with pytest.raises(ValueError, match=r"^who: box must be two"):
            wholes("who", "box", values, "must be two", 2)


def test_numbers() -> None:
    assert number("who", "alpha", np.float32(0.5), low=0, high=1) == 0.5
    assert number("who", "alpha", 1, low=0, high=1) == 1.0
    assert number("who", "least", float("-inf")) == float("-inf")
    for value in (float("nan"), "0.5", None, np.zeros(2), 10**400, -(10**400), 1j, 1.5):
        with pytest.raises(ValueError, match=r"^who: alpha must be in \[0, 1\], got "):
            number("who", "alpha", value, "must be in [0, 1]", low=0, high=1)
    assert list(numbers("who", "std", (1, np.float64(2)), 2)) == [1.0, 2.0]
    for values in ((1, float("inf")), (1,), (1, 2, 3), "12", None, 5, (1, 10**400)):
        with pytest.raises(ValueError, match=r"^who: std must be 2 finite numbers, got "):
            numbers("who", "std", values, 2)
    assert flag("who", "legacy", np.False_) is False
    for neither in (None, 1, "False", []):
        with pytest.raises(ValueError, match=r"^who: legacy must be True or False, got "):
            flag("who", "legacy", neither)


def test_sizes_whose_product_does_not_fit() -> None:
    assert picture_size("who", "size", [np.int64(3), 4]) == (3, 4)
    assert picture_size("who", "size", (2**20, 2047)) == (2**20, 2047)
    for size in ((2**16, 2**16), (2**20 + 1, 1), (2**40, 2**40), (10**5000, 1)):
        with pytest.raises(ValueError, match=r"^who: size must have at most 1048576 pixels along "):
            picture_size("who", "size", size)
    for wrong in ((0, 4), (4, -1), (4,), (4.0, 4), None, "44"):
        with pytest.raises(ValueError, match=r"^who: size must be \(h, w\) of at least one pixel"):
            picture_size("who", "size", wrong)


def test_a_message_is_one_line_and_not_long() -> None:
    for value in (np.zeros((50, 50)), "x" * 10**5, 10**5000, Unspeakable(), "two\nlines"):
        assert "\n" not in shown(value)
        assert len(shown(value)) < 100
    assert shown((0.5, "a")) == "(0.5, 'a')"


@pytest.mark.parametrize(
    ("stride", "message"),
    [
        (1.5, r"ssd_priors: strides must be positive \(whole numbers\), got \[1.5\]"),
        (0.5, r"ssd_priors: strides must be positive \(whole numbers\), got \[0.5\]"),
        (-8, r"ssd_priors: strides must be positive, got \[-8\]"),
        (2**31 - 1, r"ssd_priors: strides must be at most 1048576, got \[2147483647\]"),
        (None, r"ssd_priors: strides must be positive \(whole numbers\), got \[None\]"),
    ],
)
def test_strides_of_priors(stride: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kernels.ssd_priors((100, 130), strides=[stride], min_sizes=[[16, 32]])


def test_priors_that_are_too_many() -> None:
    with pytest.raises(ValueError, match="ssd_priors: there must be at most 2147483647 priors, got 4292870144"):
        kernels.ssd_priors((2**20, 2047), strides=[1], min_sizes=[[16, 32]])
    assert kernels.ssd_priors((8, 8), strides=[], min_sizes=[]).shape == (0, 4)


@pytest.mark.parametrize("edge", [-1e300, -3e38, -2e6, float("-inf"), float("nan")])
def test_a_window_beyond_all_reason(edge: float) -> None:
    logits = np.random.default_rng(0).random((7, 20, 24), np.float32)
    with pytest.raises(ValueError, match=r"^label_map: window must be "):
        kernels.label_map(logits, size=(50, 60), window=(edge, 0.1, 1.0, 0.9))
    labels, counts = kernels.label_map(logits, size=(50, 60), window=(-1e6, 0.1, 1.0, 0.9))
    assert counts.sum() == labels.size


def test_labels_are_numbers_of_32_bits() -> None:
    logits = np.zeros((7, 2, 2), np.float32)
    assert kernels.label_map(logits, size=(2, 2), first=2**31 - 7)[0].max() == 2**31 - 7
    with pytest.raises(ValueError, match="label_map: first must be from -2147483648 to 2147483641, got 2147483642"):
        kernels.label_map(logits, size=(2, 2), first=2**31 - 6)


@pytest.mark.parametrize("blur", [2**31 - 1, 2**30, 2**20 + 1, -1])
def test_a_blur_beyond_all_reason(blur: int) -> None:
    with pytest.raises(ValueError, match=r"^shade_surfaces: blur must be from 0 to 1048576, got "):
        shade(blur=np.array([blur], np.int32))
    assert (shade(blur=np.array([2**20], np.int32)) == 100).all()


@pytest.mark.parametrize("name", ["colours", "inverse", "amplitude", "fade"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -3e38])
def test_surfaces_that_are_not_finite(name: str, value: float) -> None:
    array = np.full_like(getattr(table(), name), value)
    with pytest.raises(ValueError, match=rf"^shade_surfaces: {name} must be finite and not huge, got \["):
        shade(**{name: array})


def test_a_surface_seen_from_its_own_plane() -> None:
    """Its third coordinate is 0 everywhere, and its texture nowhere: 0 / 0."""
    flat = np.zeros((1, 3, 3), np.float32)
    assert (shade(inverse=flat, fade=np.ones(1, np.float32)) == 100).all()


def test_runs_that_are_no_lengths() -> None:
    for runs, got in (([3, -1], "-1"), ([2**63 - 1, 1], "1"), ([-(2**63)], "-9223372036854775808")):
        message = f"^encode_runs: runs must not be negative and less than 2\\^63 in all, got {got}$"
        with pytest.raises(ValueError, match=message):
            kernels.encode_runs(np.array(runs, np.int64))


def test_offsets_that_wrap_around() -> None:
    """Their differences match the boxes, modulo 2^64."""
    side, count = 2**24, 2**17 + 1
    boxes = np.tile(np.array([-side, -side, side, side], np.int32), (count, 1))
    lengths = np.uint64(2 * side // 8 * 2 * side)
    offsets = (np.arange(count + 1, dtype=np.uint64) * lengths).astype(np.int64)
    planes, colors = (np.zeros((4, 4, 3), np.uint8),), np.zeros((count, 3), np.uint8)
    with pytest.raises(ValueError, match="draw_masks: offsets must grow by the rows of each box"):
        kernels.draw_masks(planes, "rgb24", boxes, np.zeros(2**10, np.uint8), offsets, colors, **PLAIN)


@pytest.mark.parametrize("axis", [0, 1])
def test_pictures_that_are_too_large(axis: int) -> None:
    shape = [3, 3, 3]
    shape[axis] = 2**20 + 1
    plane = np.broadcast_to(np.zeros((1, 1, 3), np.uint8), shape)
    plane = plane if axis == 0 else np.zeros(shape, np.uint8)
    with pytest.raises(ValueError, match="rotate: rgb24: the first plane must have at most 1048576 pixels along"):
        kernels.rotate((plane,), "rgb24", 90)


def test_samples_at_odd_addresses() -> None:
    planes = (misplaced(np.zeros((4, 4), np.uint16), 1), *[np.zeros((2, 2), np.uint16)] * 2)
    with pytest.raises(ValueError, match=r"^to_rgb: yuv420p10le: plane 0 must lie at even addresses; copy it"):
        kernels.to_rgb(planes, "yuv420p10le", **PLAIN)


def test_no_memory_is_said_in_words() -> None:
    """Two rows of all classes need 68 GB here, although the logits are one number."""
    if "libasan" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip("the address sanitizer needs all of the address space")
    code = """
import resource
import numpy as np
from vidgraph.kernels import label_map
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
try:
    label_map(np.broadcast_to(np.zeros(1, np.float32), (2**17, 2, 2**16)), size=(2, 2))
except MemoryError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert run.stdout == "vidgraph.kernels: there is not enough memory for the results or the work on them\n", (
        run.stderr
    )

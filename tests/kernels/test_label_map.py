"""Labels of a frame from smaller maps of logits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from vidgraph.kernels import label_map
from vidgraph.kernels.label_map.reference import label_map_reference

from .cases import all_devices, to_device, to_host

WHOLE = (0.0, 0.0, 1.0, 1.0)

# (classes, height, width), (frame height, width)
SIZES = [
    ((1, 1, 1), (1, 1)),
    ((3, 1, 5), (7, 40)),
    ((2, 9, 1), (20, 3)),
    ((5, 8, 9), (8, 9)),  # no resize
    ((21, 13, 17), (61, 83)),
    ((150, 6, 20), (33, 64)),
    ((4, 37, 90), (11, 16)),  # smaller than the logits
    ((19, 40, 70), (43, 65)),
    ((3, 33, 33), (270, 480)),
]


def noise(shape: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def regions(shape: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    """Large regions that one class leads clearly, as trained networks give them, and some ties."""
    random = np.random.default_rng(seed)
    leads = random.integers(0, shape[0], (shape[1] // 6 + 1, shape[2] // 6 + 1)).repeat(6, 0).repeat(6, 1)
    logits = 0.1 * noise(shape, seed) + 3 * (leads[: shape[1], : shape[2]] == np.arange(shape[0])[:, None, None])
    return np.round(logits, 1).astype(np.float32)


def arranged(logits: np.ndarray, memory: str) -> np.ndarray:
    """The same numbers in other memory."""
    if memory == "last":
        return np.ascontiguousarray(logits.transpose(1, 2, 0)).transpose(2, 0, 1)
    if memory == "padded":
        return np.pad(logits, 2, constant_values=99)[2:-2, 2:-2, 2:-2]
    return np.ascontiguousarray(logits[:, :, ::-1])[:, :, ::-1] if memory == "mirrored" else logits


@pytest.mark.parametrize("device", all_devices("label_map"))
@pytest.mark.parametrize(("shape", "size"), SIZES)
@pytest.mark.parametrize("make", [noise, regions])
@pytest.mark.parametrize("window", [WHOLE, (0.1, 0.25, 0.9, 0.75), (-0.2, 0.3, 0.4, 1.3)])
def test_matches_reference(device: str, shape: Any, size: tuple[int, int], make: Any, window: Any) -> None:
    logits = make(shape)
    labels, counts = map(to_host, label_map(to_device(logits, device), size=size, window=window))
    assert (labels.dtype, counts.dtype) == (np.int32, np.int64)
    assert labels.base is None
    expected = label_map_reference(logits, size, window)
    np.testing.assert_array_equal(labels, expected)
    np.testing.assert_array_equal(counts, np.bincount(expected.ravel(), minlength=shape[0]))


@pytest.mark.parametrize("memory", ["last", "padded", "mirrored"])
@pytest.mark.parametrize(("shape", "size"), SIZES[2:5])
def test_strides_change_nothing(memory: str, shape: Any, size: tuple[int, int]) -> None:
    logits = regions(shape)
    given = arranged(logits, memory)
    np.testing.assert_array_equal(given, logits)
    np.testing.assert_array_equal(label_map(given, size=size)[0], label_map(logits, size=size)[0])


@pytest.mark.parametrize("seed", range(3))
def test_near_ties_are_decided_as_by_the_whole_arithmetic(seed: int) -> None:
    """Leads of a few units in the last place: where rounding makes two classes equal, the lower one wins."""
    random = np.random.default_rng(seed)
    logits = np.full((5, 12, 14), 3.7, np.float32)
    logits = (logits.view(np.int32) + random.integers(0, 2, logits.shape, np.int32)).view(np.float32)
    expected = label_map_reference(logits, (97, 131), WHOLE)
    np.testing.assert_array_equal(label_map(logits, size=(97, 131))[0], expected)
    tiny = random.integers(0, 4, logits.shape, np.int32).view(np.float32)  # not normalised
    np.testing.assert_array_equal(label_map(tiny, size=(97, 131))[0], label_map_reference(tiny, (97, 131), WHOLE))


def test_equals_torch() -> None:
    torch = pytest.importorskip("torch", reason="compares with torch (the extra 'torch')")
    for shape, size in SIZES:
        logits = noise(shape, seed=7)
        options: dict[str, Any] = {"size": size, "mode": "bilinear", "align_corners": False}
        wide = torch.nn.functional.interpolate(torch.from_numpy(logits)[None], **options)[0].numpy()
        labels = label_map(logits, size=size)[0]
        chosen = np.take_along_axis(wide, labels[None].astype(np.int64), axis=0)[0]
        np.testing.assert_allclose(chosen, wide.max(axis=0), atol=1e-5)


def test_by_hand() -> None:
    """Two logits of each class, four pixels: at 0, 1/4, 3/4 and 1 of the way from one to the other."""
    logits = np.array([[[4.0, 0.0]], [[0.0, 4.0]], [[2.5, 2.5]]], np.float32)
    labels, counts = label_map(logits, size=(1, 4))
    assert labels.tolist() == [[0, 0, 1, 1]]
    assert counts.tolist() == [2, 2, 0]
    right = label_map(logits, size=(1, 2), window=(0.5, 0, 1, 1), first=7)
    assert right[0].tolist() == [[8, 8]]  # at 1/2 + 1/4 of a logit from the first one's centre, and at the last one
    assert right[1].tolist() == [0, 2, 0]
    assert label_map(logits[:, :, :1], size=(1, 1))[0].tolist() == [[0]]
    assert label_map(np.ones((3, 2, 2), np.float32), size=(5, 5))[0].max() == 0  # ties have the lowest class


def test_numbers_that_are_not_finite() -> None:
    inf, nan = np.inf, np.nan
    logits = np.array([[[nan, 1, -inf, nan]], [[2, 2, -inf, nan]], [[1, 5, -inf, nan]]], np.float32)
    labels, counts = label_map(logits.transpose(0, 2, 1), size=(4, 1))
    assert labels[[0, 2, 3], 0].tolist() == [1, 0, 0]
    assert counts.sum() == 4
    for replaced in (nan, inf, -inf, 3e38):
        logits = regions((6, 15, 21))
        logits[4, 3, 5] = logits[2, 9, 18] = replaced
        np.testing.assert_array_equal(label_map(logits, size=(75, 90))[0], label_map_reference(logits, (75, 90), WHOLE))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"logits": np.zeros((2, 3, 3))}, r"label_map: logits must be float32 \[C, h, w\], .* got float64 \[2, 3, 3\]"),
        ({"logits": np.zeros((2, 0, 3), np.float32)}, r"label_map: logits must be .* got float32 \[2, 0, 3\]"),
        ({"logits": np.zeros((3, 3), np.float32)}, r"label_map: logits must be .* got float32 \[3, 3\]"),
        ({"logits": None}, r"label_map: logits must be a NumPy array, got NoneType"),
        ({"size": (0, 4)}, r"label_map: size must be \(h, w\) of at least one pixel, got \(0, 4\)"),
        ({"window": (0.5, 0, 0.5, 1)}, r"label_map: window must be \(x1, y1, x2, y2\) with x1 < x2"),
        ({"window": (0, 0, float("nan"), 1)}, r"label_map: window must be"),
    ],
)
def test_refuses_with_the_reason(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"logits": np.zeros((2, 3, 3), np.float32), "size": (4, 4)} | change
    with pytest.raises(ValueError, match=message):
        label_map(arguments.pop("logits"), **arguments)


def test_refuses_numbers_at_odd_places() -> None:
    records = np.zeros((2, 3, 3), np.dtype([("logit", np.float32), ("other", np.uint8)]))
    with pytest.raises(ValueError, match="label_map: logits must lie at whole numbers, got strides"):
        label_map(records["logit"], size=(4, 4))

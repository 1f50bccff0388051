"""Resizing, colour and normalisation in one pass, against the definition and against OpenCV."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from vidgraph.kernels import PIXEL_FORMATS, preprocess
from vidgraph.kernels.preprocess.reference import preprocess_reference

from ..tolerances import TOLERANCES
from .cases import all_devices, flat_planes, random_planes, to_device, to_host

PLAIN: dict[str, Any] = {
    "matrix": "bt709",
    "full_range": False,
    "mean": (0.0, 0.0, 0.0),
    "std": (1.0, 1.0, 1.0),
    "offset": (0.0, 0.0),
    "scale": (1.0, 1.0),
}


def assert_close(result: np.ndarray, expected: np.ndarray, name: str = "preprocess, of the range") -> None:
    assert result.dtype == np.float32
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=0, atol=TOLERANCES[name][0] * np.abs(expected).max())


@pytest.mark.parametrize("device", all_devices("preprocess"))
@pytest.mark.parametrize("format", PIXEL_FORMATS)
@pytest.mark.parametrize("source", [(1, 1), (2, 1), (1, 2), (3, 5), (40, 66), (120, 350)])
@pytest.mark.parametrize(("matrix", "full_range"), [("bt601", False), ("bt709", True), ("bt2020", False)])
def test_matches_reference(device: str, format: str, source: tuple[int, int], matrix: str, full_range: bool) -> None:
    planes = random_planes(format, *source, seed=source[1], padding=7)
    geometry: dict[str, Any] = {
        "size": (21, 37),
        "scale": (source[1] / 30, source[0] / 17),
        "offset": (-0.3 * source[1] / 30, 0.4),
        "mean": (104.0, 117.0, 123.0),
        "std": (57.0, 1.0, 255.0),
        "bgr": True,
        "pad": (114.0, 0.0, 255.0),
        "content": (2, 3, 19, 33),
    }
    kwargs: dict[str, Any] = {"matrix": matrix, "full_range": full_range, **geometry}
    result = to_host(preprocess(to_device(planes, device), format, **kwargs))
    assert_close(result, preprocess_reference(planes, format, **kwargs))


def test_positions_in_single_precision() -> None:
    """A ramp shows where was sampled; both kinds of rounding match the definition, and they differ."""
    ramp = np.arange(3000, dtype=np.uint16).reshape(1, -1) % 250
    planes = [np.ascontiguousarray(np.repeat(ramp, 4, axis=0)[..., None].repeat(3, axis=2).astype(np.uint8))]
    kwargs: dict[str, Any] = {**PLAIN, "size": (4, 1100), "scale": (3000 / 1100, 1.0)}
    results = {}
    for single in (False, True):
        results[single] = preprocess(planes, "rgb24", **kwargs, torch_resize=single)
        expected = preprocess_reference(
            planes, "rgb24", **kwargs, bgr=False, pad=(0, 0, 0), content=None, torch_resize=single
        )
        assert_close(results[single], expected)
    assert 1e-5 < np.abs(results[True] - results[False]).max() < 0.1


@pytest.mark.parametrize("format", ["yuv420p", "nv12", "p010le", "rgb24", "gray", "yuv422p10le"])
@pytest.mark.parametrize("ratio", [0.31, 1.0, 2.0, 3.0, 4.7, 9.5, 19.0])
def test_matches_reference_at_every_ratio(format: str, ratio: float) -> None:
    """Rows are read in another way where output pixels lie far apart."""
    planes = random_planes(format, 97, 613, padding=1)
    width = int(613 / ratio)
    kwargs: dict[str, Any] = {**PLAIN, "size": (11, width), "scale": (613 / width, 97 / 11)}
    expected = preprocess_reference(planes, format, **kwargs, bgr=False, pad=(0, 0, 0), content=None)
    assert_close(preprocess(planes, format, **kwargs), expected)


@pytest.mark.parametrize(
    ("source", "size"),
    [((190, 253), (480, 640)), ((1080, 1920), (360, 640)), ((300, 401), (123, 77)), ((5, 4), (9, 9))],
)
def test_rgb_equals_opencv(source: tuple[int, int], size: tuple[int, int]) -> None:
    cv2 = pytest.importorskip("cv2", reason="the comparison needs OpenCV")
    planes = random_planes("rgb24", *source)
    scale = (source[1] / size[1], source[0] / size[0])
    result = preprocess(planes, "rgb24", **{**PLAIN, "size": size, "scale": scale})
    resized = cv2.resize(planes[0].astype(np.float32), (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    assert_close(result, resized.transpose(2, 0, 1)[np.newaxis], "preprocess against OpenCV, of the range")


def test_gray_and_colour_agree_on_a_flat_picture() -> None:
    kwargs: dict[str, Any] = {**PLAIN, "size": (3, 5), "scale": (2.0, 2.0)}
    gray = preprocess(flat_planes("gray", 6, 10, (97,)), "gray", **kwargs)
    colour = preprocess(flat_planes("yuv420p", 6, 10, (97, 128, 128)), "yuv420p", **kwargs)
    np.testing.assert_allclose(gray, (97 - 16) * 255 / 219, rtol=1e-6)
    np.testing.assert_allclose(colour, gray, rtol=1e-6)


def test_edges_hold() -> None:
    """By hand: two pixels 0 and 100; output centres at -0.25, 0.25, 0.75, 1.25 and 1.75 of the first one's edge."""
    planes = (np.array([[[0] * 3, [100] * 3]], np.uint8),)
    result = preprocess(planes, "rgb24", **{**PLAIN, "size": (1, 5), "scale": (0.5, 1.0), "offset": (-0.5, 0.0)})
    np.testing.assert_array_equal(result[0, 0, 0], [0, 0, 25, 75, 100])


def test_mean_std_and_pad_follow_the_output_order() -> None:
    kwargs: dict[str, Any] = {**PLAIN, "size": (1, 2), "content": (0, 0, 1, 1), "pad": (10.0, 20.0, 30.0)}
    kwargs |= {"mean": (1.0, 2.0, 3.0), "std": (2.0, 4.0, 8.0)}
    planes = flat_planes("rgb24", 1, 1, (50, 60, 70))
    rgb = preprocess(planes, "rgb24", **kwargs)[0, :, 0]
    np.testing.assert_array_equal(rgb, [[49 / 2, 9 / 2], [58 / 4, 18 / 4], [67 / 8, 27 / 8]])
    bgr = preprocess(planes, "rgb24", **kwargs, bgr=True)[0, :, 0]
    np.testing.assert_array_equal(bgr, [[69 / 2, 29 / 2], [58 / 4, 18 / 4], [47 / 8, 7 / 8]])


def test_content_without_pixels_is_all_padding() -> None:
    kwargs: dict[str, Any] = {**PLAIN, "size": (2, 3), "content": (1, 1, 1, 1), "pad": (7.0, 8.0, 9.0)}
    result = preprocess(flat_planes("nv12", 4, 4, (16, 128, 128)), "nv12", **kwargs)
    assert (result == np.array([7, 8, 9], np.float32)[:, None, None]).all()
    rows = preprocess(flat_planes("nv12", 4, 4, (16, 128, 128)), "nv12", **kwargs, dtype="uint8", layout="nhwc")
    assert (rows == np.array([7, 8, 9], np.uint8)).all()


def rounded(values: np.ndarray, dtype: str, layout: str) -> np.ndarray:
    """A float32 result as NumPy rounds it, in another order."""
    if dtype == "uint8":
        values = np.clip(np.rint(values), 0, 255)
    with np.errstate(over="ignore"):
        values = values.astype(dtype)
    return values if layout == "nchw" else np.ascontiguousarray(values.transpose(0, 2, 3, 1))


@pytest.mark.parametrize("device", all_devices("preprocess"))
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
@pytest.mark.parametrize("format", ["yuv420p", "rgb24", "gray", "p010le"])
@pytest.mark.parametrize("bgr", [False, True])
def test_other_numbers_are_the_float32_ones_rounded(
    device: str, layout: str, dtype: str, format: str, bgr: bool
) -> None:
    """Bit by bit, with values beyond float16's ends, among its smallest ones, and below 0 and above 255."""
    planes = random_planes(format, 37, 53)
    geometry: dict[str, Any] = {"size": (21, 41), "scale": (53 / 30, 37 / 15), "offset": (-8.1, -7.2)}
    kwargs: dict[str, Any] = {"matrix": "bt709", "full_range": False, "bgr": bgr, "pad": (114, 1, 250), **geometry}
    for mean, std in (((0, 0, 0), (1, 1, 1)), ((300, 100, -300), (1, 3, 0.5)), ((9, 1e5, 60), (1e-3, 1e7, 1e9))):
        for content in (None, (3, 5, 18, 35), (4, 7, 4, 7)):
            kwargs |= {"mean": mean, "std": std, "content": content}
            plain = preprocess(planes, format, **kwargs)
            result = to_host(preprocess(to_device(planes, device), format, **kwargs, dtype=dtype, layout=layout))
            expected = rounded(plain, dtype, layout)
            assert (result.dtype, result.shape) == (expected.dtype, expected.shape)
            np.testing.assert_array_equal(result.view(np.uint8), expected.view(np.uint8))


@pytest.mark.parametrize("device", all_devices("preprocess")[1:])
@pytest.mark.parametrize("shuffle", range(3))
@pytest.mark.parametrize("format", PIXEL_FORMATS)
@pytest.mark.parametrize("torch_resize", [False, True])
def test_devices_give_the_bits_of_the_host(device: str, shuffle: int, format: str, torch_resize: bool) -> None:
    """Sizes around those of a tile, planes that lie upside down, samples with bits that their format does not use."""
    random = np.random.default_rng(shuffle)
    for source, size in (((7, 5), (16, 64)), ((1, 70), (17, 65)), ((33, 1), (15, 63)), ((19, 23), (1, 130))):
        planes = tuple(plane[::-1] for plane in random_planes(format, *source, seed=shuffle, padding=3))
        for plane in planes:
            plane[...] = random.integers(0, 2 ** (8 * plane.itemsize), plane.shape)
        kwargs: dict[str, Any] = {
            "matrix": "bt2020", "full_range": shuffle == 1, "torch_resize": torch_resize, "size": size,
            "scale": (source[1] / 60, source[0] / 14), "offset": (-0.7, 0.3), "bgr": shuffle == 2,
            "mean": (104, 1e300, 123), "std": (57, 1, 1e-310), "pad": (114, 1, 255),
            "content": (0, 1, size[0] - shuffle % 2, size[1] - 2) if shuffle else None,
        }  # fmt: skip
        for dtype, layout in (("float32", "nchw"), ("float16", "nhwc"), ("uint8", "nchw")):
            expected = preprocess(planes, format, **kwargs, dtype=dtype, layout=layout)
            result = preprocess(to_device(planes, device), format, **kwargs, dtype=dtype, layout=layout)
            np.testing.assert_array_equal(to_host(result), expected, strict=True)


@pytest.mark.parametrize("device", all_devices("preprocess")[1:])
def test_devices_write_into_out(device: str) -> None:
    planes, out = random_planes("nv12", 6, 8), to_device(np.empty((1, 3, 3, 4), np.float32), device)
    kwargs: dict[str, Any] = {**PLAIN, "size": (3, 4), "scale": (2.0, 2.0)}
    assert preprocess(to_device(planes, device), "nv12", **kwargs, out=out) is out
    np.testing.assert_array_equal(to_host(out), preprocess(planes, "nv12", **kwargs))


@pytest.mark.parametrize(("dtype", "layout"), [("float16", "nhwc"), ("uint8", "nchw"), ("float32", "nhwc")])
def test_other_numbers_match_reference(dtype: str, layout: str) -> None:
    planes = random_planes("nv12", 40, 66)
    kwargs: dict[str, Any] = {**PLAIN, "size": (21, 37), "scale": (66 / 37, 40 / 21), "dtype": dtype, "layout": layout}
    expected = preprocess_reference(planes, "nv12", **kwargs, bgr=False, pad=(0, 0, 0), content=None)
    result = preprocess(planes, "nv12", **kwargs)
    assert result.dtype == expected.dtype
    step = 1.0 if dtype == "uint8" else np.spacing(np.float16(255)) if dtype == "float16" else 1e-3
    np.testing.assert_allclose(result.astype(np.float64), expected.astype(np.float64), rtol=0, atol=step)
    assert (result == expected).mean() > (0.2 if dtype == "float32" else 0.99)


@pytest.mark.parametrize(("dtype", "step"), [("uint8", 1.0), ("float16", 0.125)])
def test_halves_are_rounded_to_even(dtype: str, step: float) -> None:
    """By hand: pixels 200, 201, …, half a step added by the mean; float16 has a spacing of 1/8 there."""
    ramp = np.arange(200, 220, dtype=np.uint8)
    planes = (np.repeat(ramp[None, :, None], 3, axis=2),)
    kwargs: dict[str, Any] = {**PLAIN, "size": (1, 20), "mean": (-step / 2,) * 3, "dtype": dtype}
    expected = ramp + (ramp % 2 if dtype == "uint8" else 0)
    np.testing.assert_array_equal(preprocess(planes, "rgb24", **kwargs)[0, 0, 0], expected)


def test_writes_into_out() -> None:
    planes, out = random_planes("nv12", 6, 8), np.empty((1, 3, 3, 4), np.float32)
    kwargs: dict[str, Any] = {**PLAIN, "size": (3, 4), "scale": (2.0, 2.0)}
    assert preprocess(planes, "nv12", **kwargs, out=out) is out
    np.testing.assert_array_equal(out, preprocess(planes, "nv12", **kwargs))
    halves = np.empty((1, 3, 4, 3), np.float16)
    assert preprocess(planes, "nv12", **kwargs, dtype=np.float16, layout="nhwc", out=halves) is halves


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": (0, 4)}, r"preprocess: size must be \(h, w\) of at least one pixel, got \(0, 4\)"),
        ({"scale": (0.0, 1.0)}, r"preprocess: scale must be positive, got \(0.0, 1.0\)"),
        ({"scale": (float("nan"), 1.0)}, r"preprocess: scale must be 2 finite numbers"),
        ({"offset": (1.0,)}, r"preprocess: offset must be 2 finite numbers, got \(1.0,\)"),
        ({"mean": (1.0, 2.0)}, r"preprocess: mean must be 3 finite numbers"),
        ({"std": (1.0, 0.0, 1.0)}, r"preprocess: std must not be zero"),
        ({"content": (0, 0, 4, 4)}, r"preprocess: content must be .* inside the output of 3 rows and 4 columns"),
        ({"content": (2, 0, 1, 4)}, r"preprocess: content must be"),
        ({"matrix": "bt470"}, r"preprocess: the matrix of nv12 must be one of bt601, bt709, bt2020, got 'bt470'"),
        ({"out": np.empty((3, 3, 4), np.float32)}, r"preprocess: out must be float32 \[1, 3, 3, 4\]"),
        ({"dtype": "float64"}, r"preprocess: dtype must be float32, float16 or uint8, got float64"),
        ({"layout": "chw"}, r"preprocess: layout must be 'nchw' or 'nhwc', got 'chw'"),
        (
            {"dtype": "uint8", "layout": "nhwc", "out": np.empty((1, 3, 4, 3), np.float32)},
            r"preprocess: out must be uint8 \[1, 3, 4, 3\], got float32",
        ),
    ],
)
def test_refuses_with_the_reason(change: dict[str, Any], message: str) -> None:
    kwargs: dict[str, Any] = {**PLAIN, "size": (3, 4), **change}
    with pytest.raises(ValueError, match=message):
        preprocess(random_planes("nv12", 6, 8), "nv12", **kwargs)

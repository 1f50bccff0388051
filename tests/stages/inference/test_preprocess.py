"""How a frame lies in the network's input, and the stage that puts it there."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
from vidgraph import Frame, Key, Packet, Picture
from vidgraph.pipeline.packet import SKIPPED
from vidgraph.pipeline.types.affine import Affine
from vidgraph.stages.inference.preprocess import BufferPool, InputSize, ModelInput, Preprocess

from ...tolerances import TOLERANCES

INPUT = Key("input", ModelInput)


def packet_of(rgb: np.ndarray) -> Packet:
    return Packet(Frame("one", 0, 0, 0, 0, Picture.from_rgb(rgb)))


def stage(size: InputSize, **more: object) -> Preprocess:
    return Preprocess(size, INPUT, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("frame", "size"),
    [
        ((1080, 1920), (360, 640)),
        ((1920, 1080), (640, 360)),
        ((600, 956), (402, 640)),  # as the official code rounds it
        ((240, 320), (480, 640)),  # enlarged
        ((640, 640), (640, 640)),
        ((3, 10_000), (1, 640)),
        ((1, 1), (640, 640)),
    ],
)
def test_longer_side(frame: tuple[int, int], size: tuple[int, int]) -> None:
    fit = InputSize(640).fit(frame)
    assert fit.size == size
    assert fit.affine.scale[0] == fit.affine.scale[1] == max(frame) / 640
    assert fit.content == (0, 0, *size)


@pytest.mark.parametrize(
    ("frame", "scale", "content"),
    [
        ((720, 1280), 1.0, (0, 0, 720, 1280)),
        ((1080, 1920), 1.5, (0, 0, 720, 1280)),
        ((1080, 1440), 1.5, (0, 0, 720, 960)),  # narrower: padded at the right
        ((500, 1280), 1.0, (0, 0, 500, 1280)),  # wider: padded below
        ((360, 640), 0.5, (0, 0, 720, 1280)),
        ((4, 10_000), 7.8125, (0, 0, 1, 1280)),
    ],
)
def test_fixed_size(frame: tuple[int, int], scale: float, content: tuple[int, int, int, int]) -> None:
    fit = InputSize(fixed=(720, 1280)).fit(frame)
    assert fit.size == (720, 1280)
    assert fit.affine == Affine((scale, scale))
    assert fit.content == content


@pytest.mark.parametrize(
    ("frame", "scale"), [((720, 1280), (2.0, 3.0)), ((1080, 1920), (3.0, 4.5)), ((1, 640), (1.0, 1 / 240))]
)
def test_stretched_size(frame: tuple[int, int], scale: tuple[float, float]) -> None:
    fit = InputSize(stretch=(240, 640)).fit(frame)
    assert fit.size == (240, 640)
    assert fit.affine == Affine(scale)
    assert fit.content == (0, 0, 240, 640)


def test_a_stretched_frame_fills_the_input() -> None:
    rgb = np.full((4, 4, 3), 200, np.uint8)
    (packet,) = stage(InputSize(stretch=(3, 8)), pad=(10, 20, 30)).process(packet_of(rgb))
    np.testing.assert_array_equal(packet[INPUT].tensor, np.full((1, 3, 3, 8), 200, np.float32))


@pytest.mark.parametrize(
    "wrong",
    [
        {}, {"long_side": 0}, {"fixed": (0, 3)}, {"long_side": 3, "fixed": (3, 3)}, {"stretch": (0, 3)},
        {"fixed": (3, 3), "stretch": (3, 3)}, {"letterbox": (3, 0)}, {"crop": (3, 3), "crop_share": 0.0},
        {"crop": (0, 3)}, {"crop": (3, 3), "crop_share": 1.1}, {"letterbox": (3, 3), "crop": (3, 3)},
    ],
)  # fmt: skip
def test_impossible_sizes(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="long_side or a fixed size"):
        InputSize(**wrong)  # type: ignore[arg-type]


def test_size_in_words() -> None:
    assert str(InputSize(640)) == "longer side 640"
    assert str(InputSize(fixed=(720, 1280))) == "1280x720"
    assert str(InputSize(stretch=(550, 540))) == "540x550"
    assert str(InputSize(letterbox=(384, 640))) == "640x384"
    assert str(InputSize(crop=(224, 200), crop_share=0.9)) == "200x224"


@pytest.mark.parametrize(
    ("frame", "size", "resized", "first"),
    [
        ((1080, 1920), (640, 640), (360, 640), (140, 0)),  # landscape
        ((1920, 1080), (640, 640), (640, 360), (0, 140)),  # portrait
        ((1080, 810), (640, 640), (640, 480), (0, 80)),
        ((375, 500), (640, 640), (480, 640), (80, 0)),  # enlarged
        ((427, 640), (640, 640), (427, 640), (106, 0)),  # 213 rows of padding: the odd one below
        ((719, 1281), (640, 640), (359, 640), (140, 0)),  # 359.22 rows, and 281 of padding
        ((333, 77), (320, 480), (320, 74), (0, 203)),  # 73.99 columns
        ((480, 640), (384, 640), (384, 512), (0, 64)),
        ((4, 10_000), (640, 640), (1, 640), (319, 0)),  # a quarter of a row is one
        ((1, 1), (2, 3), (2, 2), (0, 0)),
    ],
)
def test_letterboxed_size(
    frame: tuple[int, int], size: tuple[int, int], resized: tuple[int, int], first: tuple[int, int]
) -> None:
    """Numbers of LetterBox(size, auto=False, scaleup=True), worked out by hand."""
    fit = InputSize(letterbox=size).fit(frame)
    scale = (frame[1] / resized[1], frame[0] / resized[0])
    assert fit.size == size
    assert fit.content == (first[0], first[1], first[0] + resized[0], first[1] + resized[1])
    assert fit.affine.scale == scale
    assert fit.affine.offset == (-first[1] * scale[0], -first[0] * scale[1])
    corners = np.array([[first[1], first[0], first[1] + resized[1], first[0] + resized[0]]], np.float32)
    np.testing.assert_allclose(fit.affine.boxes(corners), [[0, 0, frame[1], frame[0]]], atol=1e-3)


@pytest.mark.parametrize(
    ("frame", "size", "share", "resized", "first"),
    [
        ((1080, 1920), (224, 224), 0.875, (256, 455), (16, 116)),  # 455.1 columns; 115.5 is rounded to even
        ((1920, 1080), (224, 224), 0.875, (455, 256), (116, 16)),
        ((480, 640), (224, 224), 1.0, (224, 298), (0, 37)),
        ((333, 501), (224, 224), 224 / 232, (232, 349), (4, 62)),
        ((333, 501), (224, 224), 0.95, (235, 353), (6, 64)),  # 235.8 rows; 5.5 and 64.5 to even
        ((100, 100), (224, 224), 1.0, (224, 224), (0, 0)),  # enlarged
        ((1080, 1920), (200, 300), 1.0, (200, 355), (0, 28)),  # 27.5 to even
        ((1080, 1920), (100, 300), 1.0, (168, 300), (34, 0)),
        ((1, 7), (2, 2), 1.0, (2, 14), (0, 6)),
    ],
)
def test_cropped_size(
    frame: tuple[int, int], size: tuple[int, int], share: float, resized: tuple[int, int], first: tuple[int, int]
) -> None:
    """Numbers of Resize(int(size / share)) and CenterCrop(size), worked out by hand."""
    fit = InputSize(crop=size, crop_share=share).fit(frame)
    scale = (frame[1] / resized[1], frame[0] / resized[0])
    assert fit.size == size
    assert fit.content == (0, 0, *size)
    assert fit.affine.scale == scale
    assert fit.affine.offset == (first[1] * scale[0], first[0] * scale[1])


def linear_resize(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear, pixel centres at halves, held at the edges; float64."""
    picture = rgb.astype(np.float64)
    for axis, count in enumerate(size):
        length = picture.shape[axis]
        at = np.clip((np.arange(count) + 0.5) * (length / count) - 0.5, 0, length - 1)
        low = np.minimum(np.floor(at).astype(int), length - 1)
        share = (at - low).reshape((count, 1, 1) if axis == 0 else (1, count, 1))
        high = np.minimum(low + 1, length - 1)
        picture = picture.take(low, axis) * (1 - share) + picture.take(high, axis) * share
    return picture


def opencv_resize(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    cv2 = pytest.importorskip("cv2", reason="the comparison needs OpenCV")
    resized: np.ndarray = cv2.resize(rgb.astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR)
    return resized


FRAMES = [(90, 160), (160, 90), (97, 131), (131, 97), (23, 17), (64, 64), (200, 33)]


@pytest.mark.parametrize("resize", [linear_resize, opencv_resize])
@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("size", [(64, 64), (48, 80)])
def test_a_letterboxed_frame_is_resized_then_placed(
    resize: Callable[..., np.ndarray], frame: tuple[int, int], size: tuple[int, int]
) -> None:
    rgb = np.random.default_rng(sum(frame)).integers(0, 256, (*frame, 3), np.uint8)
    (packet,) = stage(InputSize(letterbox=size), pad=(114, 114, 114)).process(packet_of(rgb))
    ratio = min(size[0] / frame[0], size[1] / frame[1])
    height, width = round(frame[0] * ratio), round(frame[1] * ratio)
    top, left = round((size[0] - height) / 2 - 0.1), round((size[1] - width) / 2 - 0.1)
    expected = np.full((*size, 3), 114.0)
    expected[top : top + height, left : left + width] = resize(rgb, (height, width))
    limit = 255 * TOLERANCES["preprocess against OpenCV, of the range"][0]
    np.testing.assert_allclose(packet[INPUT].tensor[0].transpose(1, 2, 0), expected, rtol=0, atol=limit)


@pytest.mark.parametrize("resize", [linear_resize, opencv_resize])
@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("share", [1.0, 0.875, 0.6])
def test_a_cropped_frame_is_resized_then_cut(
    resize: Callable[..., np.ndarray], frame: tuple[int, int], share: float
) -> None:
    rgb = np.random.default_rng(sum(frame)).integers(0, 256, (*frame, 3), np.uint8)
    (packet,) = stage(InputSize(crop=(56, 56), crop_share=share)).process(packet_of(rgb))
    shorter, longer = int(56 / share), int(int(56 / share) * max(frame) / min(frame))
    height, width = (shorter, longer) if frame[0] <= frame[1] else (longer, shorter)
    top, left = round((height - 56) / 2), round((width - 56) / 2)
    expected = resize(rgb, (height, width))[top : top + 56, left : left + 56]
    limit = 255 * TOLERANCES["preprocess against OpenCV, of the range"][0]
    np.testing.assert_allclose(packet[INPUT].tensor[0].transpose(1, 2, 0), expected, rtol=0, atol=limit)


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize(
    "rule", [InputSize(letterbox=(64, 80)), InputSize(crop=(40, 56), crop_share=0.7), InputSize(crop=(30, 30))]
)
def test_a_place_in_the_input_is_found_in_the_frame(frame: tuple[int, int], rule: InputSize) -> None:
    """A picture whose colours are places: x in red, y in green."""
    y, x = np.mgrid[0 : frame[0], 0 : frame[1]].astype(np.uint8)
    (packet,) = stage(rule).process(packet_of(np.stack([x, y, x], axis=2)))
    given, content = packet[INPUT], rule.fit(frame).content
    rows, columns = np.mgrid[content[0] : content[2], content[1] : content[3]]
    centres = np.stack([columns + 0.5, rows + 0.5], axis=-1).astype(np.float32)
    colours = given.tensor[0, :2, content[0] : content[2], content[1] : content[3]].transpose(1, 2, 0) + 0.5
    held = np.clip(given.affine.points(centres), 0.5, (frame[1] - 0.5, frame[0] - 0.5))
    np.testing.assert_allclose(colours, held, atol=1e-3)


@pytest.mark.parametrize(
    ("dtype", "layout", "shape"),
    [("uint8", "nhwc", (1, 4, 6, 3)), ("float16", "nchw", (1, 3, 4, 6)), ("float32", "nhwc", (1, 4, 6, 3))],
)
def test_other_numbers_and_layouts(dtype: str, layout: str, shape: tuple[int, ...]) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    (packet,) = stage(InputSize(6), dtype=dtype, layout=layout).process(packet_of(rgb))
    given = packet[INPUT]
    assert (given.tensor.dtype, given.tensor.shape, given.size) == (np.dtype(dtype), shape, (4, 6))
    picture = given.tensor[0] if layout == "nhwc" else given.tensor[0].transpose(1, 2, 0)
    np.testing.assert_allclose(picture.astype(np.float64), rgb, atol=1e-4)


def test_affine_maps_to_frame_pixels() -> None:
    affine = Affine((2.0, 4.0), (1.0, -1.0))
    np.testing.assert_array_equal(affine.points(np.array([[1, 1]], np.float32)), [[3, 3]])
    np.testing.assert_array_equal(affine.boxes(np.array([[0, 0, 1, 1]], np.float32)), [[1, -1, 3, 3]])
    assert affine.boxes(np.zeros((0, 4), np.float32)).dtype == np.float32


def test_the_tensor_is_the_frame_in_the_order_of_the_network() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    (packet,) = stage(InputSize(6), bgr=True).process(packet_of(rgb))
    given = packet[INPUT]
    assert given.size == (4, 6)
    np.testing.assert_allclose(given.tensor[0], rgb[..., ::-1].transpose(2, 0, 1), atol=1e-4)


def test_padding_is_the_colour_given() -> None:
    rgb = np.full((4, 4, 3), 200, np.uint8)
    (packet,) = stage(InputSize(fixed=(4, 8)), pad=(10, 20, 30)).process(packet_of(rgb))
    tensor = packet[INPUT].tensor[0]
    np.testing.assert_array_equal(tensor[:, :, :4], 200)
    np.testing.assert_array_equal(tensor[:, :, 4:], np.array([10, 20, 30])[:, None, None] * np.ones((3, 4, 4)))


def test_mapping_there_and_back() -> None:
    """A bright pixel is found in the input at the place that the affine says."""
    rgb = np.zeros((90, 120, 3), np.uint8)
    rgb[30:33, 60:63] = 255
    (packet,) = stage(InputSize(40)).process(packet_of(rgb))
    given = packet[INPUT]
    y, x = np.unravel_index(given.tensor[0, 0].argmax(), given.size)
    np.testing.assert_allclose(given.affine.points(np.array([x + 0.5, y + 0.5], np.float32)), [61.5, 31.5])


def test_dropped_and_skipped_frames_pass() -> None:
    packet = packet_of(np.zeros((4, 4, 3), np.uint8))
    for each in (packet.dropped("mailbox_full"), packet.with_item(SKIPPED, True)):
        assert list(stage(InputSize(4)).process(each)) == [each]
    assert INPUT in next(iter(stage(InputSize(4)).process(packet.with_item(SKIPPED, False))))


def test_buffers_are_used_again_only_when_given_back() -> None:
    rgb = np.zeros((4, 4, 3), np.uint8)
    preprocess = stage(InputSize(4))
    first, second = (next(iter(preprocess.process(packet_of(rgb))))[INPUT] for _ in range(2))
    assert first.tensor is not second.tensor
    first.release()
    third = next(iter(preprocess.process(packet_of(rgb))))[INPUT]
    assert third.tensor is first.tensor


def test_a_buffer_is_used_again_for_its_kind_only() -> None:
    pool = BufferPool()
    buffer = pool.take((4, 6), "uint8", "nhwc")
    assert (buffer.dtype, buffer.shape) == (np.uint8, (1, 4, 6, 3))
    pool.give(buffer)
    assert pool.take((4, 6), "float32", "nhwc").dtype == np.float32
    assert pool.take((4, 6), "uint8").shape == (1, 3, 4, 6)
    assert pool.take((4, 6), "uint8", "nhwc") is buffer


def test_the_pool_is_bounded() -> None:
    pool = BufferPool(limit=2, sizes=2)
    for size in ((1, 1), (2, 2), (3, 3)):
        for buffer in [pool.take(size) for _ in range(4)]:
            pool.give(buffer)
    assert {shape: len(idle) for (shape, *_), idle in pool._idle.items()} == {(1, 3, 2, 2): 2, (1, 3, 3, 3): 2}


def test_the_pool_never_gives_one_buffer_twice() -> None:
    pool, failures = BufferPool(), []

    def work(number: int) -> None:
        for _ in range(300):
            buffer = pool.take((2, 2))
            buffer.fill(number)
            if not (buffer == number).all():
                failures.append(number)
            pool.give(buffer)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures

"""How a frame lies in the network's input, and the stage that puts it there."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from vidgraph import Frame, Key, Packet, Picture
from vidgraph.pipeline.affine import Affine
from vidgraph.pipeline.packet import SKIPPED
from vidgraph.stages.preprocess import BufferPool, InputSize, ModelInput, Preprocess

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
    ],
)  # fmt: skip
def test_impossible_sizes(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="long_side or a fixed size"):
        InputSize(**wrong)  # type: ignore[arg-type]


def test_a_letterboxed_frame_lies_in_the_middle() -> None:
    fit = InputSize(letterbox=(640, 640)).fit((1080, 1920))
    assert fit.size == (640, 640)
    assert fit.content == (140, 0, 500, 640)
    assert fit.affine.scale == (3.0, 3.0)
    assert fit.affine.offset == (0.0, -420.0)


def test_an_odd_rest_of_a_letterbox_goes_to_the_bottom_and_the_right() -> None:
    fit = InputSize(letterbox=(64, 65)).fit((64, 64))
    assert fit.content == (0, 0, 64, 64)
    fit = InputSize(letterbox=(67, 64)).fit((64, 64))
    assert fit.content == (1, 0, 65, 64)


def test_each_axis_of_a_letterbox_is_scaled_to_whole_pixels() -> None:
    fit = InputSize(letterbox=(64, 64)).fit((33, 101))  # 33 * 64 / 101 = 20.91
    assert fit.content == (21, 0, 42, 64)
    assert fit.affine.scale == (101 / 64, 33 / 21)
    assert fit.affine.offset == (0.0, -21 * 33 / 21)


def test_a_crop_is_the_middle_of_the_shorter_side_resized() -> None:
    fit = InputSize(crop=(224, 224), crop_share=0.875).fit((512, 1024))
    assert fit.content == (0, 0, 224, 224)
    assert fit.affine.scale == (2.0, 2.0)  # 512 -> 256, of which 224
    assert fit.affine.offset == (144 * 2.0, 16 * 2.0)


def test_a_crop_without_a_share_takes_all_of_the_shorter_side() -> None:
    fit = InputSize(crop=(100, 100)).fit((200, 400))
    assert fit.affine.scale == (2.0, 2.0)
    assert fit.affine.offset == (100.0, 0.0)


def test_size_in_words() -> None:
    assert str(InputSize(640)) == "longer side 640"
    assert str(InputSize(fixed=(720, 1280))) == "1280x720"
    assert str(InputSize(stretch=(550, 540))) == "540x550"


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


def test_the_pool_is_bounded() -> None:
    pool = BufferPool(limit=2, sizes=2)
    for size in ((1, 1), (2, 2), (3, 3)):
        for buffer in [pool.take(size) for _ in range(4)]:
            pool.give(buffer)
    assert {shape: len(idle) for (shape, _), idle in pool._idle.items()} == {(1, 3, 2, 2): 2, (1, 3, 3, 3): 2}


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

"""The drawing stage: what is drawn where, on every pixel format, on memory that is used again."""

from __future__ import annotations

import gc
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from vidgraph.kernels import PIXEL_FORMATS
from vidgraph.pipeline.drawing.style import DrawStyle, color_of, colors_of, text_colors_on, text_mask
from vidgraph.pipeline.packet import DETECTIONS, LANDMARKS, Key, Packet
from vidgraph.pipeline.results.format import ResultKeys
from vidgraph.pipeline.stage import EndReason, Stage
from vidgraph.pipeline.types.detections import Detections
from vidgraph.pipeline.types.landmarks import Landmarks
from vidgraph.pipeline.types.masks import Masks
from vidgraph.pipeline.types.picture import Picture
from vidgraph.stages.drawing.draw import ANNOTATED, Draw, draw_rgb
from vidgraph.stages.drawing.picture_pool import PicturePool

from ...tolerances import TOLERANCES
from ..sinks.sinks import frame

SIZE = (240, 320)
BOX = (100.0, 80.0, 180.0, 200.0)
NOTHING = DrawStyle(masks=False, boxes=False, labels=False, points=False)


def gray_picture(value: int = 90) -> Picture:
    """A picture of one gray in full-range yuv420p, so that luma is the RGB value."""
    height, width = SIZE
    luma, chroma = np.full(SIZE, value, np.uint8), np.full((height // 2, width // 2), 128, np.uint8)
    return Picture("yuv420p", (luma, chroma, chroma.copy()), matrix="bt709", full_range=True)


def detections(*, masks: bool = False, tracks: bool = False, class_id: int = 0) -> Detections:
    full = np.zeros((1, *SIZE), bool)
    full[0, 100:150, 110:170] = True
    return Detections(
        np.array([BOX], np.float32),
        np.array([0.87], np.float32),
        np.array([class_id], np.int32),
        ("face", "person"),
        Masks.from_full(full) if masks else None,
        np.array([5], np.int32) if tracks else None,
    )


def landmarks() -> Landmarks:
    points = np.array([[[120.5, 120.5], [150.5, 120.5]]], np.float32)
    none = np.full(1, -1, np.int32)
    return Landmarks(points, np.array([[1.0, 0.2]], np.float32), np.array([BOX], np.float32), ("a", "b"), none, none)


def drawn(given: Packet, **settings: Any) -> NDArray[np.int64]:
    """The annotated picture as RGB, after the stage has run."""
    (packet,) = Draw(**settings).process(given)
    return packet[ANNOTATED].rgb().astype(int)


def near(pixel: NDArray[np.int64], color: tuple[int, int, int], tolerance: int = 4) -> bool:
    return bool(np.abs(pixel - color).max() <= tolerance)


def packet_with(
    found: Detections | None = None, points: Landmarks | None = None, picture: Picture | None = None
) -> Packet:
    """A packet with results; its picture is RGB of one gray unless given."""
    plain = Picture.from_rgb(np.full((*SIZE, 3), 90, np.uint8))
    packet = Packet(frame(0, picture=picture or plain))
    packet = packet if found is None else packet.with_item(DETECTIONS, found)
    return packet if points is None else packet.with_item(LANDMARKS, points)


def test_it_is_a_stage_that_runs_concurrently() -> None:
    stage = Draw()
    assert isinstance(stage, Stage)
    assert stage.stateless
    assert (stage.reads, stage.creates) == ({DETECTIONS}, {ANNOTATED})
    assert list(stage.end_stream("s", EndReason.FINISHED)) == []


def test_boxes_lie_on_their_pixels_in_the_colour_of_their_class() -> None:
    rgb = drawn(packet_with(detections(class_id=1)), style=replace(NOTHING, boxes=True, min_line_px=2))
    assert near(rgb[80, 140], color_of(1))
    assert near(rgb[199, 140], color_of(1))
    assert near(rgb[140, 100], color_of(1))
    assert near(rgb[140, 179], color_of(1))
    for y, x in ((79, 140), (200, 140), (140, 99), (140, 180), (140, 140)):
        assert near(rgb[y, x], (90, 90, 90))


def test_masks_tint_their_pixels() -> None:
    rgb = drawn(packet_with(detections(masks=True)), style=replace(NOTHING, masks=True, mask_opacity=0.5))
    expected = tuple((90 + channel) // 2 for channel in color_of(0))
    assert near(rgb[125, 140], expected)
    assert near(rgb[160, 140], (90, 90, 90))


def test_points_have_a_colour_each_and_weak_ones_can_be_left_out() -> None:
    rgb = drawn(packet_with(points=landmarks()), style=replace(NOTHING, points=True))
    assert near(rgb[120, 120], color_of(1), 12)
    assert near(rgb[120, 150], color_of(2), 12)
    strong = drawn(packet_with(points=landmarks()), style=replace(NOTHING, points=True, min_point_score=0.5))
    assert near(strong[120, 120], color_of(1), 12)
    assert near(strong[120, 150], (90, 90, 90))


def test_labels_stand_on_their_boxes_or_inside_where_there_is_no_room() -> None:
    style = replace(NOTHING, labels=True, label_opacity=1.0)
    rgb = drawn(packet_with(detections()), style=style)
    height, width = text_mask("face 0.87", style.text_px(*SIZE)).shape
    changed = np.abs(rgb - 90).max(axis=2) > 8
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert (rows[0], rows[-1]) == (80 - height, 79)
    assert abs(int(columns[0]) - 100) <= 1
    assert abs(int(columns[-1]) - (99 + width)) <= 1
    high = replace(detections(), boxes=np.array([[300.0, 5.0, 318.0, 100.0]], np.float32))
    changed = np.abs(drawn(packet_with(high), style=style) - 90).max(axis=2) > 8
    assert np.flatnonzero(changed.any(axis=1))[0] == 5
    assert np.flatnonzero(changed.any(axis=0))[-1] == SIZE[1] - 1


@pytest.mark.parametrize(
    ("style", "text"),
    [
        (DrawStyle(), "face 0.87 #5"),
        (DrawStyle(scores=False), "face #5"),
        (DrawStyle(tracks=False), "face 0.87"),
        (DrawStyle(scores=False, tracks=False), "face"),
    ],
)
def test_what_labels_say(monkeypatch: pytest.MonkeyPatch, style: DrawStyle, text: str) -> None:
    said = []

    def remember(text: str, size: int) -> NDArray[np.uint8]:
        said.append(text)
        return text_mask(text, size)

    monkeypatch.setattr("vidgraph.pipeline.drawing.canvas.text_mask", remember)
    drawn(packet_with(detections(tracks=True)), style=style)
    assert said == [text]


@pytest.mark.parametrize("form", [name for name in PIXEL_FORMATS if name != "rgb24"])
def test_every_pixel_format_shows_the_same(form: str) -> None:
    layout = PIXEL_FORMATS[form]
    top = (1 << layout.bits) - 1
    values = [round(90 / 255 * top), (top + 1) // 2]
    planes = tuple(
        np.full(shape, values[min(index, 1)] << layout.low_bits, layout.dtype)
        for index, shape in enumerate(layout.shapes(*SIZE))
    )
    picture = Picture(form, planes, matrix="bt709", full_range=True)
    found = detections(masks=True)
    got = drawn(packet_with(found, picture=gray_picture()))
    (packet,) = Draw().process(Packet(frame(0, picture=picture)).with_item(DETECTIONS, found))
    annotated = packet[ANNOTATED]
    assert PIXEL_FORMATS[annotated.format].bits == 8
    assert annotated.format != "gray"
    if layout.bits == 8 and form != "gray":
        assert annotated.format == form
    error = np.abs(annotated.rgb().astype(int) - got)
    assert error.mean() < TOLERANCES["drawn in another chroma format, mean"][0]


def test_rgb_stays_rgb_and_draw_rgb_gives_the_same() -> None:
    rgb = np.full((*SIZE, 3), 90, np.uint8)
    given = Packet(frame(0, picture=Picture.from_rgb(rgb))).with_item(DETECTIONS, detections(masks=True))
    given = given.with_item(LANDMARKS, landmarks())
    (packet,) = Draw().process(given)
    assert packet[ANNOTATED].format == "rgb24"
    alone = draw_rgb(given)
    np.testing.assert_array_equal(packet[ANNOTATED].rgb(), alone)
    assert alone.flags.writeable
    assert (alone != 90).any()
    assert (rgb == 90).all()


def test_the_frame_keeps_its_own_picture() -> None:
    given = packet_with(detections(masks=True), landmarks(), gray_picture())
    before = [plane.copy() for plane in given.frame.picture.planes]
    (packet,) = Draw().process(given)
    assert packet.frame is given.frame
    for plane, kept in zip(packet.frame.picture.planes, before, strict=True):
        np.testing.assert_array_equal(plane, kept)


def test_nothing_to_draw_costs_no_copy() -> None:
    empty = packet_with(Detections.empty(("face",)))
    for given in (empty, packet_with()):
        (packet,) = Draw().process(given)
        assert packet[ANNOTATED] is given.frame.picture


def test_results_of_two_models_under_keys_of_their_own() -> None:
    other: Key[Detections] = Key("other", Detections)
    keys = [ResultKeys("one", {DETECTIONS: DETECTIONS}), ResultKeys("two", {DETECTIONS: other})]
    stage = Draw(keys, style=replace(NOTHING, boxes=True))
    assert stage.reads == {DETECTIONS, other}
    moved = replace(detections(class_id=1), boxes=np.array([[10.0, 10, 60, 60]], np.float32))
    (packet,) = stage.process(packet_with(detections()).with_item(other, moved))
    rgb = packet[ANNOTATED].rgb().astype(int)
    assert not near(rgb[10, 30], (90, 90, 90), 20)
    assert not near(rgb[80, 140], (90, 90, 90), 20)


def test_boxes_that_cannot_be_drawn_harm_nothing() -> None:
    boxes = np.array(
        [[np.nan, 0, 5, 5], [-1e9, -1e9, 1e9, 1e9], [400, 400, 500, 500], [-50, -50, -10, -10], [9, 9, 9, 9]],
        np.float32,
    )
    count = len(boxes)
    found = Detections(boxes, np.ones(count, np.float32), np.zeros(count, np.int32), ("face",))
    assert drawn(packet_with(found)).shape == (*SIZE, 3)


def test_sizes_grow_with_the_picture() -> None:
    style = DrawStyle()
    sizes = [(180, 320), (360, 640), (720, 1280), (1080, 1920), (1920, 1080), (2160, 3840)]
    assert [style.line_px(*size) for size in sizes] == [1, 1, 2, 3, 3, 6]
    assert [style.text_px(*size) for size in sizes] == [10, 10, 16, 24, 24, 48]
    assert DrawStyle(min_line_px=4).line_px(180, 320) == 4


@pytest.mark.parametrize(
    ("setting", "value"), [("mask_opacity", 1.5), ("label_opacity", -0.1), ("min_point_score", 2.0), ("min_line_px", 0)]
)
def test_styles_that_make_no_sense_are_refused(setting: str, value: float) -> None:
    with pytest.raises(ValueError, match=setting):
        DrawStyle(**{setting: value})  # type: ignore[arg-type]


def test_colours_are_stable_and_far_from_their_neighbours() -> None:
    first = colors_of(np.arange(24)).astype(int)
    assert color_of(3) == tuple(first[3]) == color_of(3 + 256)
    for index in range(1, 24):
        assert np.abs(first[index] - first[index - 1]).sum() > 150
    distances = np.abs(first[:12, None] - first[None, :12]).sum(axis=2)
    assert distances[~np.eye(12, dtype=bool)].min() > 60


def test_text_is_black_on_light_and_white_on_dark() -> None:
    colors = np.array([[255, 255, 255], [0, 0, 0], [255, 255, 0], [0, 0, 255]], np.uint8)
    assert text_colors_on(colors)[:, 0].tolist() == [0, 255, 0, 255]


def test_text_masks_are_antialiased_and_of_one_height() -> None:
    one, other = text_mask("face 0.98", 24), text_mask("gyÄ", 24)
    assert one.shape[0] == other.shape[0]
    assert one.max() == 255
    assert ((one > 0) & (one < 255)).any()
    assert not one.flags.writeable
    assert text_mask("face 0.98", 24) is one
    assert text_mask("", 24).shape[0] == one.shape[0]


def test_memory_is_used_again_only_when_nobody_uses_it() -> None:
    pool = PicturePool()
    shapes = PIXEL_FORMATS["yuv420p"].shapes(*SIZE)
    held = pool.take(shapes)
    held[1][:] = 7
    view = held[1][2:4]
    place = held[0].ctypes.data
    del held
    gc.collect()
    other = pool.take(shapes)
    other[1][:] = 9
    assert other[0].ctypes.data != place
    assert (view == 7).all()
    del view
    gc.collect()
    again = pool.take(shapes)
    assert again[0].ctypes.data == place
    assert all(plane.flags.writeable and plane.ctypes.data % 64 == 0 for plane in again)
    assert [plane.shape for plane in again] == list(shapes)


def test_drawing_from_several_threads_mixes_nothing_up() -> None:
    stage = Draw(style=replace(NOTHING, boxes=True))
    plain = gray_picture()
    failures: list[int] = []

    def work(column: int) -> None:
        boxes = np.array([[column, 50.0, column + 20, 90.0]], np.float32)
        found = replace(detections(), boxes=boxes)
        for _ in range(100):
            (packet,) = stage.process(Packet(frame(0, picture=plain)).with_item(DETECTIONS, found))
            luma = packet[ANNOTATED].planes[0]
            columns = np.flatnonzero((luma != 90).any(axis=0))
            if (columns[0], columns[-1]) != (column, column + 19):
                failures.append(column)

    threads = [threading.Thread(target=work, args=(column,)) for column in (20, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_long_run_keeps_to_a_few_pictures() -> None:
    stage = Draw()
    given = packet_with(detections(), picture=gray_picture())
    places = set()
    for _ in range(200):
        (packet,) = stage.process(given)
        places.add(packet[ANNOTATED].planes[0].ctypes.data)
    assert len(places) <= 2

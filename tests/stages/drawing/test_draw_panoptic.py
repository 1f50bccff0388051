"""Panoptic maps on pictures: colours of classes, in every format; names; recorded ones drawn again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.kernels import PIXEL_FORMATS
from vidgraph.pipeline.drawing.segment_style import LARGEST_ID, colored_ids, name_places
from vidgraph.pipeline.drawing.style import DrawStyle, color_of
from vidgraph.pipeline.packet import DETECTIONS, HELD_FROM, PANOPTIC, Frame, Packet
from vidgraph.pipeline.results.format import ModelInfo, ResultKeys, SourceInfo, dumps, frame_record, header_record
from vidgraph.pipeline.results.reader import read_results
from vidgraph.pipeline.types.panoptic import PanopticMap, Segment
from vidgraph.pipeline.types.picture import Picture
from vidgraph.stages.drawing.draw import ANNOTATED, Draw, draw_rgb
from vidgraph.stages.replay_results import ReplayResults

KEYS = (ResultKeys("town", {PANOPTIC: PANOPTIC}),)
SIZE = (120, 160)
PLAIN = DrawStyle(labels=False, mask_opacity=1.0)


def stuff(number: int, class_id: int, ids: np.ndarray, name: str = "road") -> Segment:
    return Segment(number, class_id, name, is_thing=False, score=None, area_px=int((ids == number).sum()))


def halves(left: int = 1, right: int = 5) -> PanopticMap:
    """Class 0 at the left, class 4 at the right, void below."""
    ids = np.zeros(SIZE, np.int32)
    ids[:100, :80], ids[:100, 80:] = left, right
    return PanopticMap(ids, (stuff(left, 0, ids), stuff(right, 4, ids, "sky")))


def frame(index: int = 0) -> Frame:
    grey = np.full((*SIZE, 3), 90, np.uint8)
    return Frame("town", index, 0, index * 40_000_000, 40_000_000, Picture.from_rgb(grey))


def drawn(found: PanopticMap, style: DrawStyle = PLAIN) -> np.ndarray:
    return draw_rgb(Packet(frame()).with_item(PANOPTIC, found), KEYS, style=style)


@pytest.mark.parametrize(("left", "right"), [(1, 5), (7, 2), (LARGEST_ID + 9, 3), (2**31 - 1, 2**30)])
def test_stuff_has_the_colour_of_its_class(left: int, right: int) -> None:
    picture = drawn(halves(left, right))
    assert (picture[:100, :80] == color_of(0)).all()
    assert (picture[:100, 80:] == color_of(4)).all()
    assert (picture[100:] == 90).all()


def test_colours_are_mixed_with_the_picture() -> None:
    picture = drawn(halves(), DrawStyle(labels=False, mask_opacity=0.45))
    np.testing.assert_allclose(picture[50, 20], 90 + 0.45 * (np.array(color_of(0)) - 90.0), atol=1)
    assert (drawn(halves(), DrawStyle(masks=False, labels=False)) == 90).all()


def test_ids_without_a_segment_stay_as_they_are() -> None:
    found = halves()
    ids = found.segment_ids.copy()
    ids[0, 0], ids[0, 1], ids[0, 2] = 3, 900, -4
    picture = drawn(PanopticMap(ids, found.segments))
    assert (picture[0, :3] == 90).all()
    assert (picture[0, 3] == color_of(0)).all()
    assert (drawn(PanopticMap(ids, ())) == 90).all()


def test_things_of_a_class_are_told_apart() -> None:
    ids = np.arange(SIZE[0] * SIZE[1], dtype=np.int32).reshape(SIZE) % 4
    things = [
        Segment(i, 6, "car", is_thing=True, score=0.5, area_px=9, track_id=track) for i, track in ((1, 4), (2, 4))
    ]
    things.append(Segment(3, 6, "car", is_thing=True, score=0.5, area_px=9, track_id=5))
    _, colors = colored_ids(PanopticMap(ids, tuple(things)))
    np.testing.assert_array_equal(colors[1], colors[2])  # the same track
    assert (colors[1] != colors[3]).any()


def test_names_stand_in_large_segments() -> None:
    found = halves()
    ids = found.segment_ids.copy()
    ids[110:112, :3] = 9
    many = PanopticMap(ids, (*found.segments, stuff(9, 2, ids)))
    places = name_places(many)
    assert [row for row, _, _ in places] == [0, 1]  # the third is small
    for row, x, y in places:
        assert many.segment_ids[y, x] == many.segments[row].id
    np.testing.assert_allclose([place[1:] for place in places], [(40, 50), (120, 50)], atol=2)
    changed = (drawn(many, DrawStyle()) != drawn(many, DrawStyle(labels=False))).any(axis=2)
    assert changed[45:55, 35:45].all()
    assert not changed[:35].any()


@pytest.mark.parametrize("form", ["yuv420p", "nv12", "yuv444p", "yuv420p10le"])
def test_every_format_of_pictures(form: str) -> None:
    layout = PIXEL_FORMATS[form]
    grey = tuple(np.full(shape, 128 << (layout.bits - 8), layout.dtype) for shape in layout.shapes(*SIZE))
    given = Frame("town", 0, 0, 0, 0, Picture(form, grey))
    (packet,) = Draw(KEYS, style=PLAIN).process(Packet(given).with_item(PANOPTIC, halves()))
    picture = packet[ANNOTATED].rgb()
    for x, class_id in ((20, 0), (140, 4)):
        np.testing.assert_allclose(picture[50, x].astype(int), color_of(class_id), atol=4)
    np.testing.assert_array_equal(picture[110, 20], given.picture.rgb()[110, 20])


def test_a_map_of_nothing_costs_no_copy() -> None:
    given = Packet(frame()).with_item(PANOPTIC, PanopticMap(np.zeros(SIZE, np.int32), ()))
    (packet,) = Draw(KEYS).process(given)
    assert packet[ANNOTATED] is packet.frame.picture
    assert Draw(KEYS).reads == {PANOPTIC}


def test_recorded_maps_are_given_again(tmp_path: Path) -> None:
    header = header_record(
        models=[ModelInfo("town", class_names=("road", "b", "c", "d", "sky"), gives=frozenset({"panoptic"}))],
        sources=[SourceInfo("town", size=SIZE)],
    )
    seen = [Packet(frame(0)).with_item(PANOPTIC, halves()), Packet(frame(1))]
    seen.append(Packet(frame(2)).with_item(PANOPTIC, halves(3, 4)).with_item(HELD_FROM, 0))
    path = tmp_path / "town.jsonl"
    path.write_text("".join(dumps(each) + "\n" for each in (header, *(frame_record(p, KEYS) for p in seen))))
    stage = ReplayResults(read_results(path))
    assert PANOPTIC in stage.creates
    given: list[Any] = [next(iter(stage.process(Packet(frame(index))))) for index in range(4)]
    for packet, before in zip(given, seen, strict=False):
        assert (PANOPTIC in packet) == (PANOPTIC in before)
        assert len(packet[DETECTIONS]) == 0
    np.testing.assert_array_equal(draw_rgb(given[0], KEYS), draw_rgb(seen[0], KEYS))
    np.testing.assert_array_equal(given[2][PANOPTIC].segment_ids, halves(3, 4).segment_ids)
    assert PANOPTIC not in given[3]
    stage.close()


def test_other_models_create_no_maps(tmp_path: Path) -> None:
    path = tmp_path / "faces.jsonl"
    path.write_text(dumps(header_record(models=[ModelInfo("faces", class_names=("face",))])) + "\n")
    assert PANOPTIC not in ReplayResults(read_results(path)).creates

"""What is said about a drawn frame is what is drawn: masks, tracks, joints, faces, flow."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from numpy.typing import NDArray
from vidgraph.pipeline.ground_truth import FACE_POINTS, GroundTruth
from vidgraph.stages.sources.synthetic.camera import View
from vidgraph.stages.sources.synthetic.cast import Actor
from vidgraph.stages.sources.synthetic.creatures import Ball
from vidgraph.stages.sources.synthetic.geometry import Look
from vidgraph.stages.sources.synthetic.render import Moment, Rendered, SceneRenderer
from vidgraph.stages.sources.synthetic.settings import parse_synthetic
from vidgraph.stages.sources.synthetic.street import PAVEMENT, ROAD
from vidgraph.stages.sources.synthetic.truth import render_with_truth, truth_of

ADDRESS = "synth:street?size=640x360&frames=40&difficulty=hard&shot=0.6&seed={}"
SEEDS = range(4)


@lru_cache(maxsize=32)
def frame(seed: int, index: int, *, name: str = "street", flow: bool = False) -> tuple[Rendered, GroundTruth]:
    address = ADDRESS.format(seed).replace("street", name)
    return render_with_truth(SceneRenderer(parse_synthetic(address), 0), index, flow=flow)


@pytest.mark.parametrize("seed", SEEDS)
def test_masks_are_apart_and_are_the_segments(seed: int) -> None:
    rendered, truth = frame(seed, 3)
    masks, panoptic = truth.objects.masks, truth.panoptic
    assert masks is not None
    assert panoptic is not None
    assert len(masks) > 3
    covered = np.zeros(panoptic.segment_ids.shape, int)
    things = {segment.track_id: segment for segment in panoptic.segments if segment.is_thing}
    assert truth.objects.track_ids is not None
    assert set(things) == set(truth.objects.track_ids.tolist())
    for row, track in enumerate(truth.objects.track_ids.tolist()):
        full = masks.full(row)
        covered += full
        np.testing.assert_array_equal(full, panoptic.segment_ids == things[track].id)
        assert things[track].class_id == truth.objects.class_ids[row]
        rows, columns = np.nonzero(full)
        tight = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert truth.objects.boxes[row].tolist() == tight
    assert covered.max() == 1
    for segment in panoptic.segments:
        assert segment.area_px == np.count_nonzero(panoptic.segment_ids == segment.id)
    void = panoptic.segment_ids == 0  # only things too small to count
    assert (rendered.owners[void] >= 0).all()
    assert void.mean() < 0.01


@pytest.mark.parametrize("seed", SEEDS)
def test_tracks_last_as_long_as_a_shot(seed: int) -> None:
    renderer = SceneRenderer(parse_synthetic(ADDRESS.format(seed)), 0)
    cut = next(index for index in range(1, 40) if renderer.moment(index).is_first)
    tracks = []
    for index in (cut - 2, cut - 1, cut):
        objects = frame(seed, index)[1].objects
        assert objects.track_ids is not None
        assert len(set(objects.track_ids.tolist())) == len(objects)
        tracks.append(dict(zip(objects.track_ids.tolist(), objects.class_ids.tolist(), strict=True)))
    before, last, after = tracks
    both = before.keys() & last.keys()
    assert len(both) > 2
    assert all(before[track] == last[track] for track in both)
    assert not last.keys() & after.keys()


def ball(number: int, x: float, z: float, radius: float) -> Actor:
    look = Look((200.0, 60.0, 60.0))
    return Actor(number, Ball("plain", radius, look, look, 0.0), (x, z), (0.0, 0.0), 1)


def alone(*actors: Actor) -> tuple[Rendered, View]:
    """Actors on an empty street."""
    renderer = SceneRenderer(parse_synthetic("synth:street?size=640x360&seed=3&difficulty=easy"), 0)
    moment = renderer.moment(0)
    street = replace(moment.shot.street, scenery=[])
    moment = Moment(replace(moment.shot, actors=actors, street=street), 0.0, moment.step_s, 0)
    return renderer.draw(moment), moment.view()


def test_hidden_is_what_a_count_by_hand_says() -> None:
    _, view = alone(ball(0, 0.0, 50.0, 0.1))
    far, near = ball(0, view.x, view.z + 8.0, 0.5), ball(1, view.x + 0.25, view.z + 7.0, 0.35)
    rendered, view = alone(far, near)
    truth = truth_of(rendered)
    y, x = np.mgrid[:360, :640] + 0.5

    def disc(actor: Actor) -> NDArray[np.bool_]:
        place, depth = actor.place(0.0)
        radius = actor.body.extent[2]
        scale = view.focal / (depth - view.z)
        centre = view.centre[0] + scale * (place - view.x), view.centre[1] + scale * (view.y - radius)
        return np.asarray((x - centre[0]) ** 2 + (y - centre[1]) ** 2 <= (scale * radius) ** 2)

    whole, before = disc(far), disc(near)
    assert truth.objects.track_ids is not None
    rows = {track - 1: row for row, track in enumerate(truth.objects.track_ids.tolist())}
    expected = np.count_nonzero(whole & before) / np.count_nonzero(whole)
    assert 0.2 < expected < 0.8
    assert truth.hidden[rows[0]] == pytest.approx(expected, abs=0.03)
    assert truth.hidden[rows[1]] == 0
    assert truth.objects.masks is not None
    assert truth.objects.masks.area(rows[0]) == pytest.approx(np.count_nonzero(whole & ~before), rel=0.06)
    np.testing.assert_array_equal(truth.ignored, [False, False])


def test_what_is_hidden_nearly_whole_is_ignored() -> None:
    _, view = alone(ball(0, 0.0, 50.0, 0.1))
    rendered, _ = alone(ball(0, view.x, view.z + 8.0, 0.5), ball(1, view.x, view.z + 7.8, 0.5))
    truth = truth_of(rendered)
    far = int(truth.hidden.argmax())
    assert truth.hidden[far] > 0.85
    assert truth.ignored[far]
    assert truth.ignored.sum() == 1


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["street", "faces"])
def test_joints_and_points_that_are_seen_lie_in_their_person(seed: int, name: str) -> None:
    _, truth = frame(seed, 5, name=name)
    masks = truth.objects.masks
    assert masks is not None
    for found in (truth.bodies, truth.faces):
        assert found is not None
        for row, points, scores in zip(found.detection_rows.tolist(), found.points, found.scores, strict=True):
            assert truth.objects.class_names[truth.objects.class_ids[row]] == "person"
            full = masks.full(row)
            for (x, y), score in zip(points.tolist(), scores.tolist(), strict=True):
                inside = 0 <= x < 640 and 0 <= y < 360
                assert (score == 0) == (not inside)
                if inside:
                    assert full[int(y), int(x)] == (score == 1)
    assert truth.bodies is not None
    people = np.count_nonzero(truth.objects.class_ids == 0)
    assert len(truth.bodies) == people


def test_left_and_right_of_faces_are_as_seen() -> None:
    left, right, _, mouth_left, mouth_right = range(5)
    assert FACE_POINTS[left] == "left_eye"
    seen = mirrored = 0
    for seed in range(6):
        rendered, truth = frame(seed, 5, name="faces")
        faces = truth.faces
        assert faces is not None
        for points, box in zip(faces.points, faces.boxes, strict=True):
            assert points[left, 0] < points[right, 0]
            assert points[mouth_left, 0] < points[mouth_right, 0]
            assert points[left, 1] < points[mouth_left, 1]
            assert box[2] > box[0]
        seen += len(faces)
        mirrored += sum(actor.facing < 0 for actor in rendered.moment.shot.actors)
    assert seen >= 10
    assert mirrored >= 5


@pytest.mark.parametrize("seed", SEEDS)
def test_flow_of_the_sky_is_the_shake_of_the_camera(seed: int) -> None:
    rendered, truth = frame(seed, 3, flow=True)
    assert truth.flow is not None
    now, then = rendered.moment.view(), rendered.moment.view(1)
    sky = truth.flow[rendered.owners == -1]
    known = sky[~np.isnan(sky[:, 0])]
    assert len(known) > 1000
    moved = np.subtract(then.centre, now.centre)
    np.testing.assert_allclose(known, np.broadcast_to(moved, known.shape), atol=1e-3)


@pytest.mark.parametrize("seed", SEEDS)
def test_flow_of_the_ground_is_the_projection_of_its_points(seed: int) -> None:
    rendered, truth = frame(seed, 3, flow=True)
    assert truth.flow is not None
    now, then = rendered.moment.view(), rendered.moment.view(1)
    stuff = np.array(rendered.canvas.stuff)[rendered.surfaces]
    street = rendered.moment.shot.street
    flat = (rendered.owners < -1) & (rendered.owners >= -1 - len(street.planes))
    rows, columns = np.nonzero(flat & np.isin(stuff, (ROAD, PAVEMENT)) & ~np.isnan(truth.flow[..., 0]))
    assert len(rows) > 1000
    x, y = columns + 0.5, rows + 0.5
    depth = now.focal * now.y / (y - now.centre[1])  # where the ray meets the ground, from the camera
    across = (x - now.centre[0]) * depth / now.focal + now.x
    away = depth + now.z - then.z
    was = np.stack([then.centre[0] + then.focal * (across - then.x) / away,
                    then.centre[1] + then.focal * then.y / away], axis=1)  # fmt: skip
    np.testing.assert_allclose(truth.flow[rows, columns], was - np.stack([x, y], axis=1), atol=0.01)


@pytest.mark.parametrize("seed", SEEDS)
def test_flow_leads_to_the_same_owner_or_there_is_none(seed: int) -> None:
    rendered, truth = frame(seed, 3, flow=True)
    flow = truth.flow
    assert flow is not None
    renderer = SceneRenderer(parse_synthetic(ADDRESS.format(seed)), 0)
    before = renderer.draw(renderer.moment(2))
    known = ~np.isnan(flow[..., 0])
    rows, columns = np.nonzero(known)
    x, y = columns + 0.5 + flow[known][:, 0].astype(float), rows + 0.5 + flow[known][:, 1].astype(float)
    sure = (np.abs(x - np.round(x)) > 1e-3) & (np.abs(y - np.round(y)) > 1e-3)
    there = before.owners[np.floor(y[sure]).astype(int), np.floor(x[sure]).astype(int)]
    np.testing.assert_array_equal(there, rendered.owners[known][sure])
    assert 0.8 < known.mean() < 1  # something came into view
    assert (rendered.owners[known] >= 0).any()


def test_there_is_no_flow_over_a_cut() -> None:
    assert frame(0, 0, flow=True)[1].flow is None
    renderer = SceneRenderer(parse_synthetic(ADDRESS.format(0)), 0)
    cut = next(index for index in range(1, 40) if renderer.moment(index).is_first)
    assert frame(0, cut, flow=True)[1].flow is None
    assert frame(0, cut + 1, flow=True)[1].flow is not None

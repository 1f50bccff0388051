"""The whole of an evaluation, with planted objects: passes, key frames, held results, classes, reports, errors."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from vidgraph import DETECTIONS, Detections, Frame, Packet, Picture
from vidgraph.pipeline.errors import UsageError
from vidgraph.pipeline.ground_truth import FACE_POINTS, MPII_JOINTS, GroundTruth
from vidgraph.pipeline.results.format import ResultKeys
from vidgraph.pipeline.types.panoptic import PanopticMap, Segment
from vidgraph.stages.inference.key_frames import PhasedInterval
from vidgraph.training.evaluation import RunVariant, Scope, evaluate, evaluate_variants
from vidgraph.training.evaluation.classes import ClassMap, match_classes
from vidgraph.training.evaluation.coco import CocoAp, Objects
from vidgraph.training.evaluation.evaluator import Evaluator, KnownFrame

from .scenes import NAMES, SIZE, Answer, Found, Oracle, Scene, crowded, points_of, rectangles

pytest.importorskip("faster_coco_eval", reason="needs faster-coco-eval (the extra 'eval')")
pytest.importorskip("scipy", reason="needs SciPy (the extra 'eval')")

HOME = (20.0, 20.0, 60.0, 60.0)
FRAMES = 13


def still(frames: int = FRAMES, *, annotated: Callable[[int], bool] = lambda index: True) -> Scene:
    """A person that does not move, in a clip of so many frames."""
    truth = GroundTruth.of(rectangles([HOME], [0]))
    return Scene({"clip": [truth if annotated(index) else None for index in range(frames)]})


def drifting(clip: str, index: int, key: int) -> Found:
    """The person, four pixels to the right for every frame since the key frame, and less sure each time."""
    away = index - key
    box = (HOME[0] + 4 * away, HOME[1], HOME[2] + 4 * away, HOME[3])
    return Found(rectangles([box], [0], scores=[0.9 - 0.1 * away]))


def exact(clip: str, index: int, key: int) -> Found:
    return Found(rectangles([HOME], [0], scores=[0.9]))


def pooled(distances: list[int]) -> float | None:
    """The precision of the drifting answers at these distances, put together by hand."""
    precision = CocoAp(NAMES)
    truth = rectangles([HOME], [0])
    for away in distances:
        found = drifting("clip", away, 0).detections
        precision.add(SIZE, Objects.of(truth, truth.class_ids), Objects.of(found, found.class_ids))
    return precision.precision("mask").ap


def test_everything_found() -> None:
    report = evaluate(Oracle(exact), still())
    assert report["mask AP"] == report["box AP"] == report["mask AP medium"] == 1.0
    assert report.frames == FRAMES
    assert report.figures.classes == {
        "person": {"mask AP": 1.0, "mask AP50": 1.0, "box AP": 1.0, "box AP50": 1.0},
    }
    assert len(report.times.wall_ms) == FRAMES - 1
    with pytest.raises(KeyError, match="no figure 'PQ'; there are mask AP"):
        report["PQ"]


def test_key_frames_of_a_video_model_and_precision_by_distance() -> None:
    report = evaluate(Oracle(drifting, video=True), still())
    assert report["mask AP"] == pytest.approx(pooled([index % 5 for index in range(FRAMES)]))
    rows = {row.distance: (row.frames, row.ap) for row in report.figures.distances}
    assert {distance: frames for distance, (frames, _) in rows.items()} == {0: 3, 1: 3, 2: 3, 3: 2, 4: 2}
    assert rows[0][1] == 1.0
    assert rows[1][1] == pytest.approx(0.7)  # IoU 36/44
    assert rows[4][1] == pooled([4])


def test_official_passes_see_each_frame_at_each_distance() -> None:
    model = Oracle(drifting, video=True)
    report = evaluate(model, still(), protocol="official")
    expected = [0 if index < phase else (index - phase) % 5 for phase in range(5) for index in range(FRAMES)]
    assert report["mask AP"] == pytest.approx(pooled(expected))
    assert report.frames == 5 * FRAMES
    ran = sorted((index, index - key) for _, index, key in model.ran)
    assert [distance for index, distance in ran if index == 9] == [0, 1, 2, 3, 4]
    assert [distance for index, distance in ran if index == 2] == [0, 0, 0, 1, 2]  # before a pass's first key frame: 0
    assert any("5 passes" in note for note in report.figures.notes)
    assert "0.4420 published (the authors' part of YouTube-VIS" in report.table()


def test_official_passes_compute_only_what_an_annotated_frame_needs() -> None:
    model = Oracle(drifting, video=True)
    report = evaluate(model, still(20, annotated=lambda index: index % 5 == 0), protocol="official")
    assert report.frames == 5 * 4
    assert {row.distance: row.frames for row in report.figures.distances} == {0: 8, 1: 3, 2: 3, 3: 3, 4: 3}
    needed = sum(
        index % 5 == 0 or index < phase or (index - phase) % 5 == 0 for phase in range(5) for index in range(20)
    )
    assert len(model.ran) == needed < 5 * 20


@pytest.mark.parametrize("phase", range(3))
def test_the_policy_with_a_phase(phase: int) -> None:
    policy, last, keys = PhasedInterval(3, phase), -1, []
    frames = still(9).samples(still(9).clips[0])
    for sample in frames:
        if last < 0 or policy.is_key(sample.frame, np.zeros((1, 3, 8, 8), np.float32), last):
            last = sample.frame.index
            keys.append(last)
    assert keys == sorted({*range(phase), *range(phase, 9, 3), 0})
    assert keys == [index for index in range(9) if policy.is_due(index) or index == 0]
    with pytest.raises(UsageError, match="a phase from 0"):
        PhasedInterval(3, 3)


def test_held_results_are_judged_as_they_are() -> None:
    moving = Scene({"clip": [GroundTruth.of(rectangles([shifted(4 * index)], [0])) for index in range(8)]})
    model = Oracle(lambda clip, index, key: Found(rectangles([shifted(4 * index)], [0], scores=[0.9])))
    assert evaluate(model, moving)["mask AP"] == 1.0
    model.ran.clear()
    report = evaluate(model, moving, every=4)
    assert [index for _, index, _ in model.ran] == [0, 4]
    assert [row.frames for row in report.figures.distances] == [2, 2, 2, 2]
    assert [row.ap for row in report.figures.distances[:2]] == [1.0, pytest.approx(0.7)]
    assert report.settings["every"] == 4


def shifted(pixels: float) -> tuple[float, float, float, float]:
    return (HOME[0] + pixels, HOME[1], HOME[2] + pixels, HOME[3])


def test_variants_side_by_side_are_what_each_is_alone() -> None:
    model = Oracle(drifting, video=True)
    reports = evaluate_variants(
        model,
        still(),
        {"keys": RunVariant(keyframes="all"), "two": RunVariant(keyframes=2), "hold": RunVariant("all", every=3)},
    )
    assert reports["keys"]["mask AP"] == reports["hold"]["mask AP"] == 1.0  # nothing moves
    assert reports["two"]["mask AP"] == pytest.approx(pooled([index % 2 for index in range(FRAMES)]))


def test_frames_and_clips_can_be_chosen() -> None:
    truth = GroundTruth.of(rectangles([HOME], [0]))
    scene = Scene({name: [truth] * 4 for name in "abc"})
    model = Oracle(exact)
    report = evaluate(model, scene, start_clip=1, frames=6)
    assert [(clip, index) for clip, index, _ in model.ran] == [*(("b", n) for n in range(4)), ("c", 0), ("c", 1)]
    assert (report.clips, report.frames) == (2, 6)
    with pytest.raises(UsageError, match=r"scene has 3 clips, counted from 0; there is no 3"):
        evaluate(model, scene, start_clip=3)


def test_progress_says_how_far_it_is() -> None:
    told: list[tuple[int, int]] = []
    evaluate(Oracle(exact), still(3), progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_classes_are_matched_by_name() -> None:
    names = ("car", "tree", "Person")

    def answer(clip: str, index: int, key: int) -> Found:
        return Found(rectangles([HOME, HOME], [2, 1], scores=[0.9, 0.95], names=names))

    report = evaluate(Oracle(answer, class_names=names), still())
    assert report["mask AP"] == 1.0
    assert "1 classes of the model are none of the data set's: not judged" in report.figures.notes


def test_classes_that_the_model_lacks_are_named() -> None:
    message = "yolact-edge-vid-resnet50 has no class 'car', which scene has; --classes person judges the others"
    model = Oracle(exact, class_names=("person", "dog"))
    with pytest.raises(UsageError, match=re.escape(message)):
        evaluate(model, still())
    assert evaluate(model, still(), classes=["person"])["mask AP"] == 1.0
    with pytest.raises(UsageError, match="scene has no class 'dog'; it has person, car"):
        evaluate(model, still(), classes=["dog"])


def test_class_maps() -> None:
    found = match_classes("m", ("potted plant", "cat"), "d", ("Potted_Plant",))
    assert (found.of_model.tolist(), found.of_data.tolist(), found.left_out) == ([0, -1], [0], ("cat",))
    with pytest.raises(UsageError, match="m has no class 'a', which d has; they have no class in common"):
        match_classes("m", ("b",), "d", ("a",))


def test_classes_of_one_name_are_judged_as_one() -> None:
    found = match_classes("m", ("car", "bus", "Car"), "d", ("car", "bus", "car"))
    assert (found.names, found.left_out) == (("car", "bus"), ())
    assert (found.of_model.tolist(), found.of_data.tolist()) == ([0, 1, 0], [0, 1, 0])
    boxes, names = [(10.0, 20.0, 50.0, 70.0), (80.0, 20.0, 120.0, 70.0)], ("car", "car")
    scene = Scene({"clip": [GroundTruth.of(rectangles(boxes, [0, 1], names=names))]}, class_names=names)
    twice = Oracle(lambda *_: Found(rectangles(boxes, [1, 0], names=names)), class_names=names)
    report = evaluate(twice, scene)
    assert (report["mask AP"], report["mask AR100"]) == (1.0, 1.0)


def test_faces_of_two_classes_are_faces() -> None:
    boxes = [(10.0, 20.0, 50.0, 70.0), (80.0, 20.0, 120.0, 70.0)]
    faces = points_of(boxes, np.zeros((2, 5, 2)), FACE_POINTS, scores=np.zeros((2, 5)))
    nothing = GroundTruth.of(Detections.empty(NAMES))
    truth = replace(nothing, faces=faces, faces_ignored=np.array([False, False]))
    both = rectangles(boxes, [0, 2], names=("face", "hat", "face"), masks=False)
    keys = ResultKeys("m", {DETECTIONS: DETECTIONS})
    evaluator = Evaluator(keys, ClassMap.nothing(3, 2), both.class_names, NAMES, (), faces=True)
    frame = Frame("clip", 0, 0, 0, 1, Picture.from_rgb(np.zeros((*SIZE, 3), np.uint8)))
    known = KnownFrame.of("clip", SIZE, truth, ClassMap.nothing(3, 2))
    evaluator.add(known, Packet(frame).with_item(DETECTIONS, both))
    assert evaluator.figures().values["face AP50"] == 1.0


def test_data_without_masks() -> None:
    scene = Scene({"clip": [GroundTruth.of(rectangles([HOME], [0], masks=False))] * 3})
    report = evaluate(Oracle(exact), scene)
    assert report["box AP"] == 1.0
    assert "mask AP" not in report.figures.values
    assert "masks are not judged: the data set has none" in report.figures.notes
    with pytest.raises(UsageError, match="figure of yolact-edge-vid-resnet50 is of masks, and scene has none"):
        evaluate(Oracle(exact), scene, protocol="official")


def test_data_that_nothing_can_be_judged_by() -> None:
    with pytest.raises(UsageError, match="can be judged by scene: no frame of it is annotated"):
        evaluate(Oracle(exact), still(annotated=lambda index: False))
    with pytest.raises(UsageError, match="what retinaface gives can be judged by scene: it knows of no faces"):
        evaluate(Oracle(exact, class_names=("face",), name="retinaface"), still())
    with pytest.raises(UsageError, match="it knows of no such objects"):
        evaluate(Oracle(exact), Scene({"clip": [GroundTruth.of(Detections.empty(NAMES))]}))


def test_ignored_objects_do_not_count() -> None:
    truth = crowded(GroundTruth.of(rectangles([HOME, (80.0, 20.0, 140.0, 100.0)], [0, 0])), [False, True])
    assert evaluate(Oracle(exact), Scene({"clip": [truth]}))["mask AP"] == 1.0


def test_faces() -> None:
    points = np.array([[30, 30], [50, 30], [40, 40], [32, 52], [48, 52]], np.float32)
    faces = points_of([HOME], points[None], FACE_POINTS)
    nothing = GroundTruth.of(Detections.empty(NAMES))
    truth = replace(nothing, faces=faces, faces_ignored=np.array([False]))

    def answer(clip: str, index: int, key: int) -> Found:
        found = rectangles([HOME], [0], scores=[0.9], names=("face",), masks=False)
        return Found(found, points_of([HOME], points[None] + [0, 2], FACE_POINTS))

    report = evaluate(Oracle(answer, class_names=("face",), name="retinaface"), Scene({"clip": [truth] * 2}))
    assert report["face AP50"] == report["face AP WIDER"] == 1.0
    assert report["face NME"] == pytest.approx(2 / 40)
    assert report["face NME by eyes"] == pytest.approx(2 / 20)
    assert any("square root of the area of the true box" in note for note in report.figures.notes)


def test_bodies() -> None:
    joints = np.random.default_rng(0).random((1, 16, 2)).astype(np.float32) * 40 + 20
    truth = replace(GroundTruth.of(rectangles([HOME], [0])), bodies=points_of([HOME], joints, MPII_JOINTS))

    def answer(clip: str, index: int, key: int) -> Found:
        return Found(exact(clip, index, key).detections, points_of([HOME], joints, MPII_JOINTS))

    assert evaluate(Oracle(answer), Scene({"clip": [truth]}))["PCKh@0.5"] == 1.0


def tracked(ids: Callable[[int], int]) -> Answer:
    return lambda clip, index, key: Found(rectangles([HOME], [0], scores=[0.9], tracks=[ids(index)]))


def test_tracks() -> None:
    truth = GroundTruth.of(rectangles([HOME], [0], tracks=[5]))
    scene = Scene({"clip": [truth] * 4})
    report = evaluate(Oracle(tracked(lambda index: 1)), scene)
    assert [report[name] for name in ("track AP", "MOTA", "IDF1", "HOTA")] == [1.0, 1.0, 1.0, pytest.approx(1.0)]
    switched = evaluate(Oracle(tracked(lambda index: index // 2)), scene)
    assert switched["MOTA"] == pytest.approx(0.75)
    assert switched["IDF1"] == pytest.approx(0.5)
    assert switched["ID switches"] == 1.0
    assert switched["mask AP"] == 1.0
    assert switched["track AP"] < 0.2


def panoptic(track: int | None, person: int = 1) -> PanopticMap:
    ids = np.full(SIZE, 3 - person, np.int32)
    ids[20:60, 20:60] = person
    segments = (
        Segment(person, 0, "person", True, 0.9, 1600, track),
        Segment(3 - person, 9, "road", False, None, ids.size - 1600),
    )
    return PanopticMap(ids, segments)


def test_panoptic_maps() -> None:
    truth = replace(GroundTruth.of(rectangles([HOME], [0])), panoptic=panoptic(4))
    scene = Scene({"clip": [truth] * 4}, stuff_names=("road",))

    def answer(track: Callable[[int], int | None]) -> Answer:
        return lambda clip, index, key: Found(
            exact(clip, index, key).detections, panoptic=panoptic(track(index), 1 + index % 2)
        )

    report = evaluate(Oracle(answer(lambda index: 7)), scene)
    assert report["PQ"] == report["VPQ"] == report["VPQ of 4 frames"] == 1.0
    assert report.figures.classes["road"] == {"PQ": 1.0, "IoU": 1.0}
    switched = evaluate(Oracle(answer(lambda index: index)), scene)
    assert switched["PQ"] == 1.0
    assert switched["VPQ things"] == pytest.approx(1 / 4)  # only windows of one frame match
    assert switched["VPQ stuff"] == 1.0
    untracked = evaluate(Oracle(answer(lambda index: None)), scene)
    assert untracked["PQ"] == 1.0
    assert "VPQ" not in untracked.figures.values


def test_the_report_as_text_and_as_json() -> None:
    report = evaluate(Oracle(drifting, video=True), still())
    table = report.table()
    assert table.startswith("yolact-edge-vid-resnet50 on scene: 13 frames of 1 clips, default protocol")
    assert re.search(r"^mask AP +0\.\d{4}$", table, re.MULTILINE)
    assert re.search(r"^ +1 +3 +0\.7000 +1\.0000$", table, re.MULTILINE)
    record = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert record["format"] == "vidgraph.evaluation/1"
    assert record["model"]["weights_sha256"] == "0" * 64
    assert record["data"] == {"address": "scene", "clips": 1, "frames": 13}
    assert record["figures"]["mask AP"] == pytest.approx(report["mask AP"], abs=1e-6)
    assert record["by_distance"][1] == {"distance": 1, "frames": 3, "mask AP": 0.7, "mask AP50": 1.0}
    assert {"machine", "versions", "commit", "measured_at"} <= set(record)


def test_scopes_of_variants() -> None:
    reports = evaluate_variants(Oracle(exact), still(), {"a": RunVariant()}, scope=Scope(frames=2))
    assert reports["a"].frames == 2


def test_settings_are_not_given_twice() -> None:
    with pytest.raises(UsageError, match="min_score cannot be given for a model that is loaded"):
        evaluate(Oracle(exact), still(), min_score=0.5)
    with pytest.raises(UsageError, match="unknown protocol 'mine'; known: default, official"):
        evaluate(Oracle(exact), still(), protocol="mine")
    with pytest.raises(UsageError, match="the official protocol of a video model sets its key frames"):
        evaluate("yolact-edge-vid", still(), protocol="official", keyframes=3)

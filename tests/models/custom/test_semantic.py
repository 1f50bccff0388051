"""Head semantic: planted logits and labels come out as panoptic maps of stuff, in frame pixels."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vidgraph
from vidgraph import DETECTIONS, PANOPTIC
from vidgraph.engines.spec import TensorSpec
from vidgraph.models import load_model
from vidgraph.models.custom.description import Description
from vidgraph.models.custom.heads import fitting
from vidgraph.models.options import PostprocessOptions
from vidgraph.models.run import draw
from vidgraph.pipeline.errors import EngineError, UsageError
from vidgraph.pipeline.types.affine import Affine
from vidgraph.pipeline.types.panoptic import PanopticMap
from vidgraph.stages.inference.infer import RawOutputs

from .map_truth import at_centres, resized
from .planted import FRAMES, LANDSCAPE, ODD, PLACES, Place, letterboxed, picture, precision_of, stretched, write_network

SIZE, MAP = (64, 96), (16, 24)
CLASSES = ("road", "sky", "tree", "water", "wall")
SAID = f"classes = {list(CLASSES)}\n"


def logits(classes: int = 5, seed: int = 0) -> np.ndarray:
    """float32 [1, C, 16, 24], whole quarters, smooth enough to give areas; class 3 is nowhere the best."""
    random = np.random.default_rng(seed)
    coarse = random.integers(-20, 20, (classes, 4, 6)) / 4
    maps = np.kron(coarse, np.ones((4, 4))) + random.integers(-2, 3, (classes, *MAP)) / 4
    if classes > 3:
        maps[3] = -16
    return maps[None].astype(np.float32)


def check(found: PanopticMap, expected: np.ndarray, close: np.ndarray | None = None) -> None:
    """Ids are as ``expected`` but where it is ``close``; the segments say the same of the map."""
    clear = np.ones(expected.shape, np.bool_) if close is None else ~close
    assert clear.mean() > 0.99
    np.testing.assert_array_equal(found.segment_ids[clear], expected[clear])
    ids, areas = np.unique(found.segment_ids[found.segment_ids > 0], return_counts=True)
    assert [segment.id for segment in found.segments] == ids.tolist()
    assert [segment.area_px for segment in found.segments] == areas.tolist()
    for segment in found.segments:
        assert (segment.class_id, segment.class_name) == (segment.id - 1, CLASSES[segment.id - 1])
        assert (segment.is_thing, segment.score, segment.track_id) == (False, None, None)


def best(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ids of the best class of each pixel, and where the second is so near that rounding may decide."""
    ordered = np.sort(maps, axis=0)
    return np.argmax(maps, axis=0) + 1, ordered[-1] - ordered[-2] < 1e-4


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
@pytest.mark.parametrize("fit", ["letterbox", "stretch"])
@pytest.mark.parametrize("layout", ["first", "last", "labels", "one map of labels"])
def test_planted_maps_come_out_of_a_file(layout: str, engine: str, dtype: str, fit: str, tmp_path: Path) -> None:
    maps = logits()
    labels = maps.argmax(axis=1)
    outputs = {
        "first": maps,
        "last": np.moveaxis(maps, 1, 3),
        "labels": labels,
        "one map of labels": labels[:, None],
    }
    path = write_network(
        tmp_path / "own.onnx", {"out": outputs[layout]}, size=SIZE, dtype=dtype, toml=SAID + f'[input]\nfit = "{fit}"\n'
    )
    with load_model(str(path), engine=engine, precision=precision_of(engine)) as model:
        assert model.class_names == CLASSES
        for frame in FRAMES:
            result, place = model(picture(frame)), PLACES[fit](SIZE, frame)
            assert result.panoptic is not None
            assert len(result.detections) == 0
            if "labels" in layout:
                rows, columns = (
                    np.clip(np.floor(at_centres(frame, SIZE, place, axis) * cells), 0, cells - 1).astype(int)
                    for axis, cells in ((1, MAP[0]), (0, MAP[1]))
                )
                check(result.panoptic, labels[0][rows[:, None], columns] + 1)
            else:
                check(result.panoptic, *best(resized(maps[0], frame, SIZE, place)))


def fitted(output: np.ndarray, about: Description) -> Any:
    """The head, which must fit."""
    head = fitting("semantic")([TensorSpec("out", output.dtype, output.shape)], about, SIZE)
    assert head is not None
    assert not isinstance(head, str), head
    return head


def decoded(
    output: np.ndarray,
    about: Description,
    choices: PostprocessOptions = PostprocessOptions(),  # noqa: B008, frozen
    names: tuple[str, ...] = CLASSES,
    place: Place = stretched(SIZE, LANDSCAPE),  # noqa: B008, a tuple
    frame: tuple[int, int] = LANDSCAPE,
) -> PanopticMap:
    """What comes out; the output is overwritten in between, as that of an engine may be."""
    head = fitted(output, about)
    lease = {"out": output.copy()}
    arrays = head.select_outputs(choices)(lease)
    lease["out"].fill(0)
    found: PanopticMap = head.decode(RawOutputs(arrays, SIZE, Affine(*place)), frame, choices, names)[PANOPTIC]
    return found


ABOUT = Description(classes=CLASSES)


@pytest.mark.parametrize("names", [("road",), ("nothing", "road")])
@pytest.mark.parametrize("scores", [None, "given"])
def test_a_single_map_is_a_class_or_not(names: tuple[str, ...], scores: str | None) -> None:
    maps = logits(1)
    output = maps if scores is None else (1 / (1 + np.exp(-maps))).astype(np.float32)
    place = letterboxed(SIZE, ODD)
    about = Description(classes=names, scores=scores)
    least = 0.0 if scores is None else 0.5
    whole = resized(output[0], ODD, SIZE, place)[0]
    found = decoded(output, about, names=names, place=place, frame=ODD)
    close = np.abs(whole - least) < 1e-4
    inside = (whole > least) + len(names) - 1
    np.testing.assert_array_equal(found.segment_ids[~close], inside[~close])
    assert [segment.class_name for segment in found.segments] == list(names)
    assert sum(segment.area_px for segment in found.segments) == np.count_nonzero(found.segment_ids)
    fewer = decoded(output, about, PostprocessOptions(min_score=0.9), names=names, place=place, frame=ODD)
    bound = np.log(9) if scores is None else 0.9
    clear = np.abs(whole - bound) > 1e-4
    np.testing.assert_array_equal((fewer.segment_ids == len(names))[clear], (whole > bound)[clear])


def test_classes_that_are_not_wanted_are_void() -> None:
    whole, some = decoded(logits(), ABOUT), decoded(logits(), ABOUT, PostprocessOptions(classes=(4, 0, 3)))
    check(some, np.where(np.isin(whole.segment_ids, (1, 5)), whole.segment_ids, 0))


def test_labels_of_no_class_are_void_and_those_without_a_name_an_error() -> None:
    labels = logits().argmax(axis=1)
    labels[0, :4], labels[0, 4:8] = 255, -1
    found = decoded(labels, ABOUT)
    assert not found.segment_ids[: LANDSCAPE[0] // 2].any()
    assert found.segment_ids[LANDSCAPE[0] // 2 :].all()
    labels[0, 9, 9] = 5
    with pytest.raises(EngineError, match="output 'out' has label 5, but 5 classes are named"):
        decoded(labels, ABOUT)


def test_nan_is_no_class_and_nothing_but_nan_an_error() -> None:
    maps = logits()
    maps[0, 0] = np.nan
    assert 1 not in decoded(maps, ABOUT).segment_ids
    with pytest.raises(EngineError, match="output 'out' has no finite number"):
        decoded(np.full_like(maps, np.nan), ABOUT)


@pytest.mark.parametrize("choice", [{"min_score": 0.5}, {"nms_iou": 0.5}, {"max_detections": 3}])
def test_choices_that_mean_nothing_are_refused(choice: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(choice))} cannot be given for a network that gives every pixel"):
        fitted(logits(), ABOUT).select_outputs(PostprocessOptions(**choice))


@pytest.mark.parametrize("scores", [None, "given", "sigmoid"])
def test_one_map_of_no_named_class_is_not_guessed(scores: str | None) -> None:
    """It may be of depth, an alpha matte, text, or saliency as well."""
    for shape in ((1, 1, 48, 80), (1, 1, 518, 518), (1, 48, 80, 1)):
        why = fitting("semantic")([spec("out", *shape)], Description(scores=scores), SIZE)
        assert isinstance(why, str)
        assert re.search("one map: of one class, if `classes` or `head` say so; else of depth, of text, or an", why)
        for said in (
            {"classes": ("road",)},
            {"head": "semantic"},
            {"task": "semantic"},
            {"outputs": {"logits": "out"}},
        ):
            head: Any = fitting("semantic")([spec("out", *shape)], Description(**said), SIZE)
            assert head.single


def test_one_map_with_its_channel_last() -> None:
    maps = logits(1)
    about, names = Description(classes=("road",)), ("road",)
    found = decoded(np.ascontiguousarray(np.moveaxis(maps, 1, 3)), about, names=names)
    np.testing.assert_array_equal(found.segment_ids, decoded(maps, about, names=names).segment_ids)


@pytest.mark.parametrize(
    ("shape", "size", "why"),
    [
        (
            (1, 17, 64, 48),
            (256, 192),
            "may be heat maps of 17 points, as of a person's, or maps of classes; if so, name .* head = .heatmaps",
        ),
        ((1, 16, 64, 64), (256, 256), "may be heat maps of 16 points"),
        ((1, 3, 64, 96), (64, 96), "may be a picture, or maps of 3 classes; if so, name the classes"),
        ((1, 3, 256, 384), (64, 96), "may be a picture"),
        ((1, 257, 257, 21), (257, 257), r"may have its classes last; name them \(--labels, or `classes`\)"),
        ((1, 16, 24, 5), (64, 96), "may have its classes last"),
    ],
)
def test_maps_that_may_be_of_something_else_are_not_guessed(
    shape: tuple[int, ...], size: tuple[int, int], why: str
) -> None:
    answer = fitting("semantic")([spec("out", *shape)], Description(), size)
    assert isinstance(answer, str)
    assert re.search(why, answer), answer
    count = shape[3] if "last" in why else shape[1]
    named = Description(classes=tuple(map(str, range(count))))
    head: Any = fitting("semantic")([spec("out", *shape)], named, size)
    assert (head.class_count, head.last) == (count, "last" in why)
    if "last" not in why:
        assert fitting("semantic")([spec("out", *shape)], Description(head="semantic"), size) == head


@pytest.mark.parametrize("shape", [(1, 2, 48, 80), (1, 19, 16, 24), (1, 3, 16, 24)])
def test_maps_of_classes_that_nothing_else_gives(shape: tuple[int, ...]) -> None:
    head: Any = fitting("semantic")([spec("out", *shape)], Description(), SIZE)
    assert (head.kind, head.class_count) == ("semantic", shape[1])
    scored: Any = fitting("semantic")([spec("out", 1, 17, 64, 48)], Description(scores="given"), (256, 192))
    assert scored.class_count == 17


@pytest.mark.parametrize("dtype", [np.int64, np.float32])
def test_negative_numbers_are_void_labels_or_low_logits(dtype: type) -> None:
    maps: Any = np.full((1, 1, *MAP), -3, dtype)
    assert not decoded(maps, Description(classes=("road",)), names=("road",)).segment_ids.any()


def test_labels_of_one_class_of_ultralytics_are_0_where_it_is_not() -> None:
    labels = (np.arange(MAP[1]) % 2 * np.ones((1, MAP[0], 1))).astype(np.int64)
    found = decoded(labels, Description(classes=("road",), task="semantic"), names=("road",))
    assert [segment.class_name for segment in found.segments] == ["road"]
    np.testing.assert_array_equal(found.segment_ids[0, :: LANDSCAPE[1] // MAP[1]], labels[0, 0])


def spec(name: str, *shape: int, dtype: type = np.float32) -> TensorSpec:
    return TensorSpec(name, np.dtype(dtype), shape)


@pytest.mark.parametrize(
    ("outputs", "about", "why"),
    [
        ([spec("out", 1, 19, 48, 80)], ABOUT, "speaks of 19 classes, but 5 are named"),
        ([spec("out", 1, 1, 48, 80)], ABOUT, "is one class or two, but 5 are named"),
        ([spec("a", 1, 5, 48, 80), spec("b", 1, 5, 48, 80)], ABOUT, "'a' .* 'b' .* may be maps of classes; say which"),
    ],
)
def test_refused(outputs: list[TensorSpec], about: Description, why: str) -> None:
    answer = fitting("semantic")(outputs, about, SIZE)
    assert isinstance(answer, str)
    assert re.search(why, answer), answer
    assert "\n" not in answer


def test_the_output_that_counts() -> None:
    both = [spec("aux", 1, 5, 8, 8), spec("out", 1, 5, 48, 80)]
    by_name: Any = fitting("semantic")(both, ABOUT, SIZE)
    said: Any = fitting("semantic")(both, Description(classes=CLASSES, outputs={"logits": "aux"}), SIZE)
    assert (by_name.output, said.output) == ("out", "aux")
    assert (by_name.kind, by_name.class_count, by_name.point_names) == ("semantic", 5, ())
    assert set(by_name.gives) == {PANOPTIC}


def test_other_networks_are_left_to_other_heads() -> None:
    for outputs in (
        [spec("out", 1, 84, 8400)],
        [spec("x", 1, 1000)],
        [spec("x", 1, 1000, 1, 1)],
        [spec("output0", 1, 116, 8400), spec("output1", 1, 32, 160, 160)],
    ):
        assert fitting("semantic")(outputs, ABOUT, SIZE) is None


def test_a_model_creates_a_map_and_no_detections(tmp_path: Path) -> None:
    path = write_network(tmp_path / "own.onnx", {"out": logits()}, size=SIZE, toml=SAID)
    with load_model(str(path)) as model:
        keys = model.result_keys()
        created = model.stages()[-1].creates  # type: ignore[attr-defined]
    assert keys.all() == [PANOPTIC]
    assert created == {PANOPTIC}
    assert DETECTIONS not in created


def test_a_video_into_results_and_drawn_again(face_clip: Path, tmp_path: Path) -> None:
    path = write_network(tmp_path / "town.onnx", {"out": logits()}, size=SIZE, toml=SAID)
    video, lines, again = (tmp_path / name for name in ("drawn.mp4", "town.jsonl", "again.mp4"))
    seen: list[PanopticMap] = []
    with load_model(str(path), precision="fp32") as model:
        run = vidgraph.run(
            face_clip, model=model, frames=3, every=2, outputs=[lines, video, lambda r: seen.append(r.panoptic)]
        )
        run.wait()
    results = vidgraph.read_results(lines)
    assert results.header["models"][0]["panoptic"] is True
    assert [record.held_from for record in results] == [None, 0, None]
    for record, found in zip(results, seen, strict=True):
        assert record.panoptic is not None
        np.testing.assert_array_equal(record.panoptic.segment_ids, found.segment_ids)
        assert record.panoptic.segments == found.segments
    check(seen[0], *best(resized(logits()[0], (240, 320), SIZE, stretched(SIZE, (240, 320)))))
    draw(face_clip, lines, outputs=again).wait()
    with load_model(str(path)) as model:
        assert "road" in repr(model(picture(LANDSCAPE)))
    for first, second in zip(frames_of(video), frames_of(again), strict=False):
        np.testing.assert_array_equal(first, second)


def frames_of(path: Path) -> list[np.ndarray]:
    """The first three pictures of a video, RGB."""
    av = pytest.importorskip("av")
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for _, frame in zip(range(3), container.decode(video=0), strict=False)]

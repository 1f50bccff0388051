"""Head mask-queries: classes and masks of queries merged to a panoptic map, as Hugging Face's code merges them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph import PANOPTIC
from vidgraph.engines.spec import TensorSpec
from vidgraph.models import load_model
from vidgraph.models.custom.description import Description
from vidgraph.models.custom.detect_head import recognise
from vidgraph.models.custom.hugging_face import from_folder
from vidgraph.models.options import PostprocessOptions
from vidgraph.pipeline.errors import EngineError, UsageError
from vidgraph.pipeline.types.affine import Affine
from vidgraph.pipeline.types.panoptic import PanopticMap
from vidgraph.stages.inference.infer import RawOutputs

from .map_truth import resized
from .planted import FRAMES, LANDSCAPE, ODD, PLACES, picture, precision_of, write_network

SIZE, MAP, QUERIES = (64, 96), (16, 24), 9
CLASSES = ("car", "person", "sky", "road")
STUFF = ("sky", "road")
IDS = [2, 0, 3, 1, 2, 0, 4, 1, 3]
"""The best column of each query; 4 is no object."""


AREAS = [
    (0, 0, 6, 10), (0, 11, 5, 24), (6, 0, 12, 8), (5, 9, 11, 16), (6, 17, 12, 24),
    (12, 0, 16, 9), (11, 10, 16, 24), (1, 12, 5, 22), (8, 18, 14, 24),
]  # fmt: skip
"""Of each query: y1, x1, y2, x2 in cells. The eighth lies in the second, the last one takes half of the fifth."""


def planted(seed: int = 0) -> dict[str, np.ndarray]:
    """Queries with an area each; the scores are from 0.4 to 0.99."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 0.3, (1, QUERIES, len(CLASSES) + 1)).astype(np.float32)
    maps = random.integers(-24, -12, (1, QUERIES, *MAP)) / 4
    for query, (number, (y1, x1, y2, x2)) in enumerate(zip(IDS, AREAS, strict=True)):
        logits[0, query, number] += random.uniform(2, 5)
        maps[0, query, y1:y2, x1:x2] = random.integers(6, 16, (y2 - y1, x2 - x1)) / 4
    return {"class_queries_logits": logits, "masks_queries_logits": maps.astype(np.float32)}


def merged(
    outputs: dict[str, np.ndarray], frame: tuple[int, int], fit: str, *, weighted: bool, least: float
) -> tuple[np.ndarray, list[tuple[int, int, float | None]], np.ndarray]:
    """Segment ids [H, W], the segments (id, class, score), and which pixels are clear; plainly, in double precision."""
    logits = outputs["class_queries_logits"][0].astype(np.float64)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels, scores = shares.argmax(axis=1), shares.max(axis=1)
    keep = (labels != len(CLASSES)) & (scores > least)
    labels, scores = labels[keep], scores[keep]
    logits, place = outputs["masks_queries_logits"][0][keep].astype(np.float64), PLACES[fit](SIZE, frame)
    times_scores = resized(1 / (1 + np.exp(-logits)), frame, SIZE, place) * scores[:, None, None]
    probabilities = 1 / (1 + np.exp(-resized(logits, frame, SIZE, place)))
    owners = times_scores.argmax(axis=0)
    compared = times_scores if weighted else probabilities
    ordered = np.sort(times_scores, axis=0)
    clear = ordered[-1] - ordered[-2] > 1e-4
    clear &= (np.abs(compared - 0.5) > 1e-4).all(axis=0)
    ids, segments, of_stuff = np.zeros(frame, int), [], {}
    for query in range(len(labels)):
        owned, whole = owners == query, compared[query] >= 0.5
        final = owned if weighted else owned & whole
        if not owned.any() or not whole.any() or not final.any() or not owned.sum() / whole.sum() > 0.8:
            continue
        name, number = CLASSES[labels[query]], len(segments) + 1
        if name in STUFF and name in of_stuff:
            number = of_stuff[name]
        else:
            segments.append((number, int(labels[query]), None if name in STUFF else float(scores[query])))
            of_stuff[name] = number
        ids[final] = number
    return ids, segments, clear


def check(found: PanopticMap, outputs: dict[str, np.ndarray], frame: tuple[int, int], fit: str, **rule: Any) -> None:
    ids, segments, clear = merged(outputs, frame, fit, **rule)
    assert clear.mean() > 0.97
    np.testing.assert_array_equal(found.segment_ids[clear], ids[clear])
    assert [(each.id, each.class_id) for each in found.segments] == [each[:2] for each in segments]
    for segment, (number, class_id, score) in zip(found.segments, segments, strict=True):
        assert segment.class_name == CLASSES[class_id]
        assert segment.is_thing == (CLASSES[class_id] not in STUFF)
        assert segment.area_px == np.count_nonzero(found.segment_ids == number)
        assert segment.score == (None if score is None else pytest.approx(score, rel=1e-4))


def spec(name: str, *shape: int, dtype: type = np.float32) -> TensorSpec:
    return TensorSpec(name, np.dtype(dtype), shape)


ABOUT = Description(classes=CLASSES, stuff=STUFF)


def decoded(
    outputs: dict[str, np.ndarray],
    about: Description = ABOUT,
    choices: PostprocessOptions = PostprocessOptions(),  # noqa: B008, frozen
    *,
    frame: tuple[int, int] = LANDSCAPE,
    fit: str = "stretch",
) -> PanopticMap:
    """What comes out; the outputs are overwritten in between, as those of an engine may be."""
    head = recognise([spec(name, *array.shape) for name, array in outputs.items()], about, SIZE)
    assert head.kind == "mask-queries"
    lease = {name: array.copy() for name, array in outputs.items()}
    arrays = head.select_outputs(choices)(lease)
    for array in lease.values():
        array.fill(0)
    raw = RawOutputs(arrays, SIZE, Affine(*PLACES[fit](SIZE, frame)))
    found: PanopticMap = head.decode(raw, frame, choices, CLASSES)[PANOPTIC]
    return found


@pytest.mark.parametrize("frame", [*FRAMES, (3, 200)])
@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("weighted", [True, False])
def test_merged_as_it_is_written_out(frame: tuple[int, int], fit: str, seed: int, weighted: bool) -> None:
    outputs = planted(seed)
    about = Description(classes=CLASSES, stuff=STUFF, masks_weighted=weighted)
    found = decoded(outputs, about, PostprocessOptions(min_score=0.5), frame=frame, fit=fit)
    check(found, outputs, frame, fit, weighted=weighted, least=0.5)
    if frame == LANDSCAPE:
        assert len(found.segments) >= 3
    default = decoded(outputs, about, frame=frame, fit=fit)
    check(default, outputs, frame, fit, weighted=weighted, least=0.5 if weighted else 0.8)


def configured(folder: Path, **config: Any) -> None:
    known = {"architectures": ["Mask2FormerForUniversalSegmentation"], "model_type": "mask2former"}
    known["id2label"] = {str(number): name for number, name in enumerate(CLASSES)}  # type: ignore[assignment]
    (folder / "config.json").write_text(json.dumps(known | config))


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_out_of_a_file_with_its_configuration(engine: str, dtype: str, tmp_path: Path) -> None:
    outputs = planted()
    for name, array in outputs.items():
        outputs[name] = array.astype(dtype).astype(np.float32)
    toml = f"stuff = {list(STUFF)}\n"
    path = write_network(tmp_path / "my.onnx", outputs, size=SIZE, dtype=dtype, toml=toml)
    configured(tmp_path)
    with load_model(str(path), engine=engine, precision=precision_of(engine)) as model:
        assert model.class_names == CLASSES
        for frame in FRAMES:
            found = model(picture(frame)).panoptic
            assert found is not None
            check(found, outputs, frame, "stretch", weighted=True, least=0.5)


@pytest.mark.parametrize(
    ("architecture", "model_type", "weighted"),
    [
        ("MaskFormerForInstanceSegmentation", "maskformer", True),
        ("Mask2FormerForUniversalSegmentation", "mask2former", True),
        ("EomtForUniversalSegmentation", "eomt", False),
        ("EomtDinov3ForUniversalSegmentation", "eomt_dinov3", False),
        ("VideomtForUniversalSegmentation", "videomt", False),
        ("DetrForSegmentation", "detr", True),
        ("ConditionalDetrForSegmentation", "conditional_detr", True),
    ],
)
def test_which_rule_a_configuration_names(architecture: str, model_type: str, weighted: bool, tmp_path: Path) -> None:
    configured(tmp_path, architectures=[architecture], model_type=model_type)
    about = from_folder(tmp_path)
    assert (about.head, about.masks_weighted, about.classes) == ("mask-queries", weighted, CLASSES)


@pytest.mark.parametrize("names", [("logits", "pred_masks"), ("cls_logits", "mask_logits"), ("a", "b")])
def test_other_names(names: tuple[str, str]) -> None:
    """DETR's segmentation has boxes too, which say nothing more."""
    own = planted()
    outputs = dict(zip(names, own.values(), strict=True))
    about = ABOUT
    if names[0] == "logits":
        outputs["pred_boxes"] = np.zeros((1, QUERIES, 4), np.float32)
    if names[0] == "a":
        about = Description(classes=CLASSES, stuff=STUFF, outputs={"logits": "a", "masks": "b"}, head="mask-queries")
    np.testing.assert_array_equal(decoded(outputs, about).segment_ids, decoded(own).segment_ids)


def test_the_first_column_may_be_no_object() -> None:
    outputs = planted()
    wanted = decoded(outputs).segment_ids
    outputs["class_queries_logits"] = np.roll(outputs["class_queries_logits"], 1, axis=2)
    about = Description(classes=CLASSES, stuff=STUFF, background="first")
    np.testing.assert_array_equal(decoded(outputs, about).segment_ids, wanted)


def test_without_stuff_every_query_is_a_thing() -> None:
    found = decoded(planted(), Description(classes=CLASSES))
    assert all(each.is_thing and each.score is not None for each in found.segments)
    assert len(found.segments) >= len(decoded(planted()).segments)


def test_stuff_of_coco_is_known() -> None:
    names = (*(f"thing {number}" for number in range(79)), "toothbrush", *(f"stuff {number}" for number in range(53)))
    outputs = [spec("class_queries_logits", 1, 9, 134), spec("masks_queries_logits", 1, 9, 16, 24)]
    head: Any = recognise(outputs, Description(classes=names), SIZE)
    assert head.stuff == set(range(80, 133))


def test_classes_that_are_not_wanted_are_void() -> None:
    whole, some = decoded(planted()), decoded(planted(), ABOUT, PostprocessOptions(classes=(0, 2)))
    kept = [each.id for each in whole.segments if each.class_id in (0, 2)]
    assert [each.id for each in some.segments] == kept
    np.testing.assert_array_equal(some.segment_ids, np.where(np.isin(whole.segment_ids, kept), whole.segment_ids, 0))


def test_nothing_found_and_no_numbers() -> None:
    outputs = planted()
    outputs["class_queries_logits"][..., 4] = 20
    found = decoded(outputs, frame=ODD)
    assert (found.segments, found.segment_ids.any(), found.segment_ids.shape) == ((), False, ODD)
    outputs = planted()
    outputs["masks_queries_logits"][:, :, :3, :5] = np.nan
    outputs["class_queries_logits"][0, 0] = np.nan
    assert len(decoded(outputs).segments) > 0
    for name in ("class_queries_logits", "masks_queries_logits"):
        outputs = planted()
        outputs[name][:] = np.nan
        with pytest.raises(EngineError, match=f"output '{name}' has no finite number"):
            decoded(outputs)


@pytest.mark.parametrize("choice", [{"nms_iou": 0.5}, {"max_detections": 3}])
def test_choices_that_mean_nothing_are_refused(choice: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(choice))} cannot be given for a network whose masks share out"):
        decoded(planted(), ABOUT, PostprocessOptions(**choice))


LOGITS, MASKS = spec("class_queries_logits", 1, 9, 5), spec("masks_queries_logits", 1, 9, 16, 24)


@pytest.mark.parametrize(
    ("outputs", "about", "why"),
    [
        ([LOGITS, spec("masks_queries_logits", 1, 8, 16, 24)], {}, r"must be float32 \[1, queries, classes \+ 1\]"),
        ([LOGITS, spec("masks_queries_logits", 1, 9, 16, 24, dtype=np.int64)], {}, "must be float32"),
        ([spec("class_queries_logits", 1, 9, 8), MASKS], {}, "speaks of 7 classes, but 4 are named"),
        ([LOGITS, MASKS], {"scores": "sigmoid"}, "has a softmax over the classes"),
        ([LOGITS, MASKS], {"stuff": ("sea",)}, "`stuff` has 'sea', which is none of the 4 classes"),
        (
            [LOGITS, MASKS, spec("hidden", 1, 9, 256)],
            {},
            r"mask-queries does not read hidden \(float32 \[1, 9, 256\]\)",
        ),
        ([LOGITS, MASKS, spec("pred_boxes", 1, 7, 4)], {}, "mask-queries does not read pred_boxes"),
    ],
)
def test_refused(outputs: list[TensorSpec], about: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError) as caught:
        recognise(outputs, Description(classes=CLASSES, **about), SIZE)
    assert re.search(why, str(caught.value)), caught.value
    assert "\n" not in str(caught.value)

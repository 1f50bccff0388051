"""Lists of names by their own name, and COCO's ids, of which ten are not used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from vidgraph.models import load_model
from vidgraph.models.custom.inspect import inspect_model
from vidgraph.models.custom.toml_file import from_toml
from vidgraph.models.known_classes import COCO, COCO_SLOTS, NAMED
from vidgraph.models.options import read_labels
from vidgraph.pipeline.errors import UsageError
from vidgraph.pipeline.options import LABEL_LISTS, read_labels as read_option

from .planted import picture, write_network

SIZE = (64, 64)


def test_the_lists_are_as_published() -> None:
    assert [len(NAMED[name]) for name in ("coco80", "coco91", "voc21")] == [80, 91, 21]
    assert [COCO_SLOTS[number] for number in (1, 11, 13, 25, 27, 44, 46, 90)] == [
        "person", "fire hydrant", "stop sign", "giraffe", "backpack", "bottle", "wine glass", "toothbrush",
    ]  # fmt: skip
    assert [COCO_SLOTS[number] for number in (0, 12, 83)] == ["unused 0", "unused 12", "unused 83"]
    assert len(set(COCO_SLOTS)) == 91
    assert NAMED["voc21"][:2] == ("background", "aeroplane")
    assert NAMED["voc21"][-1] == "tvmonitor"


def test_options_and_the_toml_take_them_by_name(tmp_path: Path) -> None:
    assert set(LABEL_LISTS) == set(NAMED)
    for name, names in NAMED.items():
        assert read_option(name) == name
        assert read_labels(name) == names
        toml = tmp_path / "my.toml"
        toml.write_text(f'classes = "{name}"\n')
        assert from_toml(toml).classes == names
    assert read_option("coco80,b") == ["coco80", "b"]


def queries(slots: int, slot: int, *, background: bool = False) -> dict[str, np.ndarray]:
    """Three queries of a DETR, the second of which is of the class at ``slot``; the last slot may be no class."""
    logits = np.full((1, 3, slots), -9.0)
    if background:
        logits[0, :, -1] = 9
    logits[0, 1, slot] = 19
    boxes = np.tile([0.5, 0.5, 0.25, 0.25], (1, 3, 1))
    return {"logits": logits, "pred_boxes": boxes}


@pytest.mark.parametrize("slots", [91, 92])
@pytest.mark.parametrize("labels", ["coco80", "coco91", COCO, tuple(f"Klasse {name}" for name in COCO)])
def test_networks_at_coco_ids_name_what_they_find(tmp_path: Path, slots: int, labels: str | tuple[str, ...]) -> None:
    path = write_network(tmp_path / "my.onnx", queries(slots, 90, background=slots == 92), size=SIZE)
    with load_model(str(path), labels=labels) as model:
        found = model(picture(SIZE)).detections
    assert [row.class_name for row in found] == ["toothbrush" if labels[0][0] != "K" else "Klasse toothbrush"]
    if labels != "coco91" and slots == 92:
        custom = inspect_model(path, labels=read_labels(labels))
        assert custom.about.sources["classes"] == "the labels given, at the ids of COCO"


def test_of_80_slots_nothing_is_spread(tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", queries(80, 79), size=SIZE)
    with load_model(str(path), labels="coco80") as model:
        assert [row.class_name for row in model(picture(SIZE)).detections] == ["toothbrush"]


@pytest.mark.parametrize("slots", [85, 90, 93])
def test_other_numbers_are_refused_as_they_were(tmp_path: Path, slots: int) -> None:
    path = write_network(tmp_path / "my.onnx", queries(slots, 3), size=SIZE)
    (tmp_path / "my.toml").write_text('scores = "sigmoid"\nbackground = "none"\n')
    if slots == 90:  # ids from 1 on
        with load_model(str(path), labels="coco80") as model:
            assert [row.class_name for row in model(picture(SIZE)).detections] == ["motorcycle"]
        return
    with pytest.raises(UsageError, match=rf"{slots} .*80|80 .*{slots}"):
        load_model(str(path), labels="coco80")

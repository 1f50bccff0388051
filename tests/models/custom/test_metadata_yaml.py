"""The part of YAML that exporters of metadata write, and what is refused of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from vidgraph.models.custom.metadata_yaml import metadata_beside, parsed
from vidgraph.models.custom.ultralytics import from_metadata
from vidgraph.pipeline.errors import CheckpointError

POSE = """\
# written by an exporter
description: Ultralytics YOLOv8n-pose model trained on /usr/src/datasets/coco-pose.yaml, and
  a description that goes on
author: Ultralytics
date: '2024-07-01T12:10:10.123'
version: 8.2.48
license: AGPL-3.0 License (https://example.org/license)
stride: 32
task: pose
imgsz:
- 384
- 640
names:
  0: person
  1: 'it''s a
    bird'
  2: "a: b"
  3: 'no'
kpt_shape:
- 2
- 3
kpt_names:
  0:
  - nose
  - left_eye
empty: []
nothing:
args:
  data: null
  half: false
  nms: True
"""


def test_what_exporters_write_is_read(tmp_path: Path) -> None:
    assert parsed(POSE) == {
        "description": "Ultralytics YOLOv8n-pose model trained on /usr/src/datasets/coco-pose.yaml, and "
        "a description that goes on",
        "author": "Ultralytics",
        "date": "2024-07-01T12:10:10.123",
        "version": "8.2.48",
        "license": "AGPL-3.0 License (https://example.org/license)",
        "stride": 32,
        "task": "pose",
        "imgsz": [384, 640],
        "names": {0: "person", 1: "it's a bird", 2: "a: b", 3: "no"},
        "kpt_shape": [2, 3],
        "kpt_names": {0: ["nose", "left_eye"]},
        "empty": [],
        "nothing": None,
        "args": {"data": None, "half": False, "nms": True},
    }
    (tmp_path / "metadata.yaml").write_text(POSE)
    about = from_metadata(metadata_beside(tmp_path / "my.xml"))
    assert (about.classes, about.points) == (("person", "it's a bird", "a: b", "no"), (2, 3))
    assert (about.input.size, about.end_to_end, about.point_names) == ((384, 640), True, ("nose", "left_eye"))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: &anchor 1", "line 1"),
        ("a: *anchor", "line 1"),
        ("a: !tag x", "line 1"),
        ("b: 1\na: |\n  x", "line 2"),
        ("a: {b: 1}", "line 1"),
        ("a: [1, 2]", "line 1"),
        ("- a", "line 1"),
        ("a:\n  - b: 1", "line 2"),
        ("a:\n  - - b", "line 2"),
        ("\ta: 1", "line 1 is indented by tabs"),
        ("a: 1\na: 2", "line 2 gives 'a' a second time"),
        ("a:\n    b: 1\n  c: 2", "line 3"),
        ("a: 'x", "line 1"),
        ('a: "\\u00e9"', "line 1"),
        ("words", "line 1"),
        ("a: 1 # a comment", "line 1"),
        ("a:" + " " * 10000 + "1", "more than 4096 characters"),
        ("\n".join(" " * depth + "a:" for depth in range(20)), "nested too deeply"),
    ],
)
def test_anything_else_is_refused(text: str, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        parsed(text)


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    assert metadata_beside(tmp_path / "my.xml") == {}
    path = tmp_path / "metadata.yaml"
    path.write_text("author: Somebody\nmore: &x 1\n")
    assert metadata_beside(tmp_path / "my.xml") == {}
    path.write_bytes(b"author: Ultralytics\n\xff\n")
    with pytest.raises(CheckpointError, match=r"cannot read .*metadata\.yaml: it is not UTF-8"):
        metadata_beside(tmp_path / "my.xml")

"""Detections: columns of any name go with their rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from vidgraph import DETECTIONS, Detections, Packet


def detections(**data: Any) -> Detections:
    boxes = np.array([[0, 0, 4, 4], [1, 1, 3, 3], [2, 2, 9, 9]], np.float32)
    return Detections(boxes, np.array([0.9, 0.8, 0.7], np.float32), np.zeros(3, np.int32), ("face",), data=data)


def test_columns_go_with_their_rows(samples: Any) -> None:
    corners = np.arange(24, dtype=np.float32).reshape(3, 4, 2)
    found = detections(mood=np.array(["calm", "glad", "cross"]), corners=corners)
    assert [row.data["mood"] for row in found] == ["calm", "glad", "cross"]
    for rows in (slice(1, None), np.array([False, True, True]), np.array([1, 2])):
        kept = Packet(samples.frame(0)).with_item(DETECTIONS, found).keep_rows(rows)[DETECTIONS]
        assert kept.data["mood"].tolist() == ["glad", "cross"]
        np.testing.assert_array_equal(kept.data["corners"], corners[1:])
    assert detections().data == {}
    assert Detections.empty(("face",)).data == {}


@pytest.mark.parametrize(
    ("name", "column", "says"),
    [
        (
            "mood",
            np.array(["calm"]),
            r"data\['mood'\] must be numbers .* or texts \[3, \.\.\.\], got <U4 \[1\]",
        ),
        ("mood", np.zeros(3, np.uint64), r"numbers within int64 or float64, .*, got uint64 \[3\]"),
        ("mood", np.zeros(3, np.longdouble), r"numbers within int64 or float64, .*, got float128 \[3\]"),
        ("mood", np.zeros(3, np.complex64), r"got complex64 \[3\]"),
        ("mood", np.array(None), r"got object \[\]"),
        ("mood", np.array([{}, {}, {}]), r"got object \[3\]"),
        ("mood", ["a", "b", "c"], "got list"),
    ],
)
def test_a_column_that_does_not_fit_is_refused(name: str, column: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        detections(**{name: column})


TAKEN = ("score", "id", "bbox", "area", "track_id", "frame", "x1", "time_s", "file", "p1_x", "p12_score", "class_name")
NO_IDENTIFIERS = ("", "=2+3", "+a", "-a", "@a", "＝a", "a b", "1a", "a.1", "a\n", "\ud800", 5, None)


@pytest.mark.parametrize("name", [*TAKEN, *NO_IDENTIFIERS])
def test_a_name_that_a_column_cannot_have_is_refused(name: Any) -> None:
    found = detections()
    with pytest.raises(ValueError, match=r"Detections\.data cannot have a column .*identifier .*; rename it") as caught:
        replace(found, data={name: np.zeros(3)})
    assert repr(name) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["mood", "v_1", "größe", "p1", "p_x", "xyxyxyxy", "Class"])
def test_other_names_are_free(name: str) -> None:
    assert list(detections(**{name: np.zeros(3)}).data) == [name]


@pytest.mark.parametrize("wrong", [None, [np.zeros(3)], "mood"])
def test_columns_that_are_no_mapping_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"Detections\.data must be a mapping of names to columns, got \w+$"):
        replace(detections(), data=wrong)


@pytest.mark.parametrize("rows", [0, -1, np.int64(0), "mood", (0, 1), None, True, np.zeros((3, 1), np.int64)])
def test_what_indexes_no_rows_is_refused(rows: Any) -> None:
    with pytest.raises(TypeError, match=r"a slice, a bool array \[N\] or an index array, got \w+; for one row"):
        detections()[rows]
    assert len(detections()[[0]]) == len(detections()[:1]) == 1
    assert len(detections()[[]]) == 0

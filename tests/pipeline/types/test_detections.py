"""Detections: columns of any name go with their rows."""

from __future__ import annotations

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
        ("mood", np.array(["calm"]), r"data\['mood'\] must be numbers, truths or texts \[3, \.\.\.\], got <U4 \[1\]"),
        ("mood", np.array(None), r"got object \[\]"),
        ("mood", np.array([{}, {}, {}]), r"got object \[3\]"),
        ("mood", ["a", "b", "c"], "got list"),
        ("score", np.zeros(3), "cannot have a column 'score', a field that objects have already; rename it"),
    ],
)
def test_a_column_that_does_not_fit_is_refused(name: str, column: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        detections(**{name: column})

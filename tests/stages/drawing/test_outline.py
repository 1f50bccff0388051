"""Outlines of polygons: places on their sides, near the picture, and few of them however far a side leads."""

from __future__ import annotations

import numpy as np
from vidgraph.pipeline.drawing.outline import outline


def test_places_lie_on_the_sides_and_are_close() -> None:
    polygons = np.array([[(10, 10), (20, 10), (20, 30), (10, 30)], [(5, 5), (9, 8), (5, 11), (1, 8)]], np.float32)
    places, rows = outline(polygons, spacing=1.5, size=(40, 40))
    for row, corners in enumerate(polygons.astype(np.float64)):
        own = places[rows == row].astype(np.float64)
        for first, last in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            way = last - first
            share = (own - first) @ way / (way @ way)
            off = np.abs((own - first) @ np.array([-way[1], way[0]])) / np.hypot(*way)
            shares = np.sort(share[(off < 1e-4) & (share >= 0) & (share <= 1)])
            gaps = np.diff(np.concatenate([[0], shares, [1]])) * np.hypot(*way)
            assert gaps.max() <= 1.5 + 1e-4


def test_far_sides_cost_no_more_than_the_picture_is_long() -> None:
    far = np.array([[(-1e9, 20), (1e9, 20), (1e9, 1e9), (np.nan, 5)]], np.float32)
    places, rows = outline(far, spacing=1.0, size=(40, 60))
    assert 60 <= len(places) <= 70
    np.testing.assert_allclose(places[:, 1], 20, atol=0.01)
    assert places[:, 0].min() >= -2.1
    assert places[:, 0].max() <= 62.1
    assert not rows.any()


def test_nothing_and_a_point() -> None:
    assert len(outline(np.zeros((0, 4, 2), np.float32), spacing=1.0, size=(8, 8))[0]) == 0
    places, _ = outline(np.full((1, 4, 2), 3, np.float32), spacing=1.0, size=(8, 8))
    np.testing.assert_array_equal(places, np.full((4, 2), 3))
    assert len(outline(np.full((1, 4, 2), 300, np.float32), spacing=1.0, size=(8, 8))[0]) == 0

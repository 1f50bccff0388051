"""Labels of a frame from smaller maps of logits beside torch and OpenCV, at 1920x1080."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import label_map
from ..kernels.label_map.reference import label_map_reference
from .harness import Case, Runs, cases_of, optional

SIZE = (1080, 1920)


def cases() -> Iterator[Case]:
    """All cases of this file: as of a trained network, whose regions are large, and of noise, where nothing is."""
    yield from _label_cases("labels from 21 x 65 x 65 logits, regions", regions((21, 65, 65)))
    yield from _label_cases("labels from 21 x 65 x 65 logits, noise", noise((21, 65, 65)))
    yield from _label_cases("labels from 150 x 128 x 128 logits, regions", regions((150, 128, 128)))


def noise(shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """Independent logits."""
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def regions(shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """Noise, and one class that leads by six of its deviations in each square of sixteen logits a side."""
    leads = np.random.default_rng(1).integers(0, shape[0], (shape[1] // 16 + 1, shape[2] // 16 + 1))
    spread = leads.repeat(16, axis=0).repeat(16, axis=1)[: shape[1], : shape[2]]
    return np.asarray(noise(shape) + 6 * (spread == np.arange(shape[0])[:, None, None]), np.float32)


def _label_cases(task: str, logits: NDArray[np.float32]) -> Iterator[Case]:
    cv2, torch = optional("cv2"), optional("torch")
    runs: Runs = {
        "vidgraph": partial(_ours, logits),
        "opencv": cv2 and partial(_opencv_labels, cv2, logits),
        "torch": torch and partial(_torch_labels, torch, torch.from_numpy(logits)),
    }
    yield from cases_of(task, runs, partial(_check, logits=logits), logits.nbytes + 4 * SIZE[0] * SIZE[1])


def _ours(logits: NDArray[np.float32]) -> NDArray[np.int32]:
    return label_map(logits, size=SIZE)[0]


def _opencv_labels(cv2: Any, logits: NDArray[np.float32]) -> NDArray[np.int32]:
    """Class by class, so that not all maps are held at once."""
    best = np.full(SIZE, -np.inf, np.float32)
    labels = np.zeros(SIZE, np.int32)
    for class_id, of_class in enumerate(logits):
        wide = cv2.resize(of_class, SIZE[::-1], interpolation=cv2.INTER_LINEAR)
        better = wide > best
        labels[better] = class_id
        np.maximum(best, wide, out=best)
    return labels


def _torch_labels(torch: Any, logits: Any) -> Any:
    wide = torch.nn.functional.interpolate(logits[None], SIZE, mode="bilinear", align_corners=False)
    return wide[0].argmax(dim=0)


def _check(run: Callable[[], Any], logits: NDArray[np.float32]) -> None:
    """The same labels in some stripes of rows, but for pixels where two classes are as good as equal."""
    labels, rows = np.asarray(run()), 27
    for first in range(0, SIZE[0], 13 * rows):
        window = (0.0, first / SIZE[0], 1.0, (first + rows) / SIZE[0])
        differ = labels[first : first + rows] != label_map_reference(logits, (rows, SIZE[1]), window)
        assert differ.mean() < 1e-3, f"{differ.sum()} labels differ from row {first} on"

"""The splits that models are judged on are those that were fixed, and are as hard as they must be."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.stages.sources.synthetic.person import Person
from vidgraph.stages.sources.synthetic.render import SceneRenderer
from vidgraph.stages.sources.synthetic.settings import SPLITS, THINGS
from vidgraph.stages.sources.synthetic.truth import render_with_truth

FROZEN = json.loads(Path(__file__).with_name("splits.json").read_text("utf-8"))
"""For each split ``address``, ``hashes`` (of the first and the last frame of each clip) and ``statistics``."""
JUDGED = ("easy", "hard", "faces")


def frozen(split: str) -> dict[str, Any]:
    """What was written down of a split when it was fixed."""
    read: dict[str, Any] = FROZEN[split]
    return read


def clip_hash(split: str, clip: int) -> str:
    """SHA-256 of the maps of surfaces and the colours of the first and the last frame of a clip.

    Colours are those before noise and compression, so that it does not depend on the version of a codec.
    """
    settings = SPLITS[split]
    renderer, digest = SceneRenderer(settings, clip), hashlib.sha256()
    for index in (0, settings.frames - 1):
        rendered = renderer.draw(renderer.moment(index))
        digest.update(np.ascontiguousarray(rendered.surfaces).tobytes())
        digest.update(np.round(rendered.canvas.table().colours).astype(np.uint8).tobytes())
    return digest.hexdigest()


def look_of(body: Any) -> str:
    """The look of an actor, as the statistics count it."""
    if isinstance(body, Person):
        return f"{'rider' if body.rides else body.view} {body.wears}"
    return str(body.kind)


@pytest.mark.parametrize("split", JUDGED)
@pytest.mark.parametrize("clip", [1, 22])
def test_the_same_is_drawn(split: str, clip: int) -> None:
    assert frozen(split)["address"] == SPLITS[split].address
    assert len(frozen(split)["hashes"]) == SPLITS[split].clips
    assert clip_hash(split, clip) == frozen(split)["hashes"][clip]


def test_the_hard_split_is_hard() -> None:
    found = frozen("hard")["statistics"]
    assert found["things_per_frame_median"] >= 8
    assert found["under_32x32_px"] >= 0.30
    assert found["over_30_percent_hidden"] >= 0.25
    assert found["looks"].keys() == set(THINGS)
    assert all(len(looks) >= 4 for looks in found["looks"].values())
    assert frozen("easy")["statistics"]["things_per_frame_median"] < found["things_per_frame_median"]


def test_statistics_of_some_frames_are_near() -> None:
    found = frozen("hard")["statistics"]
    counts, areas, hidden, looks = [], [], [], set()
    for clip in range(0, 24, 2):
        rendered, truth = render_with_truth(SceneRenderer(SPLITS["hard"], clip), 10)
        counted = ~truth.ignored
        counts.append(int(counted.sum()))
        masks = truth.objects.masks
        assert masks is not None
        areas += [masks.area(row) for row in np.flatnonzero(counted).tolist()]
        hidden += truth.hidden[counted].tolist()
        looks |= {(actor.body.class_id, look_of(actor.body)) for actor in rendered.moment.shot.actors}
    assert abs(np.median(counts) - found["things_per_frame_median"]) <= 3
    assert abs(np.mean(np.array(areas) < 32 * 32) - found["under_32x32_px"]) < 0.12
    assert abs(np.mean(np.array(hidden) > 0.3) - found["over_30_percent_hidden"]) < 0.12
    for number, name in enumerate(THINGS):
        assert {look for class_id, look in looks if class_id == number} <= set(found["looks"][name])


def test_splits_share_no_seed() -> None:
    seeds = [settings.seed for settings in SPLITS.values()]
    assert len(set(seeds)) == len(seeds)

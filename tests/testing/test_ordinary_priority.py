"""An encoder that would have its threads run before all others cannot."""

from __future__ import annotations

import os
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from vidgraph.testing.clips import make_clip
from vidgraph.testing.ordinary_priority import ordinary_priority

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux has these priorities")


def policies() -> set[int]:
    """Of all threads of this process."""
    return {os.sched_getscheduler(int(task.name)) for task in Path("/proc/self/task").iterdir()}


def encoder() -> Any:
    """SVT-AV1 with its threads."""
    os.environ["SVT_LOG"] = "0"
    made: Any = av.CodecContext.create("libsvtav1", "w")
    made.height, made.width, made.pix_fmt = 64, 96, "yuv420p"
    made.framerate, made.time_base = Fraction(25), Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(np.zeros((96, 96), np.uint8), format="yuv420p")
    frame.pts = 0
    made.encode(frame)
    return made


def test_threads_keep_their_priority() -> None:
    before = Path("/proc/self/status").read_text().split("CapEff:")[1].split()[0]
    with ordinary_priority():
        made = encoder()
        assert len(list(Path("/proc/self/task").iterdir())) > 2
        assert policies() == {os.SCHED_OTHER}
        made.encode(None)
    assert policies() == {os.SCHED_OTHER}
    assert Path("/proc/self/status").read_text().split("CapEff:")[1].split()[0] == before


def test_a_clip_is_made_at_the_priority_of_all_others() -> None:
    assert len(make_clip(4, (64, 96), codec="av1").units) == 4
    assert policies() == {os.SCHED_OTHER}


def test_an_error_gives_back_what_was_taken() -> None:
    before = Path("/proc/self/status").read_text().split("CapEff:")[1].split()[0]
    with pytest.raises(ValueError, match="mine"), ordinary_priority():
        raise ValueError("mine")
    assert Path("/proc/self/status").read_text().split("CapEff:")[1].split()[0] == before

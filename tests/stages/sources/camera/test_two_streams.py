"""Two streams of one camera: a large one, and a small one that comes later."""

from __future__ import annotations

import time

from vidgraph.testing import Faults, make_clip

from .cameras import Reading, camera_and_reading

FPS, LATE_S = 15, 1.5


def captured(reading: Reading) -> dict[int, tuple[float, float]]:
    """By the number in its pixels, of each frame that the camera's clock stamped: when it was captured, and came."""
    frames = list(zip(reading.numbers, list(reading.frames), strict=False))
    return {
        number: ((frame.capture_ns or 0) / 1e9, came_s)
        for number, (came_s, frame) in frames
        if number is not None and frame.capture_clock == "camera"
    }


def test_frames_that_belong_together_were_captured_at_the_same_time() -> None:
    """Their numbers in the stream, and when they come, say nothing of that."""
    began_s = time.time()
    faults = Faults(report_clock=lambda frame: began_s + frame / FPS)
    large, small = (make_clip(150, size=size, fps=FPS) for size in ((240, 320), (120, 160)))
    with camera_and_reading(large, faults) as (_, main):
        main.wait_for_frames(1)
        time.sleep(LATE_S)
        with camera_and_reading(small, faults) as (_, sub):
            sub.wait_until(lambda _: len(captured(main).keys() & captured(sub).keys()) >= 10, 20)
    of_main, of_sub = captured(main), captured(sub)
    for number in of_main.keys() & of_sub.keys():
        (main_s, main_came_s), (sub_s, sub_came_s) = of_main[number], of_sub[number]
        assert abs(main_s - sub_s) < 1 / FPS
        assert abs(main_s - began_s - number / FPS) < 1 / FPS
        assert sub_came_s - main_came_s > LATE_S / 2

"""The window output: with a stand-in for OpenCV, which is seldom there with a graphical interface."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from vidgraph.pipeline.errors import MissingExtraError, OutputError
from vidgraph.pipeline.packet import Packet
from vidgraph.pipeline.stage import EndReason, Sink
from vidgraph.stages.sinks.registry import open_sink
from vidgraph.stages.sinks.window import Window

from .sinks import frame, packets, write_all


class Error(Exception):
    """OpenCV's error."""


class FakeCv2(SimpleNamespace):
    """The part of OpenCV that windows need; remembers what was shown."""

    def __init__(self, gui: str = "QT5") -> None:
        super().__init__(error=Error, WINDOW_NORMAL=0, WINDOW_KEEPRATIO=0, WND_PROP_VISIBLE=4)
        self.gui, self.key, self.visible = gui, -1, 1.0
        self.shown: list[tuple[str, Any]] = []
        self.windows: set[str] = set()

    def getBuildInformation(self) -> str:
        return f"\nGeneral:\n  GUI:                           {self.gui}\n"

    def namedWindow(self, title: str, flags: int) -> None:
        if self.gui == "BROKEN":
            raise Error("OpenCV(4.10.0) window.cpp:1\nCan't initialize GTK backend")
        self.windows.add(title)

    def resizeWindow(self, title: str, width: int, height: int) -> None: ...

    def imshow(self, title: str, bgr: Any) -> None:
        self.shown.append((title, bgr.copy()))

    def waitKey(self, delay: int) -> int:
        return self.key

    def getWindowProperty(self, title: str, which: int) -> float:
        return self.visible

    def destroyWindow(self, title: str) -> None:
        self.windows.remove(title)


def install(monkeypatch: pytest.MonkeyPatch, fake: object) -> Any:
    monkeypatch.setitem(sys.modules, "cv2", fake)  # type: ignore[arg-type]
    return fake


def test_frames_are_shown_as_bgr_and_the_window_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = install(monkeypatch, FakeCv2())
    sink = open_sink("window", drawn=False)
    assert isinstance(sink, Sink)
    sink.open()
    for packet in packets(3):
        sink.write(packet)
    sink.write(Packet(frame(3)).dropped("mailbox_full"))
    assert fake.windows == {"vidgraph: s"}
    assert [title for title, _ in fake.shown] == ["vidgraph: s"] * 3
    np.testing.assert_array_equal(fake.shown[1][1], frame(1).picture.rgb()[:, :, ::-1])
    sink.end_stream("s", EndReason.FINISHED)
    assert fake.windows == set()
    sink.close()


@pytest.mark.parametrize("how", ["q", "escape", "button"])
def test_a_window_can_be_closed_and_the_run_goes_on(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    fake = install(monkeypatch, FakeCv2())
    fake.key = {"q": ord("q"), "escape": 27}.get(how, -1)
    fake.visible = 0.0 if how == "button" else 1.0
    write_all(Window(picture=None), packets(5))
    assert len(fake.shown) == 1
    assert fake.windows == set()


def test_without_opencv_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, None)
    with pytest.raises(MissingExtraError, match=r"output 'window' needs .*pip install 'vidgraph\[opencv\]'"):
        open_sink("window")


def test_a_headless_opencv_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeCv2("NONE"))
    with pytest.raises(MissingExtraError, match="headless"):
        open_sink("window")


def test_no_display_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeCv2("BROKEN"))
    with pytest.raises(OutputError, match="cannot show a window: Can't initialize GTK backend; is there a display"):
        write_all(Window(picture=None), packets(1))

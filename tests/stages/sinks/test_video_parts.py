"""Further parts of a video: those that are there, stale ones, those that belong to others."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from vidgraph.pipeline.errors import OutputError
from vidgraph.pipeline.packet import Packet
from vidgraph.stages.sinks.addresses import OutputStream
from vidgraph.stages.sinks.registry import Outputs, open_sink

from ..clips import make_changing_size
from .sinks import frame, packets_of, read_video, write_all

PARTS = ["out.part2.mp4", "out.part3.mp4", "out.part12.mp4"]


@pytest.mark.parametrize("name", ["out.mp4", *PARTS])
def test_a_part_that_is_there_is_refused_before_any_work(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"kept")
    with pytest.raises(OutputError, match=rf"{re.escape(name)} exists already; -y \(overwrite\) replaces it"):
        open_sink(tmp_path / "out.mp4")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {name: b"kept"}


def test_overwriting_leaves_no_part_of_an_earlier_video(tmp_path: Path) -> None:
    source = make_changing_size(tmp_path / "in.ts", frames=10)
    others = ["out.part2.mkv", "other.part2.mp4", "out.part.mp4", "out.part02.mp4", "out.part1.mp4"]
    for name in (*PARTS, *others):
        (tmp_path / name).write_bytes(b"old")
    given = packets_of(source)
    write_all(open_sink(tmp_path / "out.mp4", overwrite=True, drawn=False), given)
    assert len(read_video(tmp_path / "out.mp4").times) == len(read_video(tmp_path / "out.part2.mp4").times) == 10
    assert not (tmp_path / PARTS[1]).exists()
    assert not (tmp_path / PARTS[2]).exists()
    assert all((tmp_path / name).read_bytes() == b"old" for name in others)


def test_a_part_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    given = packets_of(make_changing_size(tmp_path / "in.ts", frames=10))
    sink = open_sink(tmp_path / "out.mp4", drawn=False)
    (tmp_path / "out.part2.mp4").write_bytes(b"another's")
    with pytest.raises(OutputError, match=r"out\.part2\.mp4 exists already"):
        write_all(sink, given)
    assert (tmp_path / "out.part2.mp4").read_bytes() == b"another's"
    assert len(read_video(tmp_path / "out.mp4").times) == 10


def test_a_stream_named_as_the_part_of_another_keeps_its_file(tmp_path: Path) -> None:
    """As when the parts of a video are run together: ``{stream}.mp4`` of ``a.mp4`` and ``a.part2.mp4``."""
    changing = packets_of(make_changing_size(tmp_path / "in.ts", frames=5))
    a = [Packet(replace(one.frame, stream_id="a")) for one in changing]
    given = [*a[:5], *(Packet(frame(index, stream="a.part2")) for index in range(7)), *a[5:]]
    for overwrite in (False, True):
        streams = [OutputStream(stream_id=name) for name in ("a", "a.part2")]
        (sink,) = Outputs([f"{tmp_path}/{{stream}}.mp4"], streams, overwrite=overwrite).sinks(drawn=False)
        write_all(sink, given)
        found = {path.name: len(read_video(path).times) for path in tmp_path.glob("a*.mp4")}
        assert found == {"a.mp4": 5, "a.part2.mp4": 7, "a.part3.mp4": 5}

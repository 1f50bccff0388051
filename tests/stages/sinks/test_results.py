"""Results as JSON lines: a header, a line for each frame, whole whatever happens."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from vidgraph.pipeline.errors import OutputError, ResultsError
from vidgraph.pipeline.packet import DETECTIONS, Packet
from vidgraph.pipeline.results.format import ModelInfo, SourceInfo, header_record
from vidgraph.pipeline.results.reader import read_results
from vidgraph.pipeline.stage import Sink
from vidgraph.pipeline.types.detections import Detections
from vidgraph.stages.sinks.results import WriteResults

from .sinks import frame, packets, write_all

FULL = Path("/dev/full")


def sink(path: Path, **settings: object) -> WriteResults:
    header = header_record(models=[ModelInfo("m")], sources=[SourceInfo("s", "in.mp4")])
    return WriteResults({"s": path}, header=header, **settings)  # type: ignore[arg-type]


def frames_in(path: Path) -> list[int]:
    return [record.index for record in read_results(path)]


def test_a_header_then_a_line_for_each_frame(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    given = [packet.with_item(DETECTIONS, Detections.empty(("face",))) for packet in packets(3)]
    given[1] = packets_dropped(1)
    made = sink(out)
    assert isinstance(made, Sink)
    assert made.reads == {DETECTIONS}
    write_all(made, given)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert lines[0]["models"] == [{"name": "m"}]
    assert [line["frame"] for line in lines[1:]] == [0, 1, 2]
    assert [line.get("dropped") for line in lines[1:]] == [None, "failed", None]
    assert [line.get("objects") for line in lines[1:]] == [[], None, []]


def packets_dropped(index: int) -> Packet:
    return Packet(frame(index)).dropped("failed")


def test_every_line_is_in_the_file_as_soon_as_it_is_written(tmp_path: Path) -> None:
    made = sink(tmp_path / "out.jsonl")
    made.open()
    for count, packet in enumerate(packets(5), start=1):
        made.write(packet)
        text = (tmp_path / "out.jsonl").read_text()
        assert text.endswith("\n")
        assert len(text.splitlines()) == count + 1
    made.close()


def test_streams_share_a_file_or_have_one_each_with_their_own_source(tmp_path: Path) -> None:
    header = header_record(sources=[SourceInfo("a"), SourceInfo("b")])
    given = [Packet(frame(index, stream=stream)) for index in range(3) for stream in "ab"]
    shared = tmp_path / "all.jsonl"
    write_all(WriteResults({"a": shared, "b": shared}, header=header), given)
    assert [(record.stream, record.index) for record in read_results(shared)] == [
        (packet.frame.stream_id, packet.frame.index) for packet in given
    ]
    assert read_results(shared).streams == ["a", "b"]
    paths = {name: tmp_path / f"{name}.jsonl" for name in "ab"}
    write_all(WriteResults(paths, header=header), given)
    assert read_results(paths["b"]).streams == ["b"]
    assert frames_in(paths["b"]) == [0, 1, 2]


def test_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    print("before", end=" ")
    write_all(WriteResults(None, header=header_record()), packets(2))
    print("after")
    out = capfd.readouterr().out
    assert out.startswith("before {")
    lines = out.removeprefix("before ").splitlines()
    assert [json.loads(line).get("frame") for line in lines[:3]] == [None, 0, 1]
    assert lines[3] == "after"


def test_a_reader_that_goes_away_is_one_line() -> None:
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "from vidgraph.pipeline.packet import Frame, Packet\n"
        "from vidgraph.pipeline.types.picture import Picture\n"
        "from vidgraph.pipeline.errors import OutputError\n"
        "from vidgraph.stages.sinks.results import WriteResults\n"
        "import numpy as np\n"
        "sink, picture = WriteResults(None), Picture.from_rgb(np.zeros((2, 2, 3), np.uint8))\n"
        "sink.open()\n"
        "try:\n"
        "    for index in range(10**6): sink.write(Packet(Frame('s', index, 0, 0, 0, picture)))\n"
        "except OutputError as error: sys.stderr.write(str(error))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, "."], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    message = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(60) == 0
    assert message == "cannot write standard output: broken pipe; the lines written before are whole"


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_resume_cuts_a_torn_line_off_and_goes_on(tmp_path: Path, cut: int) -> None:
    out = tmp_path / "out.jsonl"
    write_all(sink(out), packets(6))
    data = out.read_bytes()
    out.write_bytes(data[:-cut])
    write_all(sink(out, resume=True), packets(9))
    assert frames_in(out) == list(range(9))
    assert out.read_bytes()[: len(data)] == data


@pytest.mark.parametrize("content", [None, b""])
def test_resume_of_nothing_begins(tmp_path: Path, content: bytes | None) -> None:
    out = tmp_path / "out.jsonl"
    if content is not None:
        out.write_bytes(content)
    write_all(sink(out, resume=True), packets(2))
    assert frames_in(out) == [0, 1]


def test_resume_of_another_file_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("hello\n")
    with pytest.raises(ResultsError, match="is not a vidgraph results file"):
        sink(out, resume=True).open()
    assert out.read_text() == "hello\n"


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*no/out\.jsonl: no such file or directory"):
        sink(tmp_path / "no" / "out.jsonl").open()


def test_full_disk_at_the_first_line() -> None:
    if not FULL.exists():
        pytest.skip("needs /dev/full, which is Linux's")
    with pytest.raises(OutputError, match="cannot write /dev/full: the disk is full"):
        sink(FULL).open()


def test_files_are_closed(tmp_path: Path) -> None:
    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc to count open files")
    before = sum(1 for _ in Path("/proc/self/fd").iterdir())
    for _ in range(5):
        write_all(sink(tmp_path / "out.jsonl"), packets(1))
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == before

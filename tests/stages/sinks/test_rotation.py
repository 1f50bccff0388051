"""Results that go on in further files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from vidgraph.pipeline.errors import OutputError, UsageError
from vidgraph.pipeline.results.convert import convert
from vidgraph.pipeline.results.format import header_record
from vidgraph.pipeline.results.reader import read_results
from vidgraph.stages.sinks import results
from vidgraph.stages.sinks.addresses import OutputStream
from vidgraph.stages.sinks.registry import Outputs
from vidgraph.stages.sinks.results import WriteResults
from vidgraph.stages.sinks.rotation import Rotation

from .sinks import packets, write_all


def written(path: Path, rotation: Rotation, count: int = 40) -> None:
    write_all(WriteResults({"s": path}, header=header_record(), needs=frozenset(), rotation=rotation), packets(count))


def frames_in(path: Path) -> list[int]:
    return [record.index for record in read_results(path)]


def test_each_file_is_whole_and_all_lines_are_there(tmp_path: Path) -> None:
    written(tmp_path / "out.jsonl", Rotation(bytes=1200))
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files[:2]] == ["out-00001.jsonl", "out-00002.jsonl"]
    assert max(file.stat().st_size for file in files) <= 1200
    assert [index for file in files for index in frames_in(file)] == list(range(40))
    header = json.loads(files[-1].read_text().splitlines()[0])
    assert header == json.loads(files[0].read_text().splitlines()[0])
    assert convert(files[1], "csv").exists()


def test_another_run_goes_on_after_the_files_that_are_there(tmp_path: Path) -> None:
    for _ in range(2):
        written(tmp_path / "out.jsonl", Rotation(bytes=10**6), count=3)
    assert [frames_in(file) for file in sorted(tmp_path.iterdir())] == [[0, 1, 2], [0, 1, 2]]


def test_the_oldest_files_are_removed(tmp_path: Path) -> None:
    other = tmp_path / "out-2024.jsonl"
    other.write_text("mine")
    written(tmp_path / "out.jsonl", Rotation(bytes=1000, keep=4000), count=100)
    assert other.read_text() == "mine"
    files = sorted(set(tmp_path.iterdir()) - {other})
    assert 2000 < sum(file.stat().st_size for file in files) <= 4000
    indices = [index for file in files for index in frames_in(file)]
    assert indices == list(range(100 - len(indices), 100))


def test_by_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(results, "monotonic", lambda: now[0])
    sink = WriteResults({"s": tmp_path / "out.jsonl"}, needs=frozenset(), rotation=Rotation(seconds=60))
    sink.open()
    for packet in packets(10):
        sink.write(packet)
        now[0] += 20
    sink.close()
    assert [frames_in(file) for file in sorted(tmp_path.iterdir())] == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]


def test_what_a_user_writes() -> None:
    assert Rotation.of("100MB", "10GB") == Rotation(bytes=10**8, keep=10**10)
    assert Rotation.of("1h", None) == Rotation(seconds=3600)
    assert Rotation.of("1.5h", "4kB") == Rotation(bytes=1000, seconds=5400, keep=4000)
    assert Rotation.of(None, None) is None
    for rotate, keep, message in (
        (None, "10GB", "keep needs rotate"),
        ("100", None, "rotate must be a size or a time, such as 100MB or 1h, got '100'"),
        ("1h", "2d", "keep must be a size such as 10GB, got '2d'"),
        ("1GB", "2GB", "keep 2GB must be at least 4 times rotate 1GB"),
    ):
        with pytest.raises(UsageError, match=message):
            Rotation.of(rotate, keep)


def test_one_process_writes_the_files_of_a_name(tmp_path: Path) -> None:
    streams, rotation = [OutputStream(stream_id="s")], Rotation(seconds=60)
    first = Outputs([tmp_path / "out.jsonl"], streams, rotation=rotation)
    with pytest.raises(OutputError):
        Outputs([tmp_path / "out.jsonl"], streams, rotation=rotation)
    first.close()
    with pytest.raises(UsageError, match="leave out resume"):
        Outputs([tmp_path / "out.jsonl"], streams, rotation=rotation, resume=True)

"""Files beside results: a folder for each type, stream and model; whole files only; one line where it cannot be."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from vidgraph.pipeline.errors import OutputError, UsageError
from vidgraph.pipeline.packet import DEPTH, MATTE, Key, Packet
from vidgraph.pipeline.results.format import ModelInfo, ResultKeys, SourceInfo, header_record
from vidgraph.pipeline.results.reader import read_results
from vidgraph.pipeline.types.maps import AlphaMatte, DepthMap
from vidgraph.stages.sinks.results import WriteResults

from .sinks import packets

OTHER = Key("other", DepthMap)


def depth(value: float) -> DepthMap:
    return DepthMap(np.full((48, 64), value, np.float32))


def sized(packet: Packet) -> tuple[int, int]:
    return packet.frame.picture.height, packet.frame.picture.width


def test_models_and_streams_have_folders(tmp_path: Path) -> None:
    keys = [ResultKeys("near", {DEPTH: DEPTH}), ResultKeys("far", {DEPTH: OTHER, MATTE: MATTE})]
    models = [ModelInfo("near", gives=frozenset({"depth"})), ModelInfo("far", gives=frozenset({"depth", "matte"}))]
    header = header_record(models=models, sources=[SourceInfo("s"), SourceInfo("t")])
    path = tmp_path / "out.jsonl"
    sink = WriteResults({"s": path, "t": path}, header=header, keys=keys, needs=frozenset())
    sink.open()
    for packet in packets(2):
        for stream in ("s", "t"):
            size = sized(packet)
            found = Packet(replace(packet.frame, stream_id=stream))
            found = found.with_item(DEPTH, DepthMap(np.full(size, 1, np.float32)))
            found = found.with_item(OTHER, DepthMap(np.full(size, 2, np.float32), metric=True))
            sink.write(found.with_item(MATTE, AlphaMatte(np.full(size, 3, np.uint8))))
    sink.close()
    names = sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.npy"))
    assert names == [f"out.depth/{s}/{m}/00000{i}.npy" for s in "st" for m in ("far", "near") for i in (0, 1)]
    for record in read_results(path):
        near, far = record.result(DEPTH, "near"), record.result(DEPTH, "far")
        assert near is not None
        assert far is not None
        assert (near.values[0, 0], near.metric, far.values[0, 0], far.metric) == (1, False, 2, True)
        matte = record.result(MATTE, "far")
        assert matte is not None
        assert (matte.alpha == 3).all()
        assert record.result(MATTE, "near") is None


def one(path: Path, *, stream: str = "s") -> WriteResults:
    return WriteResults({stream: path, "more": path}, keys=[ResultKeys("m", {DEPTH: DEPTH})], needs=frozenset())


@pytest.mark.parametrize("stream", ["a/b", "..", "a%d"])
def test_a_stream_whose_name_is_no_folder_s_is_refused(stream: str, tmp_path: Path) -> None:
    (packet,) = packets(1)
    packet = Packet(replace(packet.frame, stream_id=stream)).with_item(DEPTH, depth(1))
    sink = one(tmp_path / "out.jsonl", stream=stream)
    sink.open()
    with pytest.raises(UsageError, match="cannot be the name of a folder"):
        sink.write(packet)
    sink.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl"]


def test_a_file_that_cannot_be_written_is_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vidgraph.pipeline.results.result_types.depth import DepthResults

    def full(self: DepthResults, path: Path, value: DepthMap) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(DepthResults, "save", full)
    (packet,) = packets(1)
    sink = one(tmp_path / "out.jsonl")
    sink.open()
    with pytest.raises(
        OutputError, match=r"out\.depth/s/000000\.npy: the disk is full; the lines written before are whole"
    ):
        sink.write(packet.with_item(DEPTH, depth(1)))
    sink.close()
    assert not list((tmp_path / "out.depth" / "s").iterdir())
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 1


def test_a_second_run_cannot_write_the_same_files_at_once(tmp_path: Path) -> None:
    (packet,) = packets(1)
    packet = packet.with_item(DEPTH, depth(1))
    first, second = one(tmp_path / "out.jsonl"), one(tmp_path / "out.jsonl")
    first.open()
    first.write(packet)
    with pytest.raises(OutputError):
        second.open()
    first.close()
    second.open()
    second.write(packet)
    second.close()
    line = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[1])
    assert line["depth"][0]["file"] == "out.depth/s/000000.npy"

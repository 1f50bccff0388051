"""Addresses of outputs: kinds, streams, what is refused, what may be overwritten or gone on with."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from vidgraph.pipeline.errors import OutputError, UsageError, VidgraphError
from vidgraph.pipeline.packet import DETECTIONS
from vidgraph.pipeline.results.format import SourceInfo, header_record
from vidgraph.pipeline.results.frame_result import FrameResult
from vidgraph.pipeline.stage import Sink
from vidgraph.stages.drawing.draw import ANNOTATED
from vidgraph.stages.sinks.addresses import OutputStream, http_place, part_files, part_path
from vidgraph.stages.sinks.kinds import kind_of
from vidgraph.stages.sinks.registry import Outputs, open_sink

from .sinks import packets, read_video, write_all


def streams(*names: str) -> list[OutputStream]:
    return [OutputStream(stream_id=name) for name in names]


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("out.mp4", "video"),
        ("a b/Out.MKV", "video"),
        ("{stream}.mov", "video"),
        ("out.jsonl", "results"),
        ("-", "standard output"),
        ("frames/%06d.png", "images"),
        ("%d.jpg", "images"),
        ("window", "window"),
        ("http://127.0.0.1:8080", "http"),
        ("http://[::1]:80/", "http"),
    ],
)
def test_kinds(address: str, kind: str) -> None:
    assert kind_of(address).name == kind


@pytest.mark.parametrize(
    "address", ["out.avi", "out", "results/", "ftp://host/a", "http://me:secret@host/x", "http://h/x.mp4", ""]
)
def test_unknown_kinds_are_refused_with_the_list(address: str) -> None:
    with pytest.raises(UsageError, match=r"outputs are file\.mp4 \.m4v \.mov \.mkv \(video\), file\.jsonl") as caught:
        open_sink(address)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("http://127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("http://0.0.0.0", ("0.0.0.0", 8080)),
        ("http://:99/", ("127.0.0.1", 99)),
        ("http://[::1]:80", ("::1", 80)),
    ],
)
def test_http_places(address: str, place: tuple[str, int]) -> None:
    assert http_place(address) == place


def test_a_port_that_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="must be http://HOST:PORT"):
        http_place("http://127.0.0.1:99999")


def test_streams_are_put_into_addresses(tmp_path: Path) -> None:
    outputs = Outputs([f"{tmp_path}/{{stream}}/v.mp4", tmp_path / "all.jsonl"], streams("a", "b"))
    video, results = outputs.sinks()
    assert getattr(video, "paths", None) == {"a": tmp_path / "a/v.mp4", "b": tmp_path / "b/v.mp4"}
    assert getattr(results, "paths", None) == {"a": tmp_path / "all.jsonl", "b": tmp_path / "all.jsonl"}
    assert (tmp_path / "a").is_dir()


@pytest.mark.parametrize("address", ["out.mp4", "frames/%06d.png"])
def test_several_streams_need_their_name_in_the_address(tmp_path: Path, address: str) -> None:
    cure = r"cannot hold 2 streams \(a, b\); put \{stream\} into it, as in .*\{stream\}-"
    with pytest.raises(UsageError, match=cure):
        Outputs([str(tmp_path / address)], streams("a", "b"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a/b", "..", "", "50%d"])
def test_names_that_are_no_file_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot stand in a file name; give the source another: NAME=ADDRESS"):
        Outputs([f"{tmp_path}/{{stream}}.mp4"], streams(name, "x"))


@pytest.mark.parametrize("address", ["frames/a.png", "frames/%d-%d.png"])
def test_pictures_need_one_number(address: str) -> None:
    with pytest.raises(UsageError, match="needs one frame number, as in"):
        open_sink(address)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (["{}/a.mp4", "{}/a.mp4"], "given twice"),
        (["{}/a.mp4", "{}/x/../a.mp4"], r"would write .*a\.mp4, the file of output"),
        (["{}/{{stream}}.jsonl", "{}/a.jsonl"], r"would write .*a\.jsonl, the file of output"),
    ],
)
def test_outputs_that_share_a_file_are_refused(tmp_path: Path, outputs: list[str], message: str) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(UsageError, match=message):
        Outputs([text.format(tmp_path) for text in outputs], streams("a"))


def test_a_source_is_never_overwritten(tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    source.write_bytes(b"video")
    (tmp_path / "link.mp4").symlink_to(source)
    for name in ("in.mp4", "link.mp4"):
        about = OutputStream(stream_id="in", address=str(source))
        with pytest.raises(UsageError, match=r"the file of source 'in'; name another file"):
            Outputs([tmp_path / name], [about], overwrite=True)
    assert source.read_bytes() == b"video"


@pytest.mark.parametrize("address", ["out.mp4", "out.jsonl", "frames/%04d.png"])
def test_existing_files_need_overwrite(tmp_path: Path, address: str) -> None:
    write_all(open_sink(tmp_path / address, drawn=False, needs=frozenset()), packets(3))
    with pytest.raises(OutputError, match=r"exists already; -y \(overwrite\) replaces it") as caught:
        open_sink(tmp_path / address)
    assert isinstance(caught.value, VidgraphError)
    sink = open_sink(tmp_path / address, overwrite=True, drawn=False, needs=frozenset())
    write_all(sink, packets(2))
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    if address == "out.mp4":
        assert len(read_video(tmp_path / address).times) == 2
    elif address == "out.jsonl":
        assert len((tmp_path / address).read_text().splitlines()) == 3
    else:
        assert sorted(path.name for path in written) == ["0000.png", "0001.png"]


def test_folders_are_made_and_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    open_sink(tmp_path / "new" / "deep" / "out.mp4")
    assert (tmp_path / "new" / "deep").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot write .*file/out\.mp4: "):
        open_sink(tmp_path / "file" / "out.mp4")
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(OutputError, match="it is a folder; name a file in it"):
        open_sink(tmp_path / "folder.mp4", overwrite=True)


def test_folders_that_were_made_for_nothing_are_removed(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "there.jsonl").write_text("")
    with pytest.raises(OutputError, match="exists already"):
        Outputs([tmp_path / "new" / "deep" / "out.mp4", tmp_path / "there.jsonl"], streams("s"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old", "there.jsonl"]
    names = ["a/b/out.jsonl", "a/c/out.jsonl", "old/out.jsonl"]
    outputs = Outputs([tmp_path / name for name in names], streams("s"))
    (tmp_path / "a" / "c" / "out.jsonl").write_text("")
    outputs.remove_empty_folders()
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("**/")) == [".", "a", "a/c", "old"]


def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    if os.access(locked, os.W_OK):
        pytest.skip("needs a user whom permissions bind; this one is root")
    with pytest.raises(OutputError, match=r"cannot write .*out\.mp4: permission denied"):
        open_sink(locked / "out.mp4")


def test_parts_are_numbered(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    assert part_path(path, 1) == path
    assert part_path(path, 2).name == "out.part2.mp4"
    assert part_files(path) == []
    for name in ("out.mp4", "out.part10.mp4", "out.part2.mp4", "out.part1.mp4", "out.part02.mp4", "out.part3.mkv"):
        (tmp_path / name).touch()
    assert [part.name for part in part_files(path)] == ["out.part2.mp4", "out.part10.mp4"]


def header(**settings: Any) -> dict[str, Any]:
    return header_record(sources=[SourceInfo("s", "in.mp4")], settings=settings)


def resumed(folder: Path, **settings: Any) -> tuple[Outputs, list[Sink]]:
    """Outputs that go on with ``out.jsonl`` and ``out.mp4``."""
    outputs = Outputs([folder / "out.jsonl", folder / "out.mp4"], streams("s"), resume=True)
    return outputs, outputs.sinks(header=header(**settings), needs=frozenset(), drawn=False)


def test_resume_goes_on_after_the_last_whole_line_with_a_further_part(tmp_path: Path) -> None:
    outputs, sinks = resumed(tmp_path, min_score=0.5)
    assert outputs.resume_after("s") == -1
    for sink in sinks:
        write_all(sink, packets(30))
    lines = tmp_path / "out.jsonl"
    lines.write_bytes(lines.read_bytes()[:-20])
    outputs, sinks = resumed(tmp_path, min_score=0.5)
    assert outputs.resume_after("s") == 28
    for sink in sinks:
        given = packets(40) if sink is sinks[0] else (p for p in packets(40) if p.frame.index > 28)
        write_all(sink, given)
    found = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [record["frame"] for record in found[1:]] == list(range(40))
    assert len(read_video(tmp_path / "out.mp4").times) == 30
    assert read_video(tmp_path / "out.part2.mp4").times == pytest.approx([index / 25 for index in range(10)])


def test_resume_refuses_results_of_other_settings(tmp_path: Path) -> None:
    write_all(resumed(tmp_path, min_score=0.5)[1][0], packets(3))
    before = (tmp_path / "out.jsonl").read_bytes()
    _, sinks = resumed(tmp_path, min_score=0.6)
    with pytest.raises(UsageError, match=r"cannot resume .*other settings: settings\.min_score: 0\.5, now 0\.6"):
        sinks[0].open()
    assert (tmp_path / "out.jsonl").read_bytes() == before


def test_resume_needs_results(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--resume goes on after the last line of results; name their \.jsonl"):
        Outputs([tmp_path / "out.mp4"], streams("s"), resume=True)


def test_several_results_go_on_after_what_all_of_them_have(tmp_path: Path) -> None:
    names = ["one.jsonl", "two.jsonl"]
    for name, count in zip(names, (5, 9), strict=True):
        write_all(open_sink(tmp_path / name, streams=streams("s"), header=header(), needs=frozenset()), packets(count))
    outputs = Outputs([tmp_path / name for name in names], streams("s"), resume=True)
    assert outputs.resume_after("s") == 4
    for sink in outputs.sinks(header=header(), needs=frozenset()):
        write_all(sink, (p for p in packets(12) if p.frame.index > 4))
    for name in names:
        found = [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        assert [record["frame"] for record in found[1:]] == list(range(12))


def test_functions_and_sinks_are_outputs_too(tmp_path: Path) -> None:
    seen: list[FrameResult] = []
    own = open_sink(tmp_path / "out.jsonl")
    outputs = Outputs([seen.append, own], streams("s"))
    assert not outputs.annotated
    called, same = outputs.sinks()
    assert same is own
    assert getattr(called, "reads", None) == {DETECTIONS}
    write_all(called, packets(3))
    assert [result.index for result in seen] == [0, 1, 2]
    assert seen[1].draw().shape == (64, 96, 3)


def test_what_is_no_output_is_refused() -> None:
    with pytest.raises(UsageError, match="an output is an address, a function or a sink, got int"):
        open_sink(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("address", "drawn"), [("out.mp4", True), ("%d.png", True), ("out.jsonl", False), ("-", False)]
)
def test_which_outputs_need_drawing(tmp_path: Path, address: str, drawn: bool) -> None:
    address = address if address == "-" else str(tmp_path / address)
    outputs = Outputs([address])
    assert outputs.annotated is drawn
    (sink,) = outputs.sinks()
    assert (ANNOTATED in getattr(sink, "reads", ())) is drawn
    assert Outputs([sink]).annotated is drawn


def test_an_unknown_preset_is_refused_when_the_outputs_are_checked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown preset 'quick'"):
        open_sink(tmp_path / "out.mp4", preset="quick")

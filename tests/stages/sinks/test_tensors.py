"""Raw tensors as NumPy files: one a frame, whole or not there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from numpy.typing import NDArray
from vidgraph.pipeline.errors import OutputError, UsageError
from vidgraph.pipeline.packet import HELD_FROM, TENSORS, Packet
from vidgraph.pipeline.stage import EndReason, Sink
from vidgraph.pipeline.types.affine import Affine
from vidgraph.pipeline.types.tensors import Tensors
from vidgraph.stages.sinks import tensors as write_tensors
from vidgraph.stages.sinks.addresses import OutputStream
from vidgraph.stages.sinks.registry import Outputs, open_sink
from vidgraph.stages.sinks.tensors import AFFINE, INPUT_SIZE, WriteTensors

from .sinks import frame, write_all

Arrays = dict[str, NDArray[Any]]

ARRAYS: Arrays = {
    "loc": np.arange(12, dtype=np.float32).reshape(1, 3, 4),
    "/model.22/Concat_output_0": np.full((1, 2), 0.5, np.float16),
    "file": np.array([[7]], np.int64),
    "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T[None],
    "nothing": np.zeros((1, 0, 6), np.float32),
}
"""Names that ``numpy.savez`` cannot write, other types, other memory orders, nothing at all."""


def packet(index: int, *, stream: str = "s", arrays: Arrays = ARRAYS) -> Packet:
    tensors = Tensors(arrays, (20, 30), Affine((2.0, 3.0), (4.0, 5.0)))
    return Packet(frame(index, stream=stream)).with_item(TENSORS, tensors)


def read(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_has_every_tensor_as_it_was_and_where_it_lies_in_the_frame(tmp_path: Path) -> None:
    sink = WriteTensors({"s": tmp_path / "new" / "%03d.npz"})
    assert isinstance(sink, Sink)
    write_all(sink, [packet(0), packet(41)])
    assert names_in(tmp_path / "new") == ["000.npz", "041.npz"]
    found = read(tmp_path / "new" / "041.npz")
    assert list(found) == [*ARRAYS, INPUT_SIZE, AFFINE]
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    assert found[INPUT_SIZE].tolist() == [20, 30]
    assert found[AFFINE].tolist() == [[2.0, 3.0], [4.0, 5.0]]


def test_the_same_tensors_make_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_all(WriteTensors({"s": tmp_path / f"{name}%d.npz"}), [packet(0)])
    assert (tmp_path / "a0.npz").read_bytes() == (tmp_path / "b0.npz").read_bytes()


def test_frames_without_tensors_of_their_own_have_no_file(tmp_path: Path) -> None:
    dropped = Packet(frame(1)).dropped("failed")
    write_all(WriteTensors({"s": tmp_path / "%d.npz"}), [packet(0), dropped, packet(2).with_item(HELD_FROM, 0)])
    assert names_in(tmp_path) == ["0.npz"]


def test_overwrite_removes_the_tensors_of_an_earlier_run_only(tmp_path: Path) -> None:
    for name in ("7.npz", "a7.npz", "7.png"):
        (tmp_path / name).write_text("old")
    write_all(WriteTensors({"s": tmp_path / "%d.npz"}, overwrite=True), [packet(0)])
    assert names_in(tmp_path) == ["0.npz", "7.png", "a7.npz"]


def test_a_folder_replaced_just_before_the_end_is_noticed_at_the_end(tmp_path: Path) -> None:
    sink = WriteTensors({"s": tmp_path / "f" / "%d.npz"})
    sink.open()
    sink.write(packet(0))
    (tmp_path / "f").rename(tmp_path / "elsewhere")
    (tmp_path / "f").mkdir()
    sink.write(packet(1))  # so soon after the first that nobody looks
    with pytest.raises(OutputError, match=r"cannot go on with .*: it was removed, renamed or replaced"):
        sink.end_stream("s", EndReason.FINISHED)
    sink.close()


def test_existing_files_need_overwrite(tmp_path: Path) -> None:
    address = f"{tmp_path}/%d.npz"
    write_all(open_sink(address), [packet(0), packet(1)])
    with pytest.raises(OutputError, match=r"0\.npz \(and 1 more\) exists already; -y \(overwrite\) replaces it"):
        open_sink(address)
    write_all(open_sink(address, overwrite=True), [packet(0)])
    assert names_in(tmp_path) == ["0.npz"]


def test_streams_have_files_of_their_own(tmp_path: Path) -> None:
    streams = [OutputStream(stream_id=name) for name in "ab"]
    with pytest.raises(UsageError, match=r"cannot hold 2 streams \(a, b\); put \{stream\} into it"):
        Outputs([f"{tmp_path}/%d.npz"], streams)
    (sink,) = Outputs([f"{tmp_path}/{{stream}}/%d.npz"], streams).sinks()
    write_all(sink, [packet(0, stream="a"), packet(0, stream="b"), packet(1, stream="b")])
    assert (names_in(tmp_path / "a"), names_in(tmp_path / "b")) == (["0.npz"], ["0.npz", "1.npz"])


def test_one_frame_needs_no_number_and_several_do(tmp_path: Path) -> None:
    address = str(tmp_path / "out.npz")
    one, many = OutputStream(stream_id="s", frames=1), OutputStream(stream_id="s", frames=2)
    for streams in ([many], [OutputStream(stream_id="s")]):
        with pytest.raises(UsageError, match=r"needs one frame number, as in .*out-%06d\.npz"):
            Outputs([address], streams)
    (sink,) = Outputs([address], [one]).sinks()
    write_all(sink, [packet(0)])
    assert names_in(tmp_path) == ["out.npz"]
    with pytest.raises(OutputError, match="exists already"):
        Outputs([address], [one])
    with pytest.raises(OutputError, match=r"out\.npz holds one frame, and there are more; put a number into its name"):
        write_all(Outputs([address], [one], overwrite=True).sinks()[0], [packet(0), packet(1)])


def test_a_failed_write_is_one_line_and_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, arrays: Arrays) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write_tensors, "save_npz", fail)
    with pytest.raises(
        OutputError, match=r"cannot write .*0\.npz: the disk is full; the tensors written before are whole"
    ):
        write_all(WriteTensors({"s": tmp_path / "%d.npz"}), [packet(0)])
    assert names_in(tmp_path) == []


# Writes files until its own death, which a timer brings in the midst of one.
WRITER = """
import signal, sys, threading, os
import numpy as np
from pathlib import Path
from vidgraph.stages.sinks.tensors import WriteTensors
from tests.stages.sinks.test_tensors import packet

sink = WriteTensors({"s": Path(sys.argv[1]) / "%d.npz"})
sink.open()
arrays = {f"tensor {n}": np.full((1, 300, 300), n, np.float32) for n in range(8)}
threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
for index in range(10**6):
    sink.write(packet(index % 50, arrays=arrays))
"""


def test_a_kill_leaves_whole_files_only(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[3]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])}
    ended = subprocess.run([sys.executable, "-c", WRITER, str(tmp_path)], env=environment, timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL
    written = list(tmp_path.glob("*.npz"))
    assert written
    for path in written:
        with ZipFile(path) as archive:
            assert archive.testzip() is None
        assert len(read(path)) == 10

"""Results files that announce what is not there, or hold what does not fit: one line of refusal, and little memory."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vidgraph
from vidgraph.pipeline import limits
from vidgraph.pipeline.errors import ResultsError, VidgraphError
from vidgraph.pipeline.results.convert import CONVERTERS, convert
from vidgraph.pipeline.results.reader import read_results, results_end
from vidgraph.pipeline.types.masks import Masks
from vidgraph.pipeline.types.rle import box_of_runs, decode_runs, runs_of_rle

from ...bounds import peak_mib
from ...conftest import Command

HEADER: dict[str, Any] = {
    "format": "vidgraph.results/1",
    "models": [{"name": "m", "classes": ["a", "b"], "points": ["p"], "panoptic": True}],
    "sources": [{"stream": "s"}],
    "settings": {},
    "versions": {},
}
MASK = {"size": [4, 6], "counts": [2, 3, 19]}
OBJECT = {
    "class": "a",
    "class_id": 0,
    "score": 0.5,
    "box": [0, 0, 3, 3],
    "track": 1,
    "points": [[1, 2, 1]],
    "mask": MASK,
}
SEGMENT = {"id": 1, "class": "b", "class_id": 1, "is_thing": False, "area": 3, "mask": MASK}
FRAME: dict[str, Any] = {"stream": "s", "frame": 0, "time_s": 0.0, "epoch": 0, "size": [6, 4]}
NOT_NUMBERS: list[Any] = [None, "1", [], {}, float("nan"), float("inf"), 10**400]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a results file of these frames; texts are lines as they are."""

    def lines(*frames: dict[str, Any] | str, header: dict[str, Any] = HEADER) -> Path:
        texts = [one if isinstance(one, str) else json.dumps(one) for one in (header, *frames)]
        path = tmp_path / "r.jsonl"
        path.write_text("\n".join(texts) + "\n", "utf-8", errors="surrogatepass")
        return path

    return lines


def read_all(path: Path) -> None:
    """Everything that can be made of a file."""
    for record in read_results(path):
        list(record.detections)
        assert record.landmarks is not None
        assert record.panoptic is None or record.panoptic.segments


def refused_by_all(path: Path, says: str) -> None:
    """Reading and every conversion refuse it with one line that has ``says``."""
    for action in (read_all, *(lambda given, to=to: convert(given, to) for to in CONVERTERS)):
        with pytest.raises(VidgraphError, match=says) as caught:
            action(path)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 1000
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_what_is_whole_is_read(write: Callable[..., Path]) -> None:
    path = write(FRAME | {"objects": [OBJECT]}, FRAME | {"frame": 1, "segments": [SEGMENT]})
    first, second = read_results(path)
    np.testing.assert_array_equal(first.detections.boxes, [[0, 0, 3, 3]])
    assert first.landmarks.points.tolist() == [[[1, 2]]]
    assert second.panoptic is not None
    assert second.panoptic.segment_ids.sum() == 3


@pytest.mark.parametrize("wrong", NOT_NUMBERS)
@pytest.mark.parametrize("place", ["score", "track", "class_id", "box", "points"])
def test_an_object_of_other_types_is_refused(write: Callable[..., Path], place: str, wrong: Any) -> None:
    values = {"box": [0, 0, wrong, 3], "points": [[1, wrong, 1]]}
    path = write(FRAME | {"objects": [OBJECT | {place: values.get(place, wrong)}]})
    refused_by_all(path, "line 2: ")


@pytest.mark.parametrize(
    "change",
    [
        {"class": 5}, {"class": None}, {"class_id": 2}, {"class_id": -1}, {"class_id": 1.5}, {"class_id": 300_000_000},
        {"track": -2}, {"track": 2**31}, {"track": 0.5}, {"score": 1e39}, {"box": "0123"}, {"box": {"a": 1}},
        {"box": 5},
        {"points": 5}, {"points": ["abc"]}, {"points": [[1, 2]]}, {"mask": None}, {"mask": []},
        {"mask": {"size": [4, 6]}},
        {"mask": {"counts": "0"}}, {"mask": {"size": [6, 4], "counts": [24]}}, {"mask": {"size": 5, "counts": [24]}},
        {"mask": {"size": [4, 6], "counts": [25]}}, {"mask": {"size": [4, 6], "counts": [-1, 25]}},
        {"mask": {"size": [4, 6], "counts": ["24"]}}, {"mask": {"size": [4, 6], "counts": [24.0]}},
        {"mask": {"size": [4, 6], "counts": [2**63 - 1, 2**63 - 1, 26]}}, {"mask": {"size": [4, 6], "counts": "~~~"}},
        {"mask": {"size": [4, 6], "counts": "é"}}, {"mask": {"size": [4, 6], "counts": None}},
    ],
)  # fmt: skip
def test_a_damaged_object_is_refused(write: Callable[..., Path], change: dict[str, Any]) -> None:
    refused_by_all(write(FRAME | {"objects": [OBJECT | change]}), "line 2: ")


@pytest.mark.parametrize("wrong", [[[1], [2, 3]], [10**400, 0.5], 2**70])
def test_a_damaged_column_is_refused(write: Callable[..., Path], wrong: Any) -> None:
    path = write(FRAME | {"objects": [OBJECT | {"further": wrong}]})
    with pytest.raises(ResultsError, match=r"line 2: damaged objects \(further has "):
        print(next(iter(read_results(path))).detections)


def test_further_fields_are_columns_where_all_objects_have_them_and_others_are_left_out(
    write: Callable[..., Path],
) -> None:
    further = {
        "mood": "calm",
        "worn": True,
        "count": 3,
        "angle": 0.5,
        "mixed": [1, "a"],
        "made": {"by": "x"},
        "no": None,
    }
    one = OBJECT | further
    frame = next(iter(read_results(write(FRAME | {"objects": [one | {"alone": 1}, one]}))))
    assert {name: column.tolist() for name, column in frame.detections.data.items()} == {
        "mood": ["calm"] * 2, "worn": [True] * 2, "count": [3] * 2, "angle": [0.5] * 2,
    }  # fmt: skip
    assert [column.dtype.kind for column in frame.detections.data.values()] == ["U", "b", "i", "f"]


@pytest.mark.parametrize(
    "change",
    [
        {"id": 0}, {"id": "1"}, {"id": 2**31}, {"class_id": 65536}, {"class": 5}, {"area": -1}, {"area": "3"},
        {"score": "x"},
        {"track": "1"}, {"mask": 5}, {"mask": {"size": [4, 6], "counts": [2, 3, 18]}},
    ],
)  # fmt: skip
def test_a_damaged_segment_is_refused(write: Callable[..., Path], change: dict[str, Any]) -> None:
    path = write(FRAME | {"segments": [SEGMENT | change]})
    with pytest.raises(ResultsError, match="line 2: damaged segments"):
        read_all(path)
    if not change.keys() <= {"id", "area"}:  # which no other format has
        with pytest.raises(ResultsError, match="line 2: damaged"):
            convert(path, "coco")


@pytest.mark.parametrize(
    "change",
    [
        {"stream": 5}, {"frame": -1}, {"frame": True}, {"frame": "0"}, {"frame": 1.0}, {"frame": 10**30},
        {"time_s": "0"},
        {"time_s": True}, {"time_s": 1e300}, {"time_s": None}, {"epoch": -1}, {"epoch": None}, {"size": [6]},
        {"size": [6, -4]}, {"size": [6, 4.0]}, {"size": "64"}, {"size": [10**9, 10**9]}, {"objects": {}},
        {"objects": [5]}, {"objects": "ab"}, {"segments": 5}, {"segments": ["a"]}, {"captured_at": 5},
        {"held_from": "a"},
        {"key_frame": -1}, {"dropped": 1}, {"damaged": "no"},
    ],
)  # fmt: skip
def test_a_damaged_frame_is_refused(write: Callable[..., Path], change: dict[str, Any]) -> None:
    refused_by_all(write(FRAME | change), "line 2: ")


@pytest.mark.parametrize(
    "line",
    [
        '{"stream": NaN}', "[" * 100_000, '{"a":' * 100_000, "\udcff", "\x00",
        '{"stream": 1' + "0" * 5000 + "}", "5", "[]",
    ],
    ids=["nan", "deep lists", "deep objects", "no UTF-8", "NUL", "a long number", "a number", "a list"],
)  # fmt: skip
def test_a_line_that_is_no_frame_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes((json.dumps(HEADER) + "\n").encode() + line.encode("utf-8", "surrogateescape") + b"\n")
    refused_by_all(path, "line 2: not ")


@pytest.mark.parametrize(
    "change",
    [
        {"models": 5}, {"models": [5]}, {"models": [{"name": 5}]}, {"models": [{"name": "m", "classes": "ab"}]},
        {"models": [{"name": "m", "classes": [5]}]}, {"models": [{"name": "m", "points": 5}]}, {"sources": None},
        {"sources": [{"stream": None}]}, {"settings": []},
    ],
)  # fmt: skip
def test_a_damaged_header_is_refused(write: Callable[..., Path], change: dict[str, Any]) -> None:
    refused_by_all(write(FRAME, header=HEADER | change), "line 1: the header is damaged: it must have models")


def test_a_header_that_is_nested_too_deeply_says_so(write: Callable[..., Path]) -> None:
    nested = {"settings": {"a": [[[[]]]] * 2, "b": json.loads("[" * 99 + "]" * 99)}}
    path = write(FRAME, header=HEADER | nested)
    refused_by_all(path, "line 1: the header is damaged: lists or objects are nested too deeply")
    path.write_text("[" * 100_000 + "\n", "utf-8")
    refused_by_all(path, r"its first line is no header \(lists or objects are nested too deeply\)")


def test_a_byte_order_mark_and_other_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes("\ufeff".encode() + "\r\n".join(map(json.dumps, (HEADER, FRAME, FRAME))).encode())
    assert len(list(read_results(path))) == 2


@pytest.mark.parametrize("ends", ["", "\n"])
def test_a_line_without_end_is_not_read_into_memory(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    monkeypatch.setattr("vidgraph.pipeline.results.reader.MAX_LINE_BYTES", 100_000)
    path = write(FRAME)
    with path.open("a") as file:
        file.write('{"stream":"' + "x" * 1_000_000 + ends)
    with pytest.raises(ResultsError, match="is longer than"):
        list(read_results(path))
    with pytest.raises(ResultsError, match="is longer than"):
        results_end(path)


def test_masks_that_fill_many_frames_are_refused(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidgraph.pipeline.types.masks.MAX_MASK_BYTES", 1000)
    full = {"size": [64, 64], "counts": [0, 4096]}
    size = {"size": [64, 64]}
    read_all(write(FRAME | size | {"objects": [OBJECT | {"mask": full}]}))
    with pytest.raises(ResultsError, match="the masks of one frame take more than"):
        read_all(write(FRAME | size | {"objects": [OBJECT | {"mask": full}] * 2}))


@pytest.mark.parametrize("action", ["csv", "coco", "youtube-vis", "detections"])
def test_a_frame_that_no_memory_holds_is_refused(
    write: Callable[..., Path], command: Command, tmp_path: Path, action: str
) -> None:
    """By default at 8192x8192; a limit that is raised is the caller's."""
    side = 200_000
    path = write(
        FRAME | {"size": [side, side], "objects": [OBJECT | {"mask": {"size": [side, side], "counts": [0, side**2]}}]}
    )
    if action == "detections":
        with pytest.raises(ResultsError, match="line 2: its frame is 200000x200000, larger than 67108864 pixels"):
            list(read_results(path))
        return
    code, said, peak = peak_mib(tmp_path, command.environment, "convert", path, "--to", action)
    assert code == 1
    assert said.count("\n") == 0
    assert "its frame is 200000x200000" in said
    assert peak < 200
    convert(path, action, max_pixels=side**2)


def test_max_pixels_is_the_callers(write: Callable[..., Path]) -> None:
    path = write(FRAME | {"objects": [OBJECT]})
    assert len(list(vidgraph.read_results(path, max_pixels=24))) == 1
    with pytest.raises(ResultsError, match="larger than 23 pixels"):
        list(vidgraph.read_results(path, max_pixels=23))
    assert results_end(path).last_frame == {"s": 0}  # frames are only counted


def test_classes_without_a_header_have_a_limit(write: Callable[..., Path]) -> None:
    header = HEADER | {"models": [{"name": "m"}]}
    plain = {name: value for name, value in OBJECT.items() if name != "points"}
    (record,) = read_results(write(FRAME | {"objects": [plain | {"class_id": 7}]}, header=header))
    assert record.detections.class_names == ("?",) * 7 + ("a",)
    refused_by_all(
        write(FRAME | {"objects": [plain | {"class_id": limits.MAX_CLASSES}]}, header=header), "it must be below 65536"
    )


@pytest.mark.parametrize("name", ["classid_bomb", "size_bomb", "525_ytvis", "787_coco", "318_draw"])
def test_files_that_were_met(shared: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(shared(f"cases/hostile/results_{name}.jsonl").read_bytes())
    refused_by_all(path, r"line \d+: ")


def test_long_codes_are_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    full = rng.random((1, 90, 70)) < 0.5
    text = Masks.from_full(full).rle(0)["counts"]
    whole = decode_runs(text)
    monkeypatch.setattr("vidgraph.pipeline.types.rle._BLOCK", 64)
    np.testing.assert_array_equal(decode_runs(text), whole)
    with pytest.raises(ValueError, match="more than 13 groups"):
        decode_runs("`" * 1000 + "0")
    started = time.perf_counter()
    with pytest.raises(ValueError, match="more than 13 groups"):
        decode_runs("`" * 10_000_000 + "0")
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize("seed", range(20))
def test_the_box_of_runs_is_that_of_the_mask(seed: int) -> None:
    rng = np.random.default_rng(seed)
    full = np.zeros((1, 13, 11), np.bool_)
    y1, x1 = rng.integers(0, 10, 2)
    full[0, y1 : y1 + rng.integers(0, 14), x1 : x1 + rng.integers(0, 5)] = True
    full[0] &= rng.random((13, 11)) < 0.7
    masks = Masks.from_full(full)
    runs = runs_of_rle(masks.rle(0)["counts"], (13, 11))
    assert list(box_of_runs(runs, 13)) == masks.boxes[0].tolist()

"""Columns of detections in results: what is written is read back, and what cannot be is refused by name."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from vidgraph import DETECTIONS, Detections, Graph, Packet, read_results
from vidgraph.pipeline.errors import OutputError, ResultsError
from vidgraph.pipeline.results.convert import CONVERTERS, CSV_COLUMNS, convert
from vidgraph.pipeline.results.format import frame_record, header_record
from vidgraph.pipeline.results.result_types import RESULT_TYPES
from vidgraph.pipeline.types.detections import OBJECT_FIELDS, RESERVED_NAMES, is_column_name
from vidgraph.stages.sinks.registry import open_sink
from vidgraph.stages.sources.registry import open_source

FLOATS = np.array([0.1, -1 / 3, 1e-40, 3.4e38, 16777217, -0.0])
RNG = np.random.default_rng(0)


@pytest.fixture
def with_columns(samples: Any, write_results: Callable[..., Path]) -> Callable[..., Path]:
    """Writes the results of one frame with these columns; ``changed`` of its line replace texts in it."""

    def write(count: int = 1, changed: tuple[str, str] = ("", ""), **data: NDArray[Any]) -> Path:
        found = replace(samples.detections(count, masks=False), data=data)
        path = write_results([Packet(samples.frame(0)).with_item(DETECTIONS, found)])
        path.write_text(path.read_text("utf-8").replace(*changed), "utf-8")
        return path

    return write


def read_back(path: Path) -> dict[str, NDArray[Any]]:
    return dict(next(iter(read_results(path))).detections.data)


@pytest.mark.parametrize(
    ("column", "dtype"),
    [
        (np.array([1e300, -5e-324, np.nextafter(1, 2)]), np.float64),
        (RNG.normal(size=(3, 400)), np.float64),
        (FLOATS.astype(np.float32).reshape(3, 2), np.float64),
        (RNG.normal(size=(3, 400)).astype(np.float32), np.float64),
        (np.nan_to_num(RNG.integers(0, 2**32, (3, 400), np.uint32).view(np.float32)), np.float64),
        (np.array([0.1, 65504, 6e-8], np.float16), np.float64),
        (np.array([1.0, 2.0, 3.0], np.float32), np.float64),  # whole numbers too
        (np.array([-(2**63), 0, 2**63 - 1]), np.int64),
        (np.array([[-(2**31)], [0], [2**31 - 1]], np.int32), np.int64),
        (np.array([0, 1, 2**32 - 1], np.uint32), np.int64),
        (np.array([0, 1, 255], np.uint8), np.int64),
        (np.array([[True, False]] * 3), np.bool_),
        (np.array(["a", "=b", "\ud800 é"]), np.dtype("U3")),
        (np.zeros((3, 2, 0)), np.float64),
    ],
)
def test_every_value_is_read_back(with_columns: Callable[..., Path], column: NDArray[Any], dtype: Any) -> None:
    read = read_back(with_columns(3, v=column))["v"]
    assert read.dtype == dtype
    assert read.shape == column.shape
    np.testing.assert_array_equal(read.astype(column.dtype), column)
    if column.dtype.kind == "f":
        np.testing.assert_array_equal(np.signbit(read), np.signbit(column))  # minus zero too


def test_floats_are_written_with_their_shortest_text(with_columns: Callable[..., Path]) -> None:
    path = with_columns(single=np.array([0.1], np.float32), double=np.array([0.1 + 0.2]))
    assert '"single":0.1,"double":0.30000000000000004}' in path.read_text("utf-8")


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_what_no_number_is_ends_a_run_by_name(samples: Any, tmp_path: Path, wrong: float, dtype: Any) -> None:
    found = replace(samples.detections(1), data={"good": np.zeros(1), "depth": np.array([[1, wrong]], dtype)})

    def detect(packet: Packet) -> Packet:
        return packet.with_item(DETECTIONS, found)

    detect.creates = frozenset({DETECTIONS})  # type: ignore[attr-defined]
    sink = open_sink(tmp_path / "out.jsonl", header=header_record())
    says = r"frame 0 .*: Detections\.data\['depth'\] has NaN or infinity, which results cannot hold; give such rows"
    with pytest.raises(OutputError, match=says) as caught:
        Graph(open_source("synth:street", frames=1), [detect], [sink]).run()
    assert "\n" not in str(caught.value)


def test_names_that_are_taken_are_reserved(samples: Any, write_results: Callable[..., Path]) -> None:
    path = write_results([samples.packet(3)])
    annotations = json.loads(convert(path, "coco-results").read_text("utf-8"))
    header = convert(path, "csv").read_text("utf-8").splitlines()[0].split(",")
    fields = {name for row in RESULT_TYPES.values() if row.field == "objects" for name in row.schema["properties"]}
    segments = {"id", "class", "class_id", "is_thing", "area", "mask", "score", "track"}
    assert fields | {"model"} == OBJECT_FIELDS
    for taken in (OBJECT_FIELDS, segments, CSV_COLUMNS, {"class_name"}, set().union(*annotations)):
        assert set(taken) <= RESERVED_NAMES
    assert header[-1] == "p5_score"
    assert not any(map(is_column_name, header))


FOREIGN = {"id": 7, "image_id": 9, "frame": 5, "x1": 1, "p1_x": 0.5, "class_name": "z", "": 1, "=2+3": 1, "a b": 1}


def test_fields_that_no_column_can_have_are_left_out(with_columns: Callable[..., Path]) -> None:
    further = FOREIGN | {"null": None, "made": {"by": "x"}, "mixed": [1, "a"]}
    path = with_columns(v=np.array([[1, 2]]), v_1=np.array([3]), changed=('"v":', json.dumps(further)[1:-1] + ',"v":'))
    assert read_back(path).keys() == {"v", "v_1"}
    (annotation,) = json.loads(convert(path, "coco-results").read_text("utf-8"))
    assert (annotation["id"], annotation["image_id"], annotation["v"], annotation["v_1"]) == (1, 1, [1, 2], 3)
    assert annotation.keys() - RESERVED_NAMES == {"v", "v_1"}
    with convert(path, "csv").open(newline="", encoding="utf-8") as file:
        header, row = csv.reader(file)
    assert len(header) == len(set(header)) == len(row)
    assert (header[-3:], row[-3:]) == (["v.1", "v.2", "v_1"], ["1", "2", "3"])


def test_the_schema_refuses_reserved_names(samples: Any) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="checking the schema needs jsonschema")
    from vidgraph import results_schema

    record = frame_record(samples.packet(1))
    jsonschema.validate(record, results_schema())
    record["objects"][0]["bbox"] = [1, 2, 3, 4]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(record, results_schema())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1e400", "a number that is too large"),
        ("[-1e400, 1]", "a number that is too large"),
        (str(2**63), "a number that is too large"),
        (str(-(2**63) - 1), "a number that is too large"),
        (f"[0.5, 1{'0' * 400}]", "a number that is too large"),
        ("[" * 70 + "1" + "]" * 70, "lists that are nested too deeply"),
        ("[" * 300 + "]" * 300, "lists that are nested too deeply"),
    ],
)
def test_a_damaged_cell_is_refused_by_all(with_columns: Callable[..., Path], text: str, says: str) -> None:
    path = with_columns(v=np.array([12345]), changed=("12345", text))
    for action in (read_back, *(lambda given, to=to: convert(given, to) for to in CONVERTERS if to != "youtube-vis")):
        with pytest.raises(ResultsError, match=rf"line 2: damaged objects \(v has {says}\)"):
            action(path)


def test_lists_are_nested_as_deeply_as_an_array_can_be(with_columns: Callable[..., Path]) -> None:
    path = with_columns(v=np.array([12345]), changed=("12345", "[" * 63 + "1" + "]" * 63))
    assert read_back(path)["v"].shape == (1,) * 64
    path = with_columns(2, v=np.array([12345, 6]), changed=("12345", "[6]"))
    with pytest.raises(ResultsError, match=r"line 2: damaged objects \(v has lists of different lengths\)"):
        read_back(path)


def test_texts_that_no_memory_holds_are_refused(with_columns: Callable[..., Path]) -> None:
    path = with_columns(3, v=np.array(["calm", "a", "b"]), changed=('"calm"', '"' + "x" * 2**24 + '"'))
    with pytest.raises(ResultsError, match=r"line 2: damaged objects \(v has texts that take more than 128 MiB as an"):
        read_back(path)


@pytest.mark.parametrize("place", ["class", "stream", "column"])
def test_half_a_surrogate_pair_is_one_line(with_columns: Callable[..., Path], place: str) -> None:
    changed = {"class": ('"face"', '"\\ud800"'), "stream": ('"in"', '"\\udbff"'), "column": ("calm", "\\udc00")}[place]
    path = with_columns(mood=np.array(["calm"]), changed=changed)
    with pytest.raises(ResultsError, match=r"holds what cannot be written: .* surrogates not allowed") as caught:
        convert(path, "csv")
    assert "\n" not in str(caught.value)
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    assert convert(path, "coco").is_file()


def test_detections_without_rows_have_no_columns_in_a_file(with_columns: Callable[..., Path]) -> None:
    assert read_back(with_columns(0, v=np.zeros(0))) == {}
    assert isinstance(Detections.empty(("face",)).data, dict)

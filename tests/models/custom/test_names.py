"""Names of classes: in a file's metadata, in files of labels, given twice, and why they cannot be used."""

from __future__ import annotations

import codecs
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.models import load_model
from vidgraph.models.class_names import names_from_file
from vidgraph.models.custom.check import check
from vidgraph.models.custom.inspect import inspect_model
from vidgraph.models.custom.template import write_template
from vidgraph.models.custom.toml_file import from_toml
from vidgraph.models.custom.ultralytics import from_metadata
from vidgraph.pipeline.errors import UsageError

from .planted import picture, write_network

SIZE = (64, 64)
AWKWARD = ("traffic light", 'a "b", c', "d'e", "Straße", "猫", "🦊", "x\\y", "{0}", "[1]")


def table(classes: int = 2) -> np.ndarray:
    """One object of the last class; one of class 0 elsewhere."""
    rows = np.zeros((1, 4 + classes, 84), np.float32)
    rows[0, :4, 5], rows[0, 3 + classes, 5] = (32, 32, 16, 8), 0.875
    rows[0, :4, 6], rows[0, 4, 6] = (8, 8, 8, 8), 0.75
    return rows


def network(folder: Path, names: str | None, classes: int = 2, **more: str) -> Path:
    metadata = {"author": "Ultralytics", "stride": "32", "task": "detect"} | more
    return write_network(
        folder / "my.onnx", {"output0": table(classes)}, size=SIZE,
        metadata=metadata | ({} if names is None else {"names": names}),
    )  # fmt: skip


@pytest.mark.parametrize(
    "names",
    [
        '{"0": "person", "1": "traffic light"}',
        "{'0': 'person', '1': 'traffic light'}",
        "{1: 'traffic light', 0: 'person'}",
        "{0: 'person', '1': 'traffic light'}",
        "['person', 'traffic light']",
        '["person", "traffic light"]',
        "('person', 'traffic light')",
        ' {"1": "traffic light",\n "0": "person"} ',
    ],
)
def test_names_are_read_as_they_are_written(names: str, tmp_path: Path) -> None:
    with load_model(str(network(tmp_path, names))) as model:
        assert model.class_names == ("person", "traffic light")
        assert [row.class_name for row in model(picture(SIZE)).detections] == ["traffic light", "person"]


@pytest.mark.parametrize("write", [str, json.dumps, lambda names: json.dumps(names, ensure_ascii=False)])
def test_any_text_is_a_name(write: Callable[[Any], str]) -> None:
    for names in (list(AWKWARD), dict(enumerate(AWKWARD)), {str(n): name for n, name in enumerate(AWKWARD)}):
        assert from_metadata({"stride": "32", "names": write(names)}).classes == AWKWARD
    assert from_metadata({"stride": "32", "names": "{0: 0, 1: 1.5}"}).classes == ("0", "1.5")


PROBLEMS = [
    ("{0: 'a', 2: 'b'}", "class 1 has no name"),
    ("{1: 'a', 2: 'b'}", "it counts the classes from 1, the outputs from 0"),
    ('{"1": "a", "2": "b"}', "it counts the classes from 1, the outputs from 0"),
    ("{0: 'a', '0': 'b'}", "class 0 has two names"),
    ("{'a': 0, 'b': 1}", "'a' is no class id"),
    ("{True: 'a', 0: 'b'}", "True is no class id"),
    ("{0: 'a', 99999999999: 'b'}", "class 1 has no name"),
    ("{0: 'a', 1: ['b', 'c']}", "the name of class 1 is no text"),
    ('["a", null]', "the name of class 1 is no text, but None"),
    (r'["a", "\ud83d"]', "the name of class 1 has characters that cannot be written"),
    ("{0: 'a'", "\"{0: 'a'\" is neither a Python literal nor JSON"),
    ("person, car", "'person, car' is neither a Python literal nor JSON"),
    ("", "'' is neither a Python literal nor JSON"),
    ("[]", "it names nothing"),
    ("7", "it is neither a list of names nor a mapping"),
    ("[" * 5000, "is neither a Python literal nor JSON"),
]


@pytest.mark.parametrize(("names", "problem"), PROBLEMS, ids=range(len(PROBLEMS)))
def test_names_that_cannot_be_used_are_said_to_be_so(
    names: str, problem: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = network(tmp_path, names)
    with caplog.at_level(logging.WARNING, "vidgraph"), load_model(str(path)) as model:
        assert model.class_names == ("class 0", "class 1")
    (line,) = caplog.messages
    assert line.startswith("my.onnx has no names of classes: the file's metadata 'names' cannot be used: ")
    assert problem in line
    assert "\n" not in line
    checked = check(path, engine="openvino", runs=1).text()
    assert "nothing names them" not in checked
    assert "2: class 0, class 1 (numbered: the file's metadata 'names' cannot be used: " in checked
    assert problem in checked
    caplog.clear()
    with caplog.at_level(logging.WARNING, "vidgraph"), load_model(str(path), labels=["a", "b"]) as model:
        assert model.class_names == ("a", "b")
    assert not caplog.records


def test_a_problem_is_named_where_names_are_needed(tmp_path: Path) -> None:
    metadata = {"author": "Ultralytics", "names": "{1: 'a', 2: 'b'}", "end2end": "True", "task": "detect"}
    outputs = {"output0": np.zeros((1, 50, 6), np.float32)}
    path = write_network(tmp_path / "my.onnx", outputs, size=SIZE, metadata=metadata)
    with pytest.raises(UsageError, match=r"do not say how many classes there are \(.*from 1, the outputs from 0\)"):
        inspect_model(path)
    assert "# ? classes" in write_template(network(tmp_path, "{1: 'a', 2: 'b'}"))[0].read_text()


def test_names_without_anything_else_of_the_exporter_are_names_too(tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", {"o": table()}, size=SIZE, metadata={"names": "['a', 'b']"})
    custom = inspect_model(path)
    assert custom.class_names == ("a", "b")
    assert custom.about.sources["input.fit"] == "assumed, as is usual for yolo"


def test_two_classes_of_one_name_are_both_meant(tmp_path: Path) -> None:
    path = network(tmp_path, "['car', 'bus', 'car']", classes=3)
    for classes, found in ((["car"], [2, 0]), (["car", "2"], [2, 0]), ([2], [2]), (["bus"], []), (None, [2, 0])):
        with load_model(str(path), classes=classes) as model:
            assert model(picture(SIZE)).detections.class_ids.tolist() == found
    with pytest.raises(UsageError, match="has no class '²'"):
        load_model(str(path), classes=["²"])


LABELS = {
    "plain": b"cat\ndog\n",
    "byte-order mark": codecs.BOM_UTF8 + b"cat\ndog",
    "utf-16": "cat\ndog\n".encode("utf-16"),
    "utf-16, big end first": codecs.BOM_UTF16_BE + "cat\r\ndog".encode("utf-16-be"),
    "utf-32": "cat\ndog\n".encode("utf-32"),
    "of Windows": b"cat\r\ndog\r\n",
    "of old Macs": b"cat\rdog\r",
    "blank lines": b"\n cat \n\n\tdog\n \n\n",
    "0: name": b"0: cat\n1: dog\n",
    "0 name": b"0 cat\n1 dog\n",
    "0,name": b"0,cat\r\n1,dog\r\n",
    "name by number, not in order": b"1: dog\n0: cat\n",
    "a list of JSON": b'["cat",\n "dog"]\n',
    "a mapping of JSON": codecs.BOM_UTF8 + b'{"1": "dog", "0": "cat"}',
}


@pytest.mark.parametrize("kind", LABELS)
def test_files_of_labels(kind: str, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_bytes(LABELS[kind])
    path = network(tmp_path, None)
    with load_model(str(path), labels=tmp_path / "names.txt") as model:
        assert model.class_names == ("cat", "dog")
    path.with_suffix(".toml").write_bytes(codecs.BOM_UTF8 + b'classes = "names.txt"\r\n')
    assert inspect_model(path).class_names == ("cat", "dog")


def test_a_file_of_labels_of_the_command(tmp_path: Path, vidgraph: Any, shared: Callable[[str], Path]) -> None:
    ended = vidgraph(
        "check", str(shared("cases/nometa.onnx")), "--labels", str(shared("cases/bom.txt")), "--engine", "openvino"
    )
    assert ended.code == 0
    assert "2: cat, dog (the labels given)" in ended.out


@pytest.mark.parametrize("names", [b"3 series\n5 series\n", b"0 euro\ncat\n", b"1 euro\n", b"[a\nb\n", b"a: b\nc\n"])
def test_numbers_and_brackets_may_be_of_a_name(names: bytes, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_bytes(names)
    assert names_from_file(tmp_path / "names.txt") == tuple(names.decode().splitlines())


WRONG = {
    "latin-1": ("Straße\n".encode("latin-1"), r"it is not UTF-8 \(at byte 4\); save it as UTF-8"),
    "utf-16 without a mark": ("cat\ndog".encode("utf-16-le"), r"it is no text \(a byte is 0\)"),
    "cut utf-16": (codecs.BOM_UTF16_LE + b"c", r"it is not UTF-16"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "it is no text"),
    "empty": (b"", "it names nothing"),
    "nothing but a mark": (codecs.BOM_UTF8, "it names nothing"),
    "a comment": (b"# mine\ncat\n", "line 1 is a comment, '# mine'"),
    "YAML": (b"names:\n  0: cat\n  1: dog\n", "line 1, 'names:', is of YAML"),
    "a list of YAML": (b"- cat\n- dog\n", "line 1, '- cat', is of YAML"),
    "a document of YAML": (b"\n---\nnc: 2\n", "line 1, '---', is of YAML"),
    "from 1": (b"1: cat\n2: dog\n", "it counts the classes from 1, the outputs from 0"),
    "from 1, with blanks": (b"1 cat\n2 dog\n", "it counts the classes from 1"),
    "a gap": (b"0: cat\n2: dog\n", "class 1 has no name"),
    "JSON that ends early": (b'["cat", "dog"\n]]', r"it is no JSON, though it begins with '\['"),
    "deep JSON": (b"[" * 40000 + b"]" * 40000, "it is no JSON"),
    "JSON of something else": (b'{"names": ["cat"]}', "'names' is no class id"),
    "long": (b"name\n" * (4 << 20), "it has more than 4 MiB"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_files_that_are_no_labels(kind: str, tmp_path: Path) -> None:
    content, why = WRONG[kind]
    (tmp_path / "names.txt").write_bytes(content)
    path = network(tmp_path, None)
    with pytest.raises(UsageError, match=f"cannot read labels '.*names.txt': .*{why}") as caught:
        load_model(str(path), labels=str(tmp_path / "names.txt"))
    assert len(str(caught.value).splitlines()) == 1
    path.with_suffix(".toml").write_text('classes = "names.txt"')
    with pytest.raises(UsageError, match=f"cannot read .*names.txt: .*{why}"):
        inspect_model(path)


def test_as_many_labels_as_classes(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("a\nb\nc\n")
    with pytest.raises(UsageError, match="3 classes are named"):
        load_model(str(network(tmp_path, None)), labels=tmp_path / "names.txt")


def test_a_toml_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_bytes(codecs.BOM_UTF8 + b'head = "yolo"\r\nclasses = ["a"]\r\n')
    about = from_toml(tmp_path / "my.toml")
    assert (about.head, about.classes) == ("yolo", ("a",))
    (tmp_path / "my.toml").write_bytes(b'head = "yolo"\0')
    with pytest.raises(UsageError, match=r"cannot read .*my\.toml: it is no text"):
        from_toml(tmp_path / "my.toml")

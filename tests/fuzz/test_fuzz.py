"""A minute of damaged inputs of every kind, and that the machinery finds what it looks for."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from . import mutate
from .kinds import KINDS
from .mutate import Change

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60


@pytest.mark.timeout(600)
def test_a_minute_of_every_kind() -> None:
    """Optional kinds need what they read with: the test extra has it all."""
    for module in ("torch", "onnx", "onnxruntime", "pycocotools"):
        pytest.importorskip(module, reason=f"needs {module} (the extra 'test')")
    command = [sys.executable, "-m", "tests.fuzz", "--seconds", str(SECONDS), "--jobs", "1"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=540, check=False)
    print(ended.stdout)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    counted = dict(re.findall(r"^([a-z]+): (\d+) inputs, ", ended.stdout, re.MULTILINE))
    assert set(counted) == set(KINDS)
    assert sum(map(int, counted.values())) > 100


FAULTY = """
import json, os, pathlib, signal, sys, tempfile, time
sys.path.insert(0, sys.argv[1])
from tests.fuzz import process
process.MOST_SECONDS = 15.0
says = lambda text, code: print(text, file=sys.stderr) or code
faulty = {
    "well": lambda: 0,
    "refused": lambda: says("vidgraph: no such thing", 2),
    "signal": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "hang": lambda: time.sleep(60),
    "exception": lambda: {}["gone"],
    "fault": lambda: says("vidgraph: unexpected KeyError: 1; this is a fault of vidgraph, -v shows where", 1),
    "memory": lambda: len(b"1" * (1050 << 20)) * 0,
    "code": lambda: 7,
    "silent": lambda: 1,
    "control": lambda: says("vidgraph: \x1b[2J", 1),
    "litter": lambda: pathlib.Path("out.mp4.part").write_text("") * 0,
}
with tempfile.TemporaryDirectory() as folder:
    found = {}
    for name, work in faulty.items():
        (pathlib.Path(folder) / name).mkdir()
        found[name] = process.run(work, pathlib.Path(folder) / name).fault()
print(json.dumps(found))
"""


def test_every_fault_is_found() -> None:
    command = [sys.executable, "-c", FAULTY, str(ROOT)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout)
    memory = found.pop("memory")
    assert re.fullmatch(r"1[0-2]\d\d MiB", memory)
    assert found == {
        "well": "",
        "refused": "",
        "signal": "killed by SIGSEGV",
        "hang": "no end within 15 s",
        "exception": "a traceback",
        "fault": "vidgraph: unexpected KeyError: 1; this is a fault of vidgraph, -v shows where",
        "code": "exit code 7",
        "silent": "exit code 1 without a line that says why",
        "control": "control characters on standard error",
        "litter": "left behind: out.mp4.part",
    }


def box(kind: bytes, content: bytes) -> bytes:
    """A box of an MP4 file."""
    return (len(content) + 8).to_bytes(4, "big") + kind + content


DOCUMENT = json.dumps({"a": [1, 2, {"b": "c"}], "d": None}).encode()
STRUCTURED: list[tuple[Change, bytes, Callable[[bytes], Any]]] = [
    (mutate.json_text, DOCUMENT, json.loads),
    (mutate.json_lines, b"\n".join([DOCUMENT] * 3), lambda data: [json.loads(line) for line in data.splitlines()]),
    (mutate.mp4_boxes, box(b"moov", box(b"trak", b"abcdefgh") + box(b"mvhd", b"12")) + box(b"mdat", b""), mutate.boxes),
    (mutate.protobuf, b"\x0a\x04\x08\x01\x10\x02\x18\x96\x01", mutate.fields),
]  # fmt: skip


@pytest.mark.parametrize(("change", "data", "parse"), STRUCTURED, ids=[row[0].__name__ for row in STRUCTURED])
def test_changes_of_structure_keep_the_rest(change: Change, data: bytes, parse: Callable[[bytes], Any]) -> None:
    """The same seed gives the same bytes; most can still be parsed, and most differ."""
    made = [change(data, random.Random(seed)) for seed in range(200)]
    assert made == [change(data, random.Random(seed)) for seed in range(200)]
    assert sum(other != data for other in made) > 150
    assert len(set(made)) > 40
    assert sum(_parsed(parse, other) for other in made) > 100


def _parsed(parse: Callable[[bytes], Any], data: bytes) -> bool:
    try:
        return bool(parse(data))
    except ValueError:
        return False


@pytest.mark.parametrize("change", [mutate.plain, mutate.cut, mutate.text_lines, mutate.toml_text, mutate.zip_members])
def test_changes_of_bytes(change: Change) -> None:
    data = b"name = [1, 2]\nother = 3\n" * 20
    made = [change(data, random.Random(seed)) for seed in range(100)]
    assert made == [change(data, random.Random(seed)) for seed in range(100)]
    assert len(set(made)) > 60


def test_a_splice_has_both() -> None:
    made = mutate.splice(b"a" * 50, b"b" * 50, random.Random(1))
    assert re.fullmatch(b"a+b+", made)

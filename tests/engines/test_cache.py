"""The cache: found again, whole or not at all, one builder for eight processes, bounded, never in the way."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from vidgraph.engines import cache, open_engine
from vidgraph.engines.cache import cache_limit_bytes, cache_root, cached_file, find_or_build, key_of
from vidgraph.pipeline.errors import UsageError


@pytest.fixture(autouse=True)
def forget_what_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_said", set())
    monkeypatch.setattr(cache, "_temporary", {})


class Builder:
    """Writes ``content`` and counts."""

    def __init__(self, content: bytes = b"content") -> None:
        self.content, self.calls = content, 0

    def __call__(self, path: Path) -> None:
        self.calls += 1
        path.write_bytes(self.content)


def age(path: Path, seconds: float) -> None:
    """Let the entry have been used ``seconds`` ago."""
    then = time.time() - seconds
    os.utime(path.with_name(path.name + ".sha256"), (then, then))


def folder_of(kind: str) -> Path:
    """The folder of a kind of entries, made where it is missing."""
    folder = cache_root() / kind
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_an_entry_is_built_once_and_found_again(own_cache: Path) -> None:
    build = Builder()
    first = cached_file("models", "net-1.onnx", build)
    assert first == own_cache / "models" / "net-1.onnx"
    assert first.read_bytes() == b"content"
    assert cached_file("models", "net-1.onnx", build) == first
    assert build.calls == 1
    assert cached_file("models", "net-2.onnx", build) != first
    assert build.calls == 2


def test_the_builder_is_given_a_file_of_the_same_suffix(own_cache: Path) -> None:
    suffixes = []

    def build(path: Path) -> None:
        suffixes.append(path.suffix)
        path.write_bytes(b"x")

    cached_file("models", "net.onnx", build)
    assert suffixes == [".onnx"]
    assert {path.name for path in (own_cache / "models").iterdir()} == {"net.onnx", "net.onnx.sha256", "net.onnx.lock"}


@pytest.mark.parametrize("key", ["", "../x", "a/b", ".hidden", "a b"])
def test_a_key_is_a_plain_file_name(key: str) -> None:
    with pytest.raises(ValueError, match="plain file name"):
        cached_file("models", key, Builder())


def test_keys_tell_their_parts_apart() -> None:
    assert key_of("a", b"b") == key_of(b"a", "b")
    assert len({key_of("ab", "c"), key_of("a", "bc"), key_of("abc"), key_of("abc", "")}) == 4


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b"contenu"),
        lambda path: path.unlink(),
        lambda path: path.with_name(path.name + ".sha256").write_text("0" * 64),
        lambda path: path.with_name(path.name + ".sha256").write_bytes(b"\xff\xfe"),
        lambda path: path.with_name(path.name + ".sha256").unlink(),
    ],
    ids=["cut", "changed", "gone", "other digest", "no digest but noise", "digest gone"],
)
def test_a_damaged_entry_is_built_again(damage: Callable[[Path], object]) -> None:
    build = Builder()
    damage(cached_file("models", "net.onnx", build))
    assert cached_file("models", "net.onnx", build).read_bytes() == b"content"
    assert build.calls == 2


def test_a_builder_that_fails_leaves_nothing_and_its_error_comes_through(own_cache: Path) -> None:
    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        cached_file("models", "net.onnx", fail)
    assert {path.name for path in (own_cache / "models").iterdir()} == {"net.onnx.lock"}
    assert cached_file("models", "net.onnx", Builder()).read_bytes() == b"content"


def test_the_least_recently_used_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDGRAPH_CACHE_MAX", "2500")
    build = Builder(b"x" * 1000)
    first, second = (cached_file("engines", name, build) for name in ("first", "second"))
    age(first, 900)
    age(second, 800)
    assert cached_file("engines", "first", build) == first  # used again: now the second is the oldest
    age(first, 700)
    weights = folder_of("weights") / "net.pth"
    weights.write_bytes(b"x" * 9000)
    weights.with_name("net.pth.sha256").write_text("as a download may keep it")
    age(weights, 999)
    third = cached_file("models", "third", build)
    assert [path.exists() for path in (first, second, third, weights)] == [True, False, True, True]
    assert not list(second.parent.glob("second*"))


def test_what_was_just_used_or_is_being_built_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDGRAPH_CACHE_MAX", "1500")
    build = Builder(b"x" * 1000)
    recent = cached_file("engines", "recent", build)
    busy = cached_file("engines", "busy", build)
    age(busy, 900)
    with cache._locked(busy.with_name("busy.lock")):
        cached_file("engines", "third", build)
    assert recent.exists()
    assert busy.exists()
    cached_file("engines", "fourth", build)
    assert not busy.exists()


def test_files_of_killed_builders_are_cleared_away(own_cache: Path) -> None:
    folder = folder_of("engines")
    old, new = folder / ".part-old", folder / ".part-new"
    for path in (old, new):
        path.write_bytes(b"x")
    os.utime(old, (0, 0))
    cached_file("engines", "entry", Builder())
    assert (old.exists(), new.exists()) == (False, True)


@pytest.mark.parametrize(
    ("text", "size"),
    [("", 2 * 2**30), ("0", 0), ("1000", 1000), ("500M", 500 * 2**20), ("1.5 GiB", 3 * 2**29), ("2kb", 2048)],
)
def test_limits(monkeypatch: pytest.MonkeyPatch, text: str, size: int) -> None:
    monkeypatch.setenv("VIDGRAPH_CACHE_MAX", text)
    assert cache_limit_bytes() == size


def test_a_limit_that_is_no_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDGRAPH_CACHE_MAX", "lots")
    with pytest.raises(UsageError, match=r"^VIDGRAPH_CACHE_MAX must be a size like 500M or 2GiB, got 'lots'$"):
        cached_file("models", "net.onnx", Builder())


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VIDGRAPH_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_root() == tmp_path / "own"
    monkeypatch.delenv("VIDGRAPH_CACHE")
    assert cache_root() == tmp_path / "xdg" / "vidgraph"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_root() == tmp_path / ".cache" / "vidgraph"
    assert cached_file("engines", "x", Builder()).parent.stat().st_mode & 0o777 == 0o700


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("VIDGRAPH_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(cache.Path, "home", no_home)
    assert find_or_build("engines", "x", Builder()) is None
    assert "working without it" in caplog.text


def test_limit_zero_turns_the_cache_off(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    monkeypatch.setenv("VIDGRAPH_CACHE_MAX", "0")
    assert find_or_build("engines", "x", Builder()) is None
    assert not list(own_cache.iterdir())


def test_an_unusable_cache_is_said_once_and_worked_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture, network: Path, conv: Any
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("VIDGRAPH_CACHE", str(tmp_path / "file" / "cache"))
    build = Builder()
    with caplog.at_level(logging.WARNING, logger="vidgraph"):
        path = cached_file("models", "net.onnx", build)
        assert path.read_bytes() == b"content"
        assert path.name == "net.onnx"
        assert cached_file("models", "net.onnx", build) == path
        for _ in range(2):
            open_engine(network).run({"image": conv.image(0)})
    assert build.calls == 1
    assert [record.message for record in caplog.records] == [
        f"cannot use the cache {tmp_path / 'file' / 'cache'}: Not a directory; working without it"
    ]


def test_a_read_only_cache_is_read(
    own_cache: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = Builder()
    path = cached_file("models", "net.onnx", build)

    def refuse(*_: object) -> None:  # chmod would not stop root
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(cache.os, "open", refuse)
    monkeypatch.setattr(cache.os, "utime", refuse)
    assert cached_file("models", "net.onnx", build) == path
    assert not caplog.records
    other = cached_file("models", "other.onnx", build)
    assert own_cache not in other.parents
    assert other.read_bytes() == b"content"
    assert [record.message for record in caplog.records] == [
        f"cannot use the cache {own_cache}: Read-only file system; working without it"
    ]


def test_a_full_disk_costs_the_entry_and_not_the_engine(network: Path, own_cache: Path) -> None:
    pytest.importorskip("openvino")
    script = (
        "import resource, numpy as np\n"
        "from vidgraph.engines import open_engine\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"  # a write beyond 1000 bytes fails
        f"engine = open_engine({str(network)!r}, engine='openvino')\n"
        "print(engine.run({'image': np.ones((1, 3, 24, 20), np.float32)})['means'].shape)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60)
    assert done.stdout == "(1, 4, 1, 1)\n", done.stderr
    assert done.stderr == f"cannot use the cache {own_cache}: File too large; working without it\n"
    assert [path.suffix for path in (own_cache / "engines").iterdir()] == [".lock"]


def test_threads_of_one_process_build_once() -> None:
    calls: list[int] = []

    def build(path: Path) -> None:
        calls.append(1)
        time.sleep(0.05)
        path.write_bytes(b"x")

    threads = [threading.Thread(target=cached_file, args=("models", "net.onnx", build)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(calls) == 1


def test_whoever_waited_for_a_lock_that_was_removed_takes_the_new_one(own_cache: Path) -> None:
    lock, has, go_on = folder_of("engines") / "x.lock", threading.Event(), threading.Event()

    def wait() -> None:
        with cache._locked(lock):
            has.set()
            assert go_on.wait(10)

    thread = threading.Thread(target=wait)
    with cache._locked(lock):
        thread.start()
        time.sleep(0.05)  # long enough to wait on the old file
        lock.unlink()
    assert has.wait(10)
    with pytest.raises(BlockingIOError), cache._locked(lock, wait=False):
        pass
    go_on.set()
    thread.join(10)


def test_a_builder_may_use_the_cache_itself() -> None:
    def build(path: Path) -> None:
        path.write_bytes(cached_file("models", "inner", Builder()).read_bytes() + b"!")

    assert cached_file("models", "outer", build).read_bytes() == b"content!"


EIGHT = """
import logging, sys, time
from pathlib import Path
from vidgraph.engines import open_engine
import vidgraph.engines.openvino
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
go = Path(sys.argv[2])
Path(sys.argv[3]).touch()
while not go.exists():
    time.sleep(0.005)
import numpy as np
engine = open_engine(sys.argv[1], engine="openvino", precision="fp32")
print("answer", engine.run({"image": np.ones((1, 3, 24, 20), np.float32)})["means"].tolist())
"""


def test_eight_processes_at_once_one_builds_all_use_it(network: Path, tmp_path: Path, own_cache: Path) -> None:
    pytest.importorskip("openvino")
    go, ready = tmp_path / "go", [tmp_path / f"ready{number}" for number in range(8)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", EIGHT, str(network), str(go), str(flag)], stdout=subprocess.PIPE, text=True
        )
        for flag in ready
    ]
    deadline = time.monotonic() + 60
    while not all(flag.exists() for flag in ready) and time.monotonic() < deadline:
        time.sleep(0.02)
    go.touch()
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 8
    assert "".join(outputs).count("compiled conv_relu.onnx") == 1
    answers = {line for output in outputs for line in output.splitlines() if line.startswith("answer")}
    assert len(answers) == 1
    assert len(list((own_cache / "engines").glob("*.openvino"))) == 1


def compiled(caplog: pytest.LogCaptureFixture) -> int:
    return sum(record.message.startswith("compiled ") for record in caplog.records)


def test_everything_that_matters_is_in_the_key(
    network: Path, make_conv: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    openvino = pytest.importorskip("vidgraph.engines.openvino", reason="needs openvino")
    caplog.set_level(logging.DEBUG, logger="vidgraph")
    other = make_conv(height=12).write(tmp_path)
    for path, options in [
        (network, {}),
        (network, {"precision": "bf16"}),
        (network, {"threads": 2}),
        (network, {"threads": 2, "requests": 2}),
        (other, {}),
    ]:
        options = {"precision": "fp32", **options}
        if options["precision"] not in openvino.available_precisions():
            continue
        for expected in (1, 0):
            caplog.clear()
            open_engine(path, engine="openvino", **options).close()
            assert compiled(caplog) == expected, (path, options)
    for module, name, value in [
        (openvino, "__version__", "9.9"),
        (openvino.platform, "machine", lambda: "z80"),
        (openvino, "processor", lambda: cache_test_processor()),
    ]:
        monkeypatch.setattr(module, name, value)
        caplog.clear()
        open_engine(network, engine="openvino", precision="fp32").close()
        assert compiled(caplog) == 1, name


def cache_test_processor() -> Any:
    from vidgraph.engines.processor import Processor

    return Processor("another model", frozenset())


@pytest.mark.parametrize("kind", ["damaged", "whole but not OpenVINO's"])
def test_a_bad_compiled_network_is_replaced(
    kind: str, network: Path, own_cache: Path, conv: Any, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("openvino")
    image = conv.image(0)
    expected = open_engine(network, engine="openvino").run({"image": image})["features"].copy()
    (entry,) = (own_cache / "engines").glob("*.openvino")
    entry.write_bytes(b"noise" * 1000)
    if kind != "damaged":
        entry.with_name(entry.name + ".sha256").write_text(cache._sha256(entry))
    for _ in range(2):
        assert (open_engine(network, engine="openvino").run({"image": image})["features"] == expected).all()
    assert caplog.text.count("compiling it again") == (kind != "damaged")
    assert entry.stat().st_size != 5000


def test_there_is_no_file_while_a_network_is_compiled(own_cache: Path) -> None:
    """So that none is left where the process is ended meanwhile."""

    def build(path: Path) -> None:
        assert {one.name for one in (own_cache / "models").iterdir()} == {"net.onnx.lock"}
        path.write_bytes(b"content")

    assert cached_file("models", "net.onnx", build).stat().st_mode & 0o777 == 0o600

"""The thread budget: what this process may use, and how it is shared out."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from vidgraph.pipeline.errors import UsageError
from vidgraph.pipeline.execution import threads
from vidgraph.pipeline.execution.threads import ThreadBudget, available_cores
from vidgraph.pipeline.graph import Graph
from vidgraph.pipeline.packet import Packet

from .parts import Call, Numbers


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", "utf-8")


@pytest.mark.parametrize(
    ("quotas", "cores"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000"}, 8),
        ({"a/b/cpu.max": "200000 100000"}, 2),
        ({"a/b/cpu.max": "250000 100000"}, 3),  # rounded up: two threads would leave half a core
        ({"a/b/cpu.max": "10000 100000"}, 1),
        ({"a/b/cpu.max": "1600000 100000"}, 8),  # more than the affinity
        ({"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}, 3),  # the parent's counts too
        ({"cpu.max": "400000 100000"}, 4),  # in a container the path is not below the mount
        ({"cpu.max": "nonsense"}, 8),
    ],
)
def test_cgroup_v2(eight_cores: None, tmp_path: Path, quotas: dict[str, str], cores: int) -> None:
    write(tmp_path / "proc/self/cgroup", "0::/a/b")
    for name, text in quotas.items():
        write(tmp_path / "cgroup" / name, text)
    assert available_cores(proc=tmp_path / "proc", cgroups=tmp_path / "cgroup") == cores


@pytest.mark.parametrize(("quota", "cores"), [("-1", 8), ("150000", 2), ("400000", 4)])
@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
def test_cgroup_v1(eight_cores: None, tmp_path: Path, mount: str, quota: str, cores: int) -> None:
    write(tmp_path / "proc/self/cgroup", "5:memory:/m\n4:cpu,cpuacct:/job\n0::/")
    write(tmp_path / "cgroup" / mount / "job/cpu.cfs_quota_us", quota)
    write(tmp_path / "cgroup" / mount / "job/cpu.cfs_period_us", "100000")
    assert available_cores(proc=tmp_path / "proc", cgroups=tmp_path / "cgroup") == cores


def test_no_cgroups_and_no_affinity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_cores(proc=tmp_path, cgroups=tmp_path) == 1


def test_this_machine() -> None:
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("total", "live", "sources", "expected"),
    [
        (8, False, 1, ThreadBudget(8, decoder=8, workers=8, requests=8, request_threads=1, encoder=8)),
        (8, False, 3, ThreadBudget(8, decoder=2, workers=8, requests=8, request_threads=1, encoder=8)),
        (8, True, 16, ThreadBudget(8, decoder=1, workers=8, requests=1, request_threads=8, encoder=8)),
        (1, False, 1, ThreadBudget(1, decoder=1, workers=1, requests=1, request_threads=1, encoder=1)),
        (1, True, 2, ThreadBudget(1, decoder=1, workers=2, requests=1, request_threads=1, encoder=1)),
    ],
)
def test_shares(total: int, live: bool, sources: int, expected: ThreadBudget) -> None:
    assert ThreadBudget.share_out(total, live=live, sources=sources) == expected


def test_all_cores_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "available_cores", lambda: 6)
    assert ThreadBudget.share_out().total == 6
    with pytest.raises(UsageError, match="threads must be at least 1, got 0"):
        ThreadBudget.share_out(0)


@pytest.mark.parametrize("count", [1, 3])
def test_stages_run_on_as_many_threads_as_given(count: int) -> None:
    seen: set[str] = set()
    together = threading.Barrier(count, timeout=5)

    def note(packet: Packet) -> list[Packet]:
        together.wait()
        seen.add(threading.current_thread().name)
        return [packet]

    Graph(Numbers(count * 4), Call(note, stateless=True)).run(threads=count, strict=True)
    assert len(seen) == count

"""What every test has at hand."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from .material import make_clip, make_custom_models, make_weights, plain_environment
from .order import IN_REAL_TIME, WITH_A_PEER, InRealTimeFirst
from .tolerances import TOLERANCES

# What a shell starts in the background ignores SIGINT, and so does what that starts: tests of Ctrl-C would wait for
# what never comes.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["vidgraph.testing.plugin"]

PROGRAM = (sys.executable, "-P", "-W", "error", "-m", "vidgraph")
SHARED = Path(__file__).resolve().parent.parent.parent / "shared"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put tests in real time first; those with a peer may fail once."""
    items.sort(key=lambda item: not item.nodeid.startswith(IN_REAL_TIME))
    for item in items:
        if item.nodeid.startswith(WITH_A_PEER):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> InRealTimeFirst | None:
    """Have the workers keep to that order, unless another one was asked for."""
    return InRealTimeFirst(config, log) if config.getoption("dist") == "load" else None  # type: ignore[arg-type]


class FailuresAtOnce:
    """Says what failed when it fails: a run that is ended from outside prints no summary."""

    def __init__(self, reporter: pytest.TerminalReporter) -> None:
        self._reporter = reporter

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called where the tests are handed out."""
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            why = str(getattr(crash, "message", None) or report.longrepr).strip().splitlines() or [""]
            where = f"{report.nodeid}, {report.when}, after {report.duration:.0f} s"
            self._reporter.write_line(f"\nFAILED {where}: {why[0][:200]}")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Add it where there is somebody to tell."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(FailuresAtOnce(reporter), "failures-at-once")


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """A file or folder beside the checkout that is not part of the project; skips where it is missing."""

    def find(relative: str) -> Path:
        path = SHARED / relative
        if not path.exists():
            pytest.skip(f"needs ../shared/{relative}, which is not on this machine")
        return path

    return find


@pytest.fixture(autouse=True)
def _the_process_is_left_as_it_was() -> Iterator[None]:
    """No test leaves logging or priority other than they were: later ones would see no messages, or have to wait."""
    yield
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
    log = logging.getLogger("vidgraph")
    assert (log.propagate, log.disabled, log.level, log.manager.disable) == (True, False, logging.NOTSET, 0)


@pytest.fixture(scope="session")
def tolerance() -> Callable[[str], float]:
    """A value of the one table of tolerances."""
    return lambda name: TOLERANCES[name][0]


@pytest.fixture(scope="session")
def face_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``retinaface`` as an exported file that needs no torch any more, with weights for :func:`material.picture`."""
    pytest.importorskip("torch", reason="seeded weights are made with torch (the extra 'torch')")
    from vidgraph.models.export.export import export

    folder = tmp_path_factory.mktemp("faces")
    seeded = make_weights("retinaface", folder / "seeded.pth")
    return export("retinaface", seeded, (240, 320), path=folder / "faces.onnx")


@pytest.fixture(scope="session")
def custom_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``my.onnx``, which finds one thing in the middle of every picture, quickly."""
    folder = tmp_path_factory.mktemp("own")
    make_custom_models(folder)
    return folder / "my.onnx"


@pytest.fixture(scope="session")
def face_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 40 frames, 320x240, 25 a second, with something in every frame for ``face_weights``."""
    return make_clip(tmp_path_factory.mktemp("clip") / "in.mp4", 40)


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended: its exit code (negative: a signal), standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line on standard error, without ``vidgraph: ``; fails where there is not exactly one."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("vidgraph: "), self.err
        return lines[0].removeprefix("vidgraph: ")


class Command:
    """Runs ``vidgraph`` in a process of its own, in one folder, with a cache of the tests."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self.environment = {**plain_environment(), "VIDGRAPH_CACHE": str(cache), "COLUMNS": "120"}

    def start(self, *words: object, program: Sequence[str] = PROGRAM, **settings: object) -> subprocess.Popen[str]:
        """The running process; ``settings`` as for Popen. Its Python makes an error of every warning."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        given = {"cwd": self.folder, "env": self.environment, "text": True, **pipes, **settings}
        return subprocess.Popen([*program, *map(str, words)], **given)  # type: ignore[call-overload, no-any-return]

    def __call__(self, *words: object, **settings: object) -> Ended:
        """Run to the end; ``settings`` as for ``start``."""
        with self.start(*words, **settings) as process:  # type: ignore[arg-type]
            try:
                out, err = process.communicate(timeout=120)
            finally:
                process.kill()
        return Ended(process.returncode, out or "", err or "")


@pytest.fixture(scope="session")
def command_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of all commands and runs of the session that do not bring their own."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def command(tmp_path: Path, command_cache: Path) -> Command:
    """``command("run", …)`` runs ``vidgraph run …`` in ``tmp_path``, in a process of its own."""
    return Command(tmp_path, command_cache)


@pytest.fixture
def vidgraph(
    tmp_path: Path, command_cache: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """As ``command``, but within this process, which is quicker."""
    from vidgraph.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIDGRAPH_CACHE", str(command_cache))

    def call(*words: object) -> Ended:
        code = main([str(word) for word in words])
        out, err = capfd.readouterr()
        return Ended(code, out, err)

    return call

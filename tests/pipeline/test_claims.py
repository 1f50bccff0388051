"""Claims: one process alone writes a file, a name or a folder; a file that is gone is noticed; nothing is left."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from vidgraph.pipeline import claims
from vidgraph.pipeline.claims import Claim, Claims, NameClaim, alone, hidden, whole_file
from vidgraph.pipeline.errors import OutputError

BUSY = "another process is writing .*; wait for its end, or name another output"


def test_a_file_has_one_writer_whatever_it_is_called(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    first = Claim(path)
    os.write(first.descriptor, b"mine")
    (tmp_path / "hard").hardlink_to(path)
    (tmp_path / "soft").symlink_to(path)
    for name in ("a.jsonl", "hard", "soft"):
        with pytest.raises(OutputError, match=BUSY):
            Claim(tmp_path / name)
    first.release()
    second = Claim(tmp_path / "hard")
    second.cut(0)
    second.release()
    assert path.read_bytes() == b""


def test_a_new_file_must_not_be_there_and_an_unused_one_goes_away(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for used in (False, True):
        claim = Claim(path, new=True)
        with pytest.raises(FileExistsError):
            Claim(path, new=True)
        if used:
            os.write(claim.descriptor, b"x")
        claim.release()
        claim.release()
        assert path.exists() == used
    with pytest.raises(OutputError, match="exists already; -y"):
        Claims().take(path, new=True)
    assert path.read_bytes() == b"x"


def test_a_link_to_nothing_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    claim = Claim(tmp_path / "link", new=True)
    os.write(claim.descriptor, b"x")
    claim.check()
    claim.release()
    assert (tmp_path / "target").read_bytes() == b"x"


@pytest.mark.parametrize(
    "change", [Path.unlink, lambda path: path.rename(path.with_name("b")), lambda path: path.write_text("")]
)
def test_a_file_that_is_gone_is_noticed(change: Callable[[Path], object], tmp_path: Path) -> None:
    claim = Claim(tmp_path / "a")
    claim.check()
    kept = (tmp_path / "a").stat().st_ino
    change(tmp_path / "a")
    if (tmp_path / "a").exists():
        assert (tmp_path / "a").stat().st_ino == kept
        claim.check()  # written over by somebody, but still the file
    else:
        with pytest.raises(OutputError, match=r"cannot go on with .*a: it was removed, renamed or replaced"):
            claim.check()
        (tmp_path / "a").write_text("another's")
        with pytest.raises(OutputError, match="removed, renamed or replaced"):
            claim.check()
    claim.release()
    assert not (tmp_path / "a").exists() or (tmp_path / "a").read_text() in ("", "another's")


@pytest.mark.parametrize("special", ["/dev/null", "pipe"])
def test_pipes_and_devices_are_not_locked(special: str, tmp_path: Path) -> None:
    path = tmp_path / special
    if special == "pipe":
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    both = Claim(path), Claim(path)
    for claim in both:
        claim.cut(0)
        claim.check()
        assert os.write(claim.descriptor, b"x") == 1
        claim.release()
    if special == "pipe":
        assert os.read(reader, 9) == b"xx"
        os.close(reader)
    assert path.exists()


def test_names_are_claimed_before_there_is_a_file_and_nothing_is_made(tmp_path: Path) -> None:
    first = NameClaim(tmp_path, "%06d.png")
    with pytest.raises(OutputError, match=BUSY):
        NameClaim(tmp_path, "%06d.png")
    other = NameClaim(tmp_path, "%05d.png")
    list(tmp_path.iterdir())  # opens and closes the folder, which must not free it
    with pytest.raises(OutputError, match=BUSY):
        NameClaim(tmp_path, "%06d.png")
    tmp_path.chmod(0o500)
    first.release()
    NameClaim(tmp_path, "%06d.png").release()
    other.check()
    tmp_path.chmod(0o700)
    assert list(tmp_path.iterdir()) == []
    tmp_path.rename(tmp_path.with_name("elsewhere"))
    with pytest.raises(OutputError, match="removed, renamed or replaced"):
        other.check()
    other.release()


def test_whole_folders(tmp_path: Path) -> None:
    with alone(tmp_path):
        with pytest.raises(OutputError, match=BUSY), alone(tmp_path):
            pass
    with alone(tmp_path, tmp_path / "a"):
        pass


HOLDER = """
import sys, time
from pathlib import Path
from vidgraph.pipeline.claims import Claim, NameClaim
folder = Path(sys.argv[1])
held = Claim(folder / "a"), NameClaim(folder, "b")
print("held", flush=True)
time.sleep(60)
"""


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        for claim in (lambda: Claim(tmp_path / "a"), lambda: NameClaim(tmp_path, "b")):
            with pytest.raises(OutputError, match=BUSY):
                claim()
        process.kill()
        process.wait()
        Claim(tmp_path / "a").release()
        NameClaim(tmp_path, "b").release()


def test_a_file_system_without_locks_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*words: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", fail)
    with caplog.at_level("WARNING", "vidgraph"):
        Claim(tmp_path / "a").release()
    assert "its file system has no locks" in caplog.text


def test_a_whole_file_appears_at_once_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with whole_file(path, overwrite=False) as part:
        part.write_text("new")
        assert not path.exists()
        with pytest.raises(OutputError, match=BUSY), whole_file(path, overwrite=True):
            pass
    assert path.read_text() == "new"
    with pytest.raises(OutputError, match="exists already"), whole_file(path, overwrite=False):
        pass
    with pytest.raises(ZeroDivisionError), whole_file(path, overwrite=True) as part:
        part.write_text("half")
        1 // 0  # noqa: B018
    assert [one.name for one in tmp_path.iterdir()] == ["a.csv"]
    assert path.read_text() == "new"


def test_what_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / ".a.part").write_text("left by a kill")
    with pytest.raises(OutputError, match="exists already"), whole_file(tmp_path / "a", overwrite=False) as part:
        part.write_text("ours")
        (tmp_path / "a").write_text("theirs")
    assert (tmp_path / "a").read_text() == "theirs"
    assert not (tmp_path / ".a.part").exists()


def test_sigterm_leaves_nothing_half_done(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught, whole_file(tmp_path / "a", overwrite=False) as part:
        part.write_text("half")
        os.kill(os.getpid(), signal.SIGTERM)
    assert caught.value.code == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_hidden_names_are_short_enough_and_differ(tmp_path: Path) -> None:
    assert hidden(tmp_path / "out.csv", ".part").name == ".out.csv.part"
    long = [hidden(tmp_path / (letter * 255), ".part") for letter in "ab"]
    assert long[0] != long[1]
    for path in long:
        path.touch()
    assert len(os.fsencode(hidden(tmp_path / ("ü" * 127), ".part").name)) <= 255


def test_the_disk_and_names_have_their_own_words() -> None:
    error = claims.output_error("x", OSError(28, "No space left on device"), kept="the lines before are whole")
    assert str(error) == "cannot write x: the disk is full; the lines before are whole"
    assert "the name is too long" in str(claims.output_error("x", OSError(36, "File name too long")))

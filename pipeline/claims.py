"""Outputs that one process alone may write: locked from the look at what is there until they are closed.

Names are locked before there is a file, files as soon as they are open, so that two names of one file are noticed too.
Both kinds of lock end with the process, however that ends, and are nothing that could be left behind. On a file system
that has no locks outputs are written without them, which is said.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic

from .cancel import unwinding
from .errors import OutputError

log = logging.getLogger("vidgraph")
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
CHECKED_EVERY_S = 0.25
"""So often, at most, a file is looked for while it is written, and always at its end; a look costs microseconds."""
_LONGEST_NAME = 255  # bytes, of nearly all file systems


class _Seen:
    """Notices that what is open is no longer under its name.

    Args:
        path: the name.
        descriptor: what is open.
        shown: what messages call it.
    """

    def __init__(self, path: Path, descriptor: int, shown: Path) -> None:
        self._path, self._descriptor, self._shown = path, descriptor, shown
        self._next_s = 0.0

    def check(self, *, every_s: float = 0.0) -> None:
        """Look, unless that was done less than ``every_s`` ago.

        Raises:
            OutputError: it was removed, renamed or replaced.
        """
        if every_s and monotonic() < self._next_s:
            return
        self._next_s = monotonic() + every_s
        if not _is_at(self._path, self._descriptor):
            raise OutputError(
                f"cannot go on with {self._shown}: it was removed, renamed or replaced while it was written; run it"
                " again"
            )


class Claim:
    """A file that nobody else writes as long as this is held.

    Pipes and devices are opened for writing alone, and are not locked.

    Args:
        path: made if it is not there.
        new: it must not be there.
        temporary: remove it on release, whatever is in it, if it is still under its name.

    Attributes:
        descriptor: the file, open for reading and writing; -1 after release.

    Raises:
        OutputError: another process writes it.
        FileExistsError: it is there, with ``new``.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path, *, new: bool = False, temporary: bool = False) -> None:
        self.path = path
        self.descriptor = -1
        self._temporary, self._created = temporary, False
        self._regular = not path.exists() or path.is_file()
        if self._regular:
            self._open(os.path.realpath(path), new=new)
        elif new:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        else:
            self.descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        self._seen = _Seen(path, self.descriptor, path)

    def _open(self, place: str, *, new: bool) -> None:
        """Open and lock what is at ``place``; what was removed or replaced in between does not count."""
        while self.descriptor < 0:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            try:
                self.descriptor, self._created = os.open(place, flags | os.O_EXCL, 0o666), True
            except FileExistsError:
                if new:
                    raise
                self.descriptor, self._created = os.open(place, flags, 0o666), False
            try:
                _lock(self.descriptor, self.path)
                if not _is_at(place, self.descriptor):
                    self._close()
            except BaseException:
                self._close()
                raise

    def cut(self, length: int) -> None:
        """Keep the first bytes of the file, and go on after them.

        Raises:
            OSError: it cannot be written.
        """
        if self._regular:
            os.ftruncate(self.descriptor, length)
            os.lseek(self.descriptor, length, os.SEEK_SET)

    def check(self, *, every_s: float = 0.0) -> None:
        """Make sure that what is written can be found under its name, unless that was done less than ``every_s`` ago.

        Raises:
            OutputError: the file was removed, renamed or replaced.
        """
        if self._regular:
            self._seen.check(every_s=every_s)

    def release(self) -> None:
        """Let others have the file; one that was made here is removed if nothing is in it. May be called often."""
        if self.descriptor < 0:
            return
        with suppress(OSError):  # the folder has become read-only, …
            unused = self._temporary or (self._created and os.fstat(self.descriptor).st_size == 0)
            place = Path(os.path.realpath(self.path))
            if unused and _is_at(place, self.descriptor):
                place.unlink()
        self._close()

    def remove(self) -> None:
        """Remove the file, and let the claim go.

        Raises:
            OSError: the folder cannot be written.
        """
        self.check()
        self.path.unlink()
        self._close()

    def _close(self) -> None:
        descriptor, self.descriptor = self.descriptor, -1
        os.close(descriptor)

    def __del__(self) -> None:
        if getattr(self, "descriptor", -1) >= 0:
            self.release()


class NameClaim:
    """A name in a folder that is nobody else's as long as this is held, whether there is such a file or not.

    It is a lock on a byte of the folder that a hash of the name chooses; folders have no bytes, only locks. A lock
    that excludes others needs a file open for writing, which no folder can be, so all take a shared one, and then ask
    whether somebody else has one too. (Linux, open file description locks.)

    Args:
        folder: exists.
        name: of a file, or what else in it is to be held; ``.``: everything.
        shown: what messages call it; None: the path.

    Raises:
        OutputError: another process holds it.
        OSError: the folder cannot be opened.
    """

    def __init__(self, folder: Path, name: str, shown: Path | None = None) -> None:
        path = folder if name == "." else folder / name
        shown = shown or path
        self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        place = int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:7])
        try:
            _set_lock(self._descriptor, fcntl.F_OFD_SETLK, fcntl.F_RDLCK, place)
            others = _set_lock(self._descriptor, fcntl.F_OFD_GETLK, fcntl.F_WRLCK, place) != fcntl.F_UNLCK
        except OSError as error:
            log.debug("%s: names in it cannot be locked: %s", folder, error)
            others = False
        if others:
            self.release()
            raise OutputError(_busy(shown))
        self._seen = _Seen(folder, self._descriptor, shown)

    def check(self, *, every_s: float = 0.0) -> None:
        """Make sure that the folder is still there, unless that was done less than ``every_s`` ago.

        Raises:
            OutputError: it was removed, renamed or replaced.
        """
        self._seen.check(every_s=every_s)

    def release(self) -> None:
        """Let others have the name. May be called often."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        if getattr(self, "_descriptor", -1) >= 0:
            self.release()


class Claims:
    """The files that one run writes, each claimed once, whichever of its parts asks first.

    Args:
        named: the files that its outputs name.
    """

    def __init__(self, named: Iterable[Path] = ()) -> None:
        self._named = {os.path.realpath(path) for path in named}
        self._names: dict[str, NameClaim] = {}
        self._held: dict[str, Claim] = {}

    def name(self, path: Path) -> NameClaim:
        """The claim on the name of a file, on the pattern of many, or on a whole folder; the folder exists.

        Raises:
            OutputError: another process holds it, or the folder cannot be opened.
        """
        place = os.path.realpath(path)
        if place not in self._names:
            folder, name = (place, ".") if path.is_dir() else os.path.split(place)
            try:
                self._names[place] = NameClaim(Path(folder), name, path)
            except OSError as error:
                raise output_error(path, error) from error
        return self._names[place]

    def names(self, path: Path) -> bool:
        """Whether an output names the file ``path``."""
        return os.path.realpath(path) in self._named

    def take(self, path: Path, *, new: bool = False, temporary: bool = False) -> Claim:
        """The claim on a file, which is there already or made as :class:`Claim` says.

        Raises:
            OutputError: another process writes it; it is there, with ``new``; it cannot be opened.
        """
        place = os.path.realpath(path)
        held = self._held.get(place)
        if held is None or held.descriptor < 0:
            try:
                held = self._held[place] = Claim(path, new=new, temporary=temporary)
            except FileExistsError as error:
                raise OutputError(exists_already(path)) from error
            except (OSError, ValueError) as error:
                raise output_error(path, error) from error
        return held

    def free(self, path: Path) -> None:
        """Let the file ``path`` go, and its name."""
        place = os.path.realpath(path)
        if place in self._held:
            self._held.pop(place).release()
        if place in self._names:
            self._names.pop(place).release()

    def release(self) -> None:
        """Let all of them go."""
        for file in self._held.values():
            file.release()
        for name in self._names.values():
            name.release()
        self._held.clear()
        self._names.clear()


@contextmanager
def alone(*paths: Path) -> Iterator[None]:
    """Nobody else writes the files ``paths``, or into the folders that they are, as long as this is entered.

    Raises:
        OutputError: another process does, or a folder is not there.
    """
    claims = Claims()
    try:
        for path in paths:
            claims.name(path)
        yield
    finally:
        claims.release()


@contextmanager
def whole_file(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """The name of a hidden file to write, which becomes ``path`` in the end, or is removed after an error or SIGTERM.

    Raises:
        OutputError: ``path`` exists and is not to be overwritten, another process writes it, or it cannot be written.
    """
    part = hidden(path, ".part")
    try:
        claim = Claim(part, temporary=True)
        try:
            with unwinding():
                if path.exists() and not overwrite:
                    raise OutputError(exists_already(path))
                yield part
                _put(part, path, overwrite=overwrite)
        finally:
            claim.release()
    except OSError as error:
        raise OutputError(f"cannot write {path}: {_reason(error)}") from error


def _put(part: Path, path: Path, *, overwrite: bool) -> None:
    """Give a file its name; what got that name meanwhile stays without ``overwrite``."""
    if not overwrite:
        try:
            path.hardlink_to(part)
            return
        except FileExistsError as error:
            raise OutputError(exists_already(path)) from error
        except OSError:
            log.debug("%s: its file system has no hard links", path)
    part.replace(path)


def hidden(path: Path, ending: str) -> Path:
    """``.out.csv.part`` beside ``out.csv``; a hash takes the place of names that would become too long."""
    name = f".{path.name}{ending}"
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:32]}{ending}"
    return path.with_name(name)


def exists_already(path: Path | str) -> str:
    """The message that ``path`` is there, with the cure."""
    return f"{path} exists already; -y (overwrite) replaces it, or name another file"


def output_error(path: Path | str, error: Exception, *, kept: str = "") -> OutputError:
    """The error of a failed write, in one line.

    Args:
        path: the file, or what messages call the output.
        kept: what is still there, for the message.
    """
    reason = _reason(error)
    return OutputError(f"cannot write {path}: {reason[:1].lower() + reason[1:]}{kept and '; ' + kept}")


def _reason(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full"
    if number == errno.ENAMETOOLONG:
        return "the name is too long; name another file, or the source (NAME=ADDRESS) where {stream} stands for it"
    return getattr(error, "strerror", None) or str(error)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OutputError(_busy(path)) from error
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        log.warning("%s: its file system has no locks; a second process that writes it would not be noticed", path)


def _set_lock(descriptor: int, command: int, kind: int, place: int) -> int:
    """Set, or ask for, a lock on one byte; returns its kind. Source: fcntl(2), ``struct flock`` of 64-bit Linux."""
    form = "hhqqi4x"
    return int(struct.unpack(form, fcntl.fcntl(descriptor, command, struct.pack(form, kind, 0, place, 1, 0)))[0])


def _busy(path: Path) -> str:
    return f"another process is writing {path}; wait for its end, or name another output"


def _is_at(path: str | Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), Path(path).stat())
    except (FileNotFoundError, NotADirectoryError):
        return False

"""Files that are expensive to make and cheap to keep: compiled engines, exported networks, weights.

The cache is ``$VIDGRAPH_CACHE``, else ``$XDG_CACHE_HOME/vidgraph``, else ``~/.cache/vidgraph``, with one
folder per kind. An entry is a file and its digest beside it (``NAME`` and ``NAME.sha256``); both are
written under temporary names and renamed, so that a reader sees a whole entry or none, and an entry
that does not fit its digest is made again. Processes that want the same missing entry wait on a lock
file (``NAME.lock``) while one of them builds it. What is built counts against a limit
(``$VIDGRAPH_CACHE_MAX``, default 2 GiB; 0 turns the cache off); the least recently used goes first.
Files under ``weights`` were asked for by the user and are never removed.

A cache that cannot be used (no permission, full disk, no locks) is said once and worked without.
"""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import logging
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..pipeline.errors import UsageError

LOG = logging.getLogger("vidgraph")
DEFAULT_LIMIT_BYTES = 2 * 2**30
WEIGHTS = "weights"
IN_USE_S = 60.0  # an entry used this recently may be about to be opened by its user
ABANDONED_S = 3600.0  # an unfinished file this old belongs to a process that was killed

UNUSABLE = "nothing can be kept in {}; make that folder writable, or set VIDGRAPH_CACHE to another"
"""Of an error where the cache is what was asked for; elsewhere it is worked without."""

_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_said: set[str] = set()
_temporary: dict[tuple[str, str], Path] = {}


def cache_root() -> Path:
    """The folder of the cache; it may not exist yet."""
    chosen = os.environ.get("VIDGRAPH_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else _home() / ".cache") / "vidgraph"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # a user without a home, as in some containers: a place where no folder can be made
        return Path(os.devnull)


def cache_limit_bytes() -> int:
    """The limit in bytes, from ``$VIDGRAPH_CACHE_MAX`` (``500M``, ``2GiB``, ``0``).

    Raises:
        UsageError: the variable is set to something else.
    """
    text = os.environ.get("VIDGRAPH_CACHE_MAX", "")
    if not text:
        return DEFAULT_LIMIT_BYTES
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*", text.lower())
    if match is None:
        raise UsageError(f"VIDGRAPH_CACHE_MAX must be a size like 500M or 2GiB, got {text!r}")
    return int(float(match[1]) * _UNITS[match[2]])


def key_of(*parts: str | bytes) -> str:
    """SHA-256 (hex) over ``parts``; the same parts split differently give another key."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def cached_file(kind: str, key: str, build: Callable[[Path], None]) -> Path:
    """The file of ``key``, built once for all processes; without a usable cache, once for this one.

    Args:
        kind: folder of the cache.
        key: file name of the entry; it must say everything the content depends on.
        build: writes the file to the path it is given (of the same suffix as ``key``).

    Returns:
        A file to read and not to change.
    """
    found = find_or_build(kind, key, build)
    if found is not None:
        return found
    if (kind, key) not in _temporary:
        folder = Path(tempfile.mkdtemp(prefix="vidgraph-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        build(folder / key)
        _temporary[kind, key] = folder / key
    return _temporary[kind, key]


def find_or_build(kind: str, key: str, build: Callable[[Path], None]) -> Path | None:
    """As :func:`cached_file`, but None where the cache cannot be used; ``build`` may then have been called.

    Raises:
        ValueError: ``key`` is no file name.
        Exception: whatever ``build`` raises, other than OSError.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", key):
        raise ValueError(f"a cache key must be a plain file name, got {key!r}")
    limit = cache_limit_bytes()
    if limit == 0:
        return None
    entry = cache_root() / kind / key
    try:
        if _use(entry):  # without the lock: works on a read-only cache, and never waits
            return entry
        entry.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _locked(_beside(entry, ".lock")):
            if not _use(entry):
                _make(entry, build)
        _shrink(cache_root(), limit, keep=entry)
    except OSError as error:
        _say_once(f"cannot use the cache {cache_root()}: {error.strerror or error}; working without it")
        return None
    return entry


def find(kind: str, key: str) -> Path | None:
    """The file of ``key`` where it is in the cache and whole; nothing is built."""
    entry = cache_root() / kind / key
    try:
        return entry if cache_limit_bytes() and _use(entry) else None
    except OSError:
        return None


def replace_entry(kind: str, key: str, content: bytes) -> None:
    """Put ``content`` under ``key``, in place of what is there; nothing happens where the cache cannot be used."""
    discard(cache_root() / kind / key)
    find_or_build(kind, key, lambda target: _write(target, content))


def _write(target: Path, content: bytes) -> None:
    target.write_bytes(content)


def discard(entry: Path) -> None:
    """Make an entry count as absent, so that its next user builds it again."""
    try:
        _beside(entry, ".sha256").unlink(missing_ok=True)
    except OSError as error:
        _say_once(f"cannot remove {entry} from the cache: {error.strerror or error}")


def _beside(entry: Path, suffix: str) -> Path:
    return entry.with_name(entry.name + suffix)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _use(entry: Path) -> bool:
    """Whether the entry is there and whole; if so it is marked as used now."""
    digest = _beside(entry, ".sha256")
    try:
        whole = digest.read_text() == _sha256(entry)
    except (FileNotFoundError, UnicodeDecodeError):
        return False
    if whole:
        try:
            os.utime(digest)
        except OSError:
            LOG.debug("cannot mark %s as used: the cache is read-only", entry)
    return whole


def _make(entry: Path, build: Callable[[Path], None]) -> None:
    """Build under a temporary name, then rename: first the file, then the digest that makes it count.

    Nothing is there under that name before ``build`` has something to write: compiling can take long, and nothing must
    be left where the process is ended meanwhile.
    """
    part = entry.with_name(f".part-{secrets.token_hex(8)}{entry.suffix}")
    digest = _beside(part, ".sha256")
    try:
        build(part)
        part.chmod(0o600)
        digest.write_text(_sha256(part))
        part.replace(entry)
        digest.replace(_beside(entry, ".sha256"))
    finally:
        part.unlink(missing_ok=True)
        digest.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock file ``path``; a lock file that was removed meanwhile is not the lock any more.

    Raises:
        BlockingIOError: someone else holds it and ``wait`` is False.
    """
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if _is_file(path, handle):
                yield
                return
        finally:
            os.close(handle)  # releases the lock


def _is_file(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _shrink(root: Path, limit_bytes: int, *, keep: Path) -> None:
    """Remove what was used longest ago until the rest fits; what was used within a minute stays."""
    now = time.time()
    for part in root.glob("*/.part-*"):
        if now - part.stat().st_mtime > ABANDONED_S:
            part.unlink(missing_ok=True)
    entries = []
    for digest in root.glob("*/*.sha256"):
        entry = digest.with_name(digest.name.removesuffix(".sha256"))
        if digest.parent.name != WEIGHTS and not digest.name.startswith(".") and entry.exists():
            entries.append((digest.stat().st_mtime, entry.stat().st_size, entry))
    total = sum(size for _, size, _ in entries)
    for used, size, entry in sorted(entries):
        if total <= limit_bytes:
            return
        if entry != keep and now - used > IN_USE_S and _remove(entry):
            total -= size


def _remove(entry: Path) -> bool:
    lock = _beside(entry, ".lock")
    try:
        with _locked(lock, wait=False):
            for path in (_beside(entry, ".sha256"), entry, lock):
                path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    return True


def _say_once(message: str) -> None:
    if message not in _said:
        _said.add(message)
        LOG.warning(message)

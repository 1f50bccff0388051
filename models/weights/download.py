"""Downloading published weights: only when asked, whole or not at all, and checked before anything opens them."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import http.client
import os
import stat
import time
import urllib.error
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from ...pipeline.errors import DownloadError, OutputError, UsageError
from ...pipeline.redaction import one_line, redact_address, redact_error
from ..registry import find_model
from ..variant import Variant, WeightsFile
from .find import pulled_path
from .safe_http import check_address, open_address

ATTEMPTS = 3
LONGEST_S = 3600.0
"""All of it, waiting for another process that downloads the same included, may take so long."""
_CHUNK = 1 << 18
_LOOKED_AT_S = 0.05
_LONGEST_REASON = 200  # characters of what a server says

Progress = Callable[[int, int | None], None]
"""Called with the bytes there are and the bytes there will be (None: the server does not say)."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """Weights that are on this machine now.

    Attributes:
        path: the file.
        sha256: its hash.
        source, licence: what to print beside it.
        was_there: nothing had to be downloaded.
    """

    path: Path
    sha256: str
    source: str
    licence: str
    was_there: bool


@dataclass(frozen=True, slots=True)
class _Job:
    """One download: from where, to which file, with which hash (None: trusted without), how much and until when."""

    address: str = field(repr=False)
    path: Path
    sha256: str | None
    largest_bytes: int
    until: float
    progress: Progress | None

    @property
    def part(self) -> Path:
        """What has arrived so far."""
        return self.path.with_name(self.path.name + ".part")

    @property
    def shown(self) -> str:
        """The address without secrets."""
        return redact_address(self.address)


def pull(
    model: str,
    *,
    address: str | None = None,
    trust: bool = False,
    folder: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Pulled:
    """Download the published weights of a model into the cache; an interrupted download goes on where it stopped.

    Args:
        model: a name of ``MODELS``.
        address: another address than the published one (https).
        trust: take what ``address`` gives although no hash is known to check it with.
        folder: where to put the file instead of the cache.
        progress: called as bytes arrive.

    Raises:
        UsageError: unknown model; no address is known; a hash is not known and ``trust`` is not given; not https.
        DownloadError: the server cannot be reached or refuses, takes longer than LONGEST_S, sends more than the
            model's row allows, or the file is not what was pinned.
        OutputError: the file cannot be written.
    """
    row = find_model(model)
    job = _job(row, row.weights[0], address, trust, folder, progress)
    try:
        job.path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(job):
            if job.sha256 is not None and _is_own(job.path) and _sha256(job.path) == job.sha256:
                return Pulled(job.path, job.sha256, row.source, row.licence, was_there=True)
            digest = _download(job)
    except OSError as error:
        raise OutputError(f"cannot write {job.path}: {error.strerror or error}") from error
    return Pulled(job.path, digest, row.source, row.licence, was_there=False)


def _job(
    row: Variant,
    weights: WeightsFile,
    address: str | None,
    trust: bool,
    folder: str | os.PathLike[str] | None,
    progress: Progress | None,
) -> _Job:
    if weights.pretrained and address is None:
        raise UsageError(f"{row.name} comes with the package; there is nothing to pull")
    chosen = address or weights.address
    if chosen is None:
        raise UsageError(
            f"no download address is known for {row.name}; get {weights.file} from {row.source} "
            f"and give the file: {row.name}=PATH, or name an address with --from"
        )
    check_address(chosen)
    sha256 = None if address is not None and trust else weights.sha256
    if sha256 is None and not trust:
        raise UsageError(
            f"no SHA-256 is known for {redact_address(chosen)}; take it unchecked with --trust (trust=True)"
        )
    path = pulled_path(row, weights)
    if folder is not None:
        name = PurePosixPath(unquote(urlsplit(chosen).path)).name
        path = Path(folder) / (name if name.isprintable() and name not in ("", "..") else weights.file)
    return _Job(chosen, path, sha256, weights.largest_bytes, time.monotonic() + LONGEST_S, progress)


@contextlib.contextmanager
def _alone(job: _Job) -> Iterator[None]:
    """Wait until no other process downloads the same file."""
    lock = job.path.with_name(f".{job.path.name}.lock")
    file = _open_itself(lock, os.O_RDONLY | os.O_CREAT)
    try:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > job.until:
                    raise OutputError(f"cannot write {job.path}: another process has been at it for too long") from None
                time.sleep(_LOOKED_AT_S)
        yield
    finally:
        with contextlib.suppress(OSError):
            if job.part.lstat().st_size == 0:
                job.part.unlink()  # nothing has arrived
        os.close(file)


def _open_itself(path: Path, flags: int) -> int:
    """A descriptor of a file, never of what a symbolic link in its place leads to, nor waiting for a pipe's other end.

    Raises:
        OutputError: there is a link.
    """
    try:
        return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise OutputError(f"cannot write {path}: it is a symbolic link; remove it") from None


def _is_own(path: Path) -> bool:
    """Whether there is a plain file, to which no link leads."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def _own_part(job: _Job) -> int:
    """The length of what has arrived so far; makes the file, so that nobody else can put a link into its place.

    Raises:
        OutputError: what is there is no plain file of this user.
    """
    file = _open_itself(job.part, os.O_WRONLY | os.O_CREAT)
    try:
        found = os.fstat(file)
    finally:
        os.close(file)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 or found.st_uid != os.geteuid():
        raise OutputError(f"cannot write {job.part}: what is there is no plain file of this user; remove it")
    return found.st_size


def _download(job: _Job) -> str:
    """Fetch, check, put in place; returns the hash."""
    if job.sha256 is None:
        job.part.unlink(missing_ok=True)  # what is there may be of another version, and no hash would tell
    for attempt in range(ATTEMPTS):
        try:
            if _fetch(job):
                break
        except (http.client.HTTPException, urllib.error.URLError, ConnectionError, TimeoutError) as error:
            late = time.monotonic() >= job.until
            if late or attempt == ATTEMPTS - 1 or not _worth_repeating(error):
                raise _network_error(job, error, late=late) from error
        except OSError:
            job.part.unlink(missing_ok=True)  # a full disk is not left full
            raise
    else:
        raise DownloadError(f"{job.shown} breaks off; run the same command again to go on where it stopped")
    digest = _sha256(job.part)
    if job.sha256 is not None and digest != job.sha256:
        job.part.unlink()
        raise DownloadError(
            f"{job.shown} is not the pinned file and was removed: SHA-256 must be {job.sha256}, got {digest}"
        )
    job.part.replace(job.path)
    return digest


def _fetch(job: _Job) -> bool:
    """One request, from where the last one stopped; True if the file is now as long as the server says."""
    have = _own_part(job)
    headers = {"User-Agent": "vidgraph", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        response = open_address(job.address, headers, until=job.until)
    except urllib.error.HTTPError as error:
        error.close()
        error.msg = one_line(error.msg or "")[:_LONGEST_REASON]
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            if job.sha256 == _sha256(job.part):
                return True  # it had arrived whole, and only the renaming was missing
            job.part.unlink()
            return False
        raise
    with response:
        resumed = response.status == http.client.PARTIAL_CONTENT and _starts_at(response, have)
        done = have if resumed else 0
        total = None if response.length is None else done + int(response.length)
        with job.part.open("ab" if resumed else "wb") as file:
            done = _copy(response, file, done, total, job)
    return total is None or done >= total


def _starts_at(response: Any, position: int) -> bool:
    return str(response.headers.get("Content-Range", "")).startswith(f"bytes {position}-")


def _copy(response: Any, file: IO[bytes], done: int, total: int | None, job: _Job) -> int:
    """Append what arrives; returns the length so far. What has arrived before a break stays.

    Raises:
        DownloadError: it is more than the row of the model allows; what has arrived is removed.
    """
    while max(done, total or 0) <= job.largest_bytes:
        chunk = _read(response)
        if not chunk:
            return done
        file.write(chunk)
        done += len(chunk)
        if job.progress is not None:
            job.progress(done, total)
    job.part.unlink()
    raise DownloadError(f"{job.shown} is longer than the {job.largest_bytes} bytes that such weights may have")


def _read(response: Any) -> bytes:
    """The next bytes, as they come; what goes wrong here is the connection's fault, not the disk's."""
    try:
        data: bytes = response.read1(_CHUNK)
    except OSError as error:
        raise ConnectionError(error.strerror or str(error)) from error
    return data


def _worth_repeating(error: Exception) -> bool:
    """A broken connection is; an answer of the server, or no way to it, is not."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code >= 500
    return not isinstance(error, urllib.error.URLError)


def _network_error(job: _Job, error: Exception, *, late: bool) -> DownloadError:
    redact_error(error)
    by_hand = f"download {job.shown} elsewhere and put it as {job.path.name} into {job.path.parent}"
    if late:
        return DownloadError(
            f"{job.shown} takes longer than {LONGEST_S:g} s; run the same command again to go on, or {by_hand}"
        )
    if isinstance(error, urllib.error.HTTPError):
        return DownloadError(f"the server answers {error.code} {error.reason} for {job.shown}; or {by_hand}")
    reason = getattr(error, "reason", None) or error
    text = (getattr(reason, "strerror", None) or str(reason) or type(reason).__name__)[:_LONGEST_REASON]
    if isinstance(error, urllib.error.URLError):
        return DownloadError(f"cannot reach {urlsplit(job.address).hostname} ({text}); {by_hand}")
    return DownloadError(f"{job.shown} breaks off ({text}); run the same command again to go on, or {by_hand}")


def _sha256(path: Path) -> str:
    with os.fdopen(_open_itself(path, os.O_RDONLY), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

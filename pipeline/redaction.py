"""What of an address may be seen, and what of a text may reach a terminal.

Of an address stay scheme, host, port, plain segments of the path and the names in the query. All else becomes ``***``:
user names and passwords, values, fragments, matrix parameters, and whatever is not recognised. Nothing is looked up in
a list of secret names, because such a list is never complete.
"""

from __future__ import annotations

import logging
import os
import re
import traceback
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise

HIDDEN = "***"
OWN_OPTIONS = frozenset(
    (
        *("clips", "difficulty", "first", "flow", "frames", "rate", "seed", "shot", "size", "split"),
        *("faces", "images", "masks", "pngs"),
    )
)
"""Options of synthetic scenes and of data sets, as in ``synth:street?seed=7``, whose values are no secret."""

_NETWORK = frozenset(
    (
        *("http", "https", "ws", "wss", "ftp", "sftp", "s3", "gs", "rtsp", "rtsps", "rtmp", "rtmpe", "rtmps", "rtmpt"),
        *("srt", "rtp", "udp", "tcp", "tls", "mms"),
    )
)
"""Schemes that are recognised with a slash too few as well."""

_LONGEST_SCHEME = 32
_LONGEST_PATH = 1024
_NAME = r"[A-Za-z][A-Za-z_-]{0,31}="  # of a parameter; one with digits may be a token itself
_COLON = r"(?::|%3A)(?P<slashes>(?:[/\\]|%2F|%5C)*+)"
_MARK = re.compile(_COLON, re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*\Z")
_ADDRESS = re.compile(
    rf"(?:[A-Za-z0-9_][A-Za-z0-9_. -]*+=)?(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*+)(?:{_COLON})", re.IGNORECASE
)
_NO_SCHEME = re.compile(r"(?P<user>[^:/\\@]{2,}):.*@", re.DOTALL)  # one letter is a drive
_OPENER = re.compile(r"(?P<quote>['\"`])(?:[A-Za-z0-9_][A-Za-z0-9_. -]{0,63}=)?\Z")
_SEPARATOR = re.compile(r"[\s'\"`,;|(<\[]")
_SPACE = re.compile(r"[ \t\r\n]")
_SENTENCE = re.compile(r"[:;,.!?)\]}>'\"]+[ \t\r\n]|[ \t\r\n][(\[<'\"]")  # goes on after an address
_UNCLEAR = re.compile(r"[?#;=%]")  # an @ after one of these may be part of a value
_AUTHORITY = re.compile(r"(?>\[[0-9A-Fa-f:.%\w]{2,64}\]|\w[\w.-]{0,252})(?::(?:\d{1,5}|PORT))?(?=[/\\?#;]|\Z)")
_SEGMENT = re.compile(r"(?:[\w .~!$()*+,'-]|%20|%[89A-F][0-9A-F])*+", re.IGNORECASE)
_PARAMETER = re.compile(rf"{_NAME}(?=[^=])")
_LOOSE = re.compile(r"(?:(?P<scene>\bsynth:\w{0,32})|(?<=[^\s?&#]))(?P<query>[?&#][A-Za-z_][\w.-]{0,63}=[^\s=]\S*+)")
_NUMBERS = re.compile(r"(?:[?&][A-Za-z_]{1,32}=\d{1,9})++")
_DATA = re.compile(r"\bdata:[\w.+/-]{0,99}[;,]\S++", re.IGNORECASE)
_AFTER = "'\"`<>)]}.,:;!?…"  # the sentence around an address

_SHORTEST_HIDDEN = 4
_hidden: set[str] = set()

_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # control and format characters, halves, line separators
_WITHIN_WORDS = frozenset("\u00ad\u200c\u200d")


def hide(value: str) -> None:
    """From now on show ``value``, which was put into the path of an address, in no path of an address.

    Less than four characters are no secret, and not hidden.
    """
    _hidden.update(piece for piece in re.split(r"[?#;]", value) if len(piece) >= _SHORTEST_HIDDEN)


def redact(text: str) -> str:
    """``text`` with what may be secret in its addresses replaced by ``***``; takes time linear in its length.

    Where an address ends is not always clear, because a password may have any character: then rather too much of the
    text is hidden than too little. An address that is known as such goes through :func:`redact_address`.
    """
    parts: list[str] = []
    done = 0
    for (begin, start), (limit, _) in pairwise((*_starts(text), (len(text), 0))):
        if begin < done:
            continue  # within the quotes of the one before
        scheme = text[begin:start]
        end = _closing_quote(text, begin, start) or _end_in_sentence(scheme, text, start, limit)
        parts += (_without_loose(text[done:begin]), scheme, _shown(scheme, text[start:end]))
        done = end
    return "".join((*parts, _without_loose(text[done:])))


def redact_address(address: str) -> str:
    """What may be seen of a text that is one address, or a path.

    What exists under exactly this name is a file, whatever characters it has, and stays as it is.
    """
    if os.path.lexists(address):
        return address
    found = _ADDRESS.match(address)
    if found and _is_start(found["scheme"], found["slashes"]):
        return address[: found.end()] + _shown(found["scheme"], address[found.end() :])
    return _shown("", address) if _NO_SCHEME.match(address) else redact(address)


def printable(text: str, keep: str = "") -> str:
    """``text`` for a terminal: characters that move the cursor, change the writing direction or do not show, escaped.

    Args:
        keep: those of them that stay, such as the line end.
    """
    if text.isprintable():
        return text
    return "".join(char if char in keep or _shows(char) else char.encode("unicode_escape").decode() for char in text)


def one_line(text: str) -> str:
    """``text`` as a message: :func:`redact`, all on one line, :func:`printable`."""
    text = redact(text)
    return printable(text if text.isprintable() else " ".join(text.split()))


def redact_error(error: BaseException) -> None:
    """Clean what an error of another library says: a traceback shows it as the cause of ours."""
    error.args = tuple(printable(redact_address(each)) if isinstance(each, str) else each for each in error.args)


class RedactRecords(logging.Filter):
    """Redacts messages and tracebacks before any handler, of whoever uses the package, has them."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True; the record is changed where there is something to hide."""
        try:
            message = record.getMessage()
        except Exception:  # arguments that do not fit, or cannot be shown: the handler reports that
            return True
        shown = redact(message)
        if shown != message:
            record.msg, record.args = shown, None
        if record.exc_info and record.exc_info[1] is not None and not record.exc_text:
            with suppress(Exception):
                record.exc_text = redact("".join(traceback.format_exception(record.exc_info[1]))).rstrip()
        return True


def _starts(text: str) -> Iterator[tuple[int, int]]:
    """Where the scheme of each address begins, and what follows it; of nested addresses only the outermost."""
    within = False
    looked = 0
    for mark in _MARK.finditer(text):
        before = _SCHEME.search(text[max(0, mark.start() - _LONGEST_SCHEME) : mark.start()])
        begin = mark.start() - (len(before[0]) if before else 0)
        if not _is_start(text[begin : mark.start()], mark["slashes"]):
            continue
        if not mark["slashes"] and not text[mark.end() : mark.end() + 1].strip(_AFTER + " \t\r\n"):
            continue  # ``udp:`` at the end of a word
        if not within or _SEPARATOR.search(text, looked, begin):
            yield begin, mark.end()
        within, looked = True, mark.end()


def _is_start(scheme: str, slashes: str) -> bool:
    several = len(re.sub("%..", "/", slashes)) > 1
    return (several and len(scheme) != 1) or scheme.lower() in _NETWORK  # one letter is a drive


def _closing_quote(text: str, begin: int, start: int) -> int | None:
    """The end of an address that stands in quotes; None where it does not."""
    opener = _OPENER.search(text[max(0, begin - 66) : begin])
    if opener is None:
        return None
    quote = opener["quote"]
    closing = re.compile(rf"(?:\\.|[^\\{quote}])*+{quote}", re.DOTALL).match(text, start)
    return None if closing is None else closing.end() - 1


def _end_in_sentence(scheme: str, text: str, start: int, limit: int) -> int:
    """The end of an address among words: its first word where that has nothing to hide.

    Otherwise, because passwords and values may have blanks, it goes on to the word with the last ``@`` before
    ``limit``, and from a parameter to where the sentence goes on.
    """
    end = _before(_SPACE, text, start, limit)
    word = text[start:end].rstrip(_AFTER)
    if _shown(scheme, word) == word and ("/" in word or word.startswith(HIDDEN)):
        return start + len(word)
    at = text.rfind("@", end, limit)
    end = _before(_SPACE, text, max(at, start), limit)
    value = _UNCLEAR.search(text, max(at, start), end)
    if value is not None:
        end = _before(_SENTENCE, text, value.start(), limit)
    return start + len(text[start:end].rstrip(_AFTER + " \t\r\n"))


def _before(pattern: re.Pattern[str], text: str, start: int, limit: int) -> int:
    found = pattern.search(text, start, limit)
    return limit if found is None else found.start()


def _shown(scheme: str, address: str) -> str:
    """What may be seen of an address, without its scheme."""
    if not address:
        return ""
    place, user = address, ""
    at = address.rfind("@")
    if at >= 0:
        if _UNCLEAR.search(address, 0, at) and _AUTHORITY.match(address):
            return HIDDEN  # a password with a question mark, or an @ in the query
        place, user = address[at + 1 :], HIDDEN + "@"
    host = _AUTHORITY.match(place)
    if host is None:
        return HIDDEN
    path, mark, query = _split(place[host.end() :])
    return user + host[0] + _path(scheme, path) + mark + _parameters(query, own=False)


def _split(rest: str) -> tuple[str, str, str]:
    cut = re.search(r"[?#]", rest)
    return (rest, "", "") if cut is None else (rest[: cut.start()], cut[0], rest[cut.end() :])


def _path(scheme: str, path: str) -> str:
    """A path up to the first segment that is no plain name; of RTMP up to the second, which is the stream's key."""
    path, matrix, _ = path.partition(";")
    for value in sorted(_hidden, key=len, reverse=True):
        path = path.replace(value, HIDDEN)
    pieces = re.split(r"([/\\])", path)
    plain = 4 if scheme.lower().startswith("rtmp") else len(pieces)
    for number, piece in enumerate(pieces):
        if piece and (number >= plain or not (number % 2 or _SEGMENT.fullmatch(piece))):
            return "".join(pieces[:number]) + HIDDEN
    return path + matrix + (matrix and HIDDEN)


def _parameters(query: str, *, own: bool) -> str:
    """``token=abc&x`` -> ``token=***&***``; with ``own``, the values of :data:`OWN_OPTIONS` stay."""
    pieces = re.split(r"([?#&;])", query)
    for number in range(0, len(pieces), 2):
        name = _PARAMETER.match(pieces[number])
        if pieces[number] and not (own and pieces[number].partition("=")[0] in OWN_OPTIONS):
            pieces[number] = (name[0] if name else "") + HIDDEN
    return "".join(pieces)


def _without_loose(text: str) -> str:
    """``text`` between addresses: ``data:`` and queries without a scheme."""
    return _LOOSE.sub(_loose, _DATA.sub(_data, text))


def _data(found: re.Match[str]) -> str:
    return "data:" + HIDDEN + found[0][len(found[0].rstrip(_AFTER)) :]


def _loose(found: re.Match[str]) -> str:
    query, scene = found["query"].rstrip(_AFTER), found["scene"] or ""
    if (scene and _NUMBERS.fullmatch(query)) or os.path.lexists(_word_to(found.string, found.start("query")) + query):
        return found[0]  # a misspelt option; a file
    return scene + query[0] + _parameters(query[1:], own=True) + found["query"][len(query) :]


def _word_to(text: str, end: int) -> str:
    """The part before ``end`` of the word there."""
    start = max(0, end - _LONGEST_PATH)
    return text[max(start, *(text.rfind(mark, start, end) + 1 for mark in " \t\r\n'\"(")) : end]


def _shows(char: str) -> bool:
    return unicodedata.category(char) not in _INVISIBLE or char in _WITHIN_WORDS


logging.getLogger("vidgraph").addFilter(RedactRecords())

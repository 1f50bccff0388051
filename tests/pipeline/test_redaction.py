"""What of addresses may be seen, in every place of an address where a secret can be, and in linear time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from vidgraph.pipeline.errors import redact
from vidgraph.pipeline.redaction import OWN_OPTIONS, printable, redact_address
from vidgraph.stages.sources.synthetic.settings import SPLITS, parse_synthetic
from vidgraph.training.datasets.registry import FORMATS

SECRET = "S3CR3T"
KINDS = [redact, redact_address]
CHARACTERS = [*map(chr, range(1, 256)), "é", "\u2028", "\u202e", "字"]

SHOWN = {
    "https://h/v.mp4?access_token=S": "https://h/v.mp4?access_token=***",
    "https://h/v.mp4?X-Amz-Signature=S&X-Amz-Date=1": "https://h/v.mp4?X-Amz-Signature=***&X-Amz-Date=***",
    "https://h/v?S": "https://h/v?***",
    "https://h/v?U0VDUkVU==": "https://h/v?***",
    "https://h/v#token=S": "https://h/v#token=***",
    "https://h/v#S": "https://h/v#***",
    "https://h/v;jsessionid=S": "https://h/v;***",
    "https://h/exp=1~hmac=S/v.mp4": "https://h/***",
    "https://h/bot1:S/v.mp4": "https://h/***",
    "https://h/a%3FS": "https://h/***",
    "http://u:p@S@h/v": "http://***@h/v",
    "http://u:p/S@h/v": "http://***@h/v",
    "http://u:p?S@h/v": "http://***@h/v",
    "http://u:p#S@h/v": "http://***@h/v",
    "rtsp://user:p@ss/w rd@host:554/live": "rtsp://***@host:554/live",
    "http://S@h": "http://***@h",
    "HTTPS://U:S@H/V?T=S": "HTTPS://***@H/V?T=***",
    "http://u:S@[fe80::1%25eth0]:80/v": "http://***@[fe80::1%25eth0]:80/v",
    "srt://h:9000?streamid=S&passphrase=S": "srt://h:9000?streamid=***&passphrase=***",
    "rtmp://h/app/S?x=S": "rtmp://h/app/***?x=***",
    "data:video/mp4;base64,S": "data:***",
    "http%3A%2F%2Fu%3AS%40h": "http%3A%2F%2F***",
    r"http:\/\/u:S@h\/v": r"http:\/\/***@h\/v",
    "http:/u:S@h/v": "http:/***@h/v",
    "http:u:S@h/v": "http:***@h/v",
    "http://proxy/http://u:S@h/v": "http://***@h/v",
    "http://proxy/?u=http://u:S@h/v": "http://***",  # whose @ it is cannot be told
    "cam=rtsp://u:S@h/v": "cam=rtsp://***@h/v",
    "cdn.example.org/v.mp4?access_token=S": "cdn.example.org/v.mp4?access_token=***",
    "synth:street?token=S&seed=7": "synth:street?token=***&seed=7",
}
UNCHANGED = [
    *("a@b.mp4", "x?y.mp4", "/tmp/a#b;c=d@e.mp4", "C:\\clips\\a@b\\x?y#z.mp4", "dir/50%.mp4", "-", ""),
    *("synth:street?seed=7&size=640x360&frames=25", "coco:annotations.json?images=photos&masks=no"),
    *("http://10.0.0.8:8080/live/main.m3u8", "https://example.org/a/b-c_d.mp4", "file:///clips/a.mp4"),
    "at 12:30:05 https://h/v.mp4: mail ann@example.org; see http:// and https:// addresses",
    "must be http://HOST:PORT, as in http://127.0.0.1:8080",
    "download https://h/a.pth and put it as a.pth into /srv/ann@example.org/weights",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("address", "shown"), SHOWN.items())
def test_what_is_shown(address: str, shown: str, kind: Callable[[str], str]) -> None:
    assert kind(address) == shown
    assert kind(shown) == shown, "messages go through it several times"
    assert redact(f"cannot open {address!r}: no answer") == f"cannot open {shown!r}: no answer"


@pytest.mark.parametrize("text", UNCHANGED)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "form",
    [
        *("http://user:pa{}S3CR3T@host/v", "http://user:{}S3CR3T@host/v", "http://user:S3CR3T{}@host/v"),
        *("rtsp://us{}er:S3CR3T@host/v", "rtsp://{}user:S3CR3T@host", "http://{}S3CR3T@host/", "http://S3CR3T{}@host"),
        *("http://u:S3CR3T{}S3CR3T@host:80/v?a=b", "http://host/v?t=a{}S3CR3T", "http://host/v?t={}S3CR3T&b=1"),
        "http://host/v;m=a{}S3CR3T",
    ],
)
def test_any_character_in_a_secret(form: str, kind: Callable[[str], str]) -> None:
    leaks = [char for char in CHARACTERS if SECRET in kind(form.format(char))]
    assert leaks == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("OSError: rtsp://a:b@door/live?token=c: no route", "OSError: rtsp://***@door/live?token=***: no route"),
        ('{"a":"http://h/v?t=S","b":1}', '{"a":"http://h/v?t=***","b":1}'),
        ("see (http://h/v?t=S), then", "see (http://h/v?t=***), then"),
        ("http://a/x,http://u:S@b http://c", "http://a/x,http://***@b http://c"),
        ("[Errno 5] x: 'http://u:p w@h/v?t=S S'", "[Errno 5] x: 'http://***@h/v?t=***'"),
        ("GET /v.mp4?access_token=S failed", "GET /v.mp4?access_token=*** failed"),
        ("ann:S@10.0.0.8/main", "ann:S@10.0.0.8/main"),  # a file may have such a name
    ],
)
def test_addresses_in_a_sentence(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_an_address_whose_scheme_was_forgotten() -> None:
    assert redact_address("ann:S@10.0.0.8/main") == "***@10.0.0.8/main"


def test_what_exists_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = "take?no=1&a=b;c#d@e.mp4"
    assert redact_address(name) == "take?no=***&a=***;***#***"
    Path(name).touch()
    assert redact_address(name) == name
    assert redact(f"cannot read '{name}': no; {name}: no") == f"cannot read '{name}': no; {name}: no"


def test_options_of_our_own_addresses_are_known() -> None:
    options = {option for each in FORMATS.values() for option in each.options}
    scenes = "synth:street?seed=1&size=64x64&frames=1&rate=5&difficulty=easy&clips=1&first=0&shot=4&flow=0"
    assert parse_synthetic(scenes).seed == 1
    options |= {pair.partition("=")[0] for pair in scenes.partition("?")[2].split("&")} | {"split"}
    assert SPLITS
    assert options == OWN_OPTIONS


@pytest.mark.parametrize("kind", [redact, redact_address, printable])
@pytest.mark.parametrize(
    "piece",
    [
        *(
            "A",
            ":",
            "A:",
            "@",
            "http:",
            "http://",
            "'http://",
            " 'http://x",
            " http://a?b",
            "x=http://",
            "http://u:p ' ",
        ),
        *("?a=b", "data:", "%3A", ":/", "\\", "http://@ ", "&a", "\x1b", f"{'a' * 31}:", "http://h/.", "=http://a?b "),
    ],
)
def test_time_is_linear(piece: str, kind: Callable[[str], str]) -> None:
    def seconds(length: int) -> float:
        text = (piece * length)[:length]
        began = time.process_time()
        kind(text)
        return time.process_time() - began

    assert seconds(200_000) < 2.0, "quadratic would be a minute and more"


def test_printable() -> None:
    assert printable("Straße 字 👩\u200d👧 a b") == "Straße 字 👩\u200d👧 a b"
    assert printable("a\x1b[31m\u202e\x9b\r\n\u2028\udcff") == r"a\x1b[31m\u202e\x9b\r\n\u2028\udcff"
    assert printable("a\n\tb\x07", keep="\n\t") == "a\n\tb\\x07"


def test_log_records_are_redacted_for_every_handler(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("vidgraph")
    with caplog.at_level(logging.DEBUG, "vidgraph"):
        try:
            raise ValueError(f"http://u:{SECRET}@h/v is bad")
        except ValueError:
            log.warning("%s: %d frames", f"http://h/v?t={SECRET}", 3, exc_info=True)
    assert "http://h/v?t=***: 3 frames" in caplog.text
    assert "ValueError: http://***@h/v is bad" in caplog.text
    assert SECRET not in caplog.text

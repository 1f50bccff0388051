"""Addresses of cameras: variables, passwords, and what is wrong with one, said without its secrets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from vidgraph.pipeline.errors import SourceError, UsageError
from vidgraph.stages.sources.camera.address import read_address
from vidgraph.stages.sources.camera.options import CameraOptions
from vidgraph.stages.sources.camera.source import CameraSource
from vidgraph.stages.sources.registry import open_source, open_sources

VALUES = {"WORD": "a/b#c%d@e:é$ {}", "HOST": "10.0.0.8", "KEY": "x&y=z", "LINES": "a/b\r\nc é", "BYTES": "caf\udce9"}


@pytest.mark.parametrize(
    ("text", "url", "shown"),
    [
        ("rtsp://10.0.0.8/main", "rtsp://10.0.0.8/main", "rtsp://10.0.0.8/main"),
        ("RTSP://Cam.local:8554", "rtsp://Cam.local:8554", "rtsp://Cam.local:8554"),
        (
            "rtsp://ann:${WORD}@h/x",
            "rtsp://ann:a%2Fb%23c%25d%40e%3A%C3%A9%24%20%7B%7D@h/x",
            "rtsp://***@h/x",
        ),
        ("rtsp://ann:p@ss@h/x", "rtsp://ann:p%40ss@h/x", "rtsp://***@h/x"),
        ("rtsp://ann:p%40ss@h/x", "rtsp://ann:p%40ss@h/x", "rtsp://***@h/x"),
        ("rtsp://ann:50%@h/x", "rtsp://ann:50%25@h/x", "rtsp://***@h/x"),
        ("rtsp://ann@${HOST}:8554/a?channel=1", "rtsp://ann@10.0.0.8:8554/a?channel=1", "rtsp://***@10.0.0.8:8554/a?channel=***"),
        ("rtsp://[fe80::1]:554/a", "rtsp://[fe80::1]:554/a", "rtsp://[fe80::1]:554/a"),
        ("srt://h:9?passphrase=${KEY}", "srt://h:9?passphrase=x%26y%3Dz", "srt://h:9?passphrase=***"),
        ("rtsp://h/${LINES}?a=${KEY}", "rtsp://h/a/b%0D%0Ac%20%C3%A9?a=x%26y%3Dz", "rtsp://h/***?a=***"),
        ("rtsp://ann:${BYTES}@h/${BYTES}", "rtsp://ann:caf%E9@h/caf%E9", "rtsp://***@h/***"),
        ("udp://@:1234", "udp://@:1234", "udp://***"),
    ],
)  # fmt: skip
def test_what_ffmpeg_is_given_and_what_is_shown(text: str, url: str, shown: str) -> None:
    place = read_address(text, VALUES)
    assert (place.url, place.shown) == (url, shown)
    for secret in ("a/b", "p@ss", "p%40ss", "ann:", "ann@"):
        assert secret not in repr(place)


def test_the_password_as_it_is() -> None:
    place = read_address("rtsps://ann:${WORD}@h/x", VALUES)
    assert (place.user, place.password, place.host, place.port) == ("ann", VALUES["WORD"], "h", 322)
    assert not place.literal_password
    assert read_address("rtsp://ann:x@h").literal_password


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rtsp://ann:se/cret@h/x", "the password has a raw '/', '\\?' or '#'; write it percent-encoded"),
        ("rtsp://ann:se#cret@h/x", "the password has a raw"),
        ("rtsp://h:99999/x", "the port must be a number from 1 to 65535"),
        ("rtsp://h:no/x", "the port must be a number"),
        ("rtsp:///x", "the host is missing; write rtsp://HOST/PATH"),
        ("rtsp://ann:${NONE}@h/x", "the environment variable NONE is not set"),
        ("/dev/null", "not an address of a camera"),
    ],
)
def test_what_is_wrong_with_an_address(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        read_address(text, VALUES)
    assert "cret" not in str(caught.value)
    assert "ann" not in str(caught.value)


def test_a_camera_is_opened_without_being_asked() -> None:
    (source,) = open_source("door=rtsp://10.255.255.1/main")
    assert isinstance(source, CameraSource)
    assert source.live
    assert source.stream_id == "door"
    source.open()
    source.close()
    assert source.status.state in ("connecting", "down")
    (source,) = open_source("rtsp://10.255.255.1:8554/main")
    assert source.stream_id == "10.255.255.1"
    (source,) = open_source("/dev/v4l/by-id/usb-046d_C920-video-index0")
    assert source.stream_id == "usb-046d_C920-video-index0"
    sources = open_sources(["rtsp://10.0.0.8/1", "rtsp://10.0.0.8/2", "/dev/video0"])
    assert [each.stream_id for each in sources] == ["10.0.0.8", "10.0.0.8-2", "video0"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": 1.0}, "start and end are for recordings"),
        ({"end": "1:00"}, "start and end are for recordings"),
        ({"frames": 0}, "frames must be at least 1"),
    ],
)
def test_parts_that_a_camera_does_not_have(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_source("rtsp://h/x", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"freeze_s": 0.0}, "freeze_s must be seconds above 0"),
        ({"give_up_s": -1.0}, "give_up_s must be seconds from 0"),
        ({"transport": "pigeon"}, "transport must be one of auto, tcp, udp, multicast"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        CameraOptions(**options)


def test_a_password_on_the_command_line_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    address = "rtsp://ann:S3CR3T@10.0.0.8/main"
    open_source(address)
    assert not caplog.records  # from a program, or a list
    monkeypatch.setattr(sys, "argv", ["vidgraph", "run", f"door={address}"])
    open_source(f"door={address}")
    assert "every user of this machine can see a password on the command line" in caplog.text
    assert "S3CR3T" not in caplog.text
    caplog.clear()
    monkeypatch.setenv("WORD", "S3CR3T")
    monkeypatch.setattr(sys, "argv", ["vidgraph", "run", "rtsp://ann:${WORD}@h/x"])
    open_source("rtsp://ann:${WORD}@h/x")
    assert not caplog.records


@pytest.mark.parametrize(
    ("user", "word", "warned"), [("admin", "admin", True), ("ann", "", True), ("ann", "x9", False)]
)
def test_a_password_that_everybody_tries(user: str, word: str, warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    source = CameraSource(f"rtsp://{user}:{word}@127.0.0.1:9/x")
    source.open()
    assert ("everybody tries first" in caplog.text) is warned
    assert "admin" not in caplog.text


def test_the_value_of_a_variable_is_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "S3CR3T")
    (source,) = open_source("http://10.0.0.8/${KEY}.m3u8")
    assert source.stream_id == "10.0.0.8"
    (source,) = open_source("http://10.0.0.8/main.m3u8?key=${KEY}")
    assert source.stream_id == "main"


def test_a_list_of_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORD", "S3CR3T")
    listed = tmp_path / "list.txt"
    listed.write_text("# cameras\n\ndoor=rtsp://ann:${WORD}@10.0.0.8/main\n  rtsp://10.0.0.9/main\n/dev/video0\n")
    sources = open_sources([str(listed), "synth:street"])
    assert [each.stream_id for each in sources] == ["door", "10.0.0.9", "video0", "street"]
    assert [each.live for each in sources] == [True, True, True, False]
    listed.write_text("a=rtsp://h/1\na=rtsp://h/2\n")
    with pytest.raises(UsageError, match="two sources are named 'a'"):
        open_source(str(listed))
    listed.write_text("rtsp://h/1\nrtsp://h/2\n")
    with pytest.raises(UsageError, match=r"the name 'n' is for one stream, but .* has 2"):
        open_source(f"n={listed}")
    listed.write_bytes(b"\xef\xbb\xbfgate=rtsp://h/1\r\n\r\n")  # as Windows writes it
    assert [each.stream_id for each in open_source(str(listed))] == ["gate"]
    listed.write_text("other.txt\n")
    with pytest.raises(UsageError, match="a list cannot name another list"):
        open_source(str(listed))
    listed.write_text("# nothing\n")
    with pytest.raises(SourceError, match="has no address; write one a line"):
        open_source(str(listed))

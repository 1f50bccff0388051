"""``vidgraph run cams.toml`` and ``vidgraph check-config``, with cameras of the fault kit and with files."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from vidgraph.testing import RtspCamera, make_clip

from ..conftest import Command, Ended
from ..waiting import frames_in, until

Main = Callable[..., Ended]
DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
SECRET = "S3CR3T/é#"
HEAD = """[run]
outputs = ["{stream}.jsonl"]
[defaults]
model = "retinaface-tiny"
size = 160
"""


def test_files_played_as_cameras_are_run_to_their_ends(vidgraph: Main, tmp_path: Path, face_clip: Path) -> None:
    (tmp_path / "cams.toml").write_text(
        f"{HEAD}[cameras.door]\naddress = '{face_clip}'\n"
        "[cameras.yard]\naddress = 'synth:street?frames=5&size=160x96'\nmodel = 'yolact-edge-tiny'\nsize = '160x96'\n"
    )
    ended = vidgraph("run", "cams.toml", "-o", "all-{stream}.mp4")
    assert ended.code == 0, ended.err
    assert "retinaface-tiny" in ended.err
    assert "yolact-edge-tiny" in ended.err
    assert ended.err.count("finished") == 2
    assert frames_in(tmp_path / "door.jsonl")[-1]["frame"] == 39
    assert frames_in(tmp_path / "yard.jsonl")[-1]["frame"] == 4
    assert (tmp_path / "all-door.mp4").exists()
    again = vidgraph("run", "cams.toml")
    assert again.code == 1
    assert "door.jsonl exists already" in again.err
    assert vidgraph("run", "cams.toml", "-y", "-q").err == ""


def test_cameras_run_until_a_signal_and_follow_the_file(command: Command, tmp_path: Path) -> None:
    command.environment["CAM_PASSWORD"] = SECRET
    file = tmp_path / "cams.toml"
    with RtspCamera(make_clip(), cameras=2, auth="md5", password=SECRET) as served:
        login = "user = 'user'\npassword = '${CAM_PASSWORD}'\ntransport = 'tcp'\n"
        door, yard = (
            f"[cameras.{n}]\naddress = '{url}'\n{login}" for n, url in zip(("door", "yard"), served.urls, strict=True)
        )
        file.write_text(HEAD + door)
        process = command.start("run", "cams.toml")
        try:
            until(lambda: frames_in(tmp_path / "door.jsonl") or process.poll() is not None)
            file.write_text(HEAD + door + "evry = 3\n")
            time.sleep(1.5)
            file.write_text(HEAD + door + yard)
            until(lambda: frames_in(tmp_path / "yard.jsonl") or process.poll() is not None)
            assert (served.counts.sessions, served.counts.teardowns) == (2, 0)  # the door was not touched
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 128 + signal.SIGTERM, err
    assert "cameras.door.evry: unknown key; did you mean every" in err
    written = out + err + "".join((tmp_path / f"{name}.jsonl").read_text() for name in ("door", "yard"))
    assert not [hidden for hidden in (SECRET, "S3CR3T", "user:") if hidden in written]
    index = [frame["frame"] for frame in frames_in(tmp_path / "door.jsonl")]
    assert index == sorted(set(index))


def test_mistakes_are_a_line_each(vidgraph: Main, tmp_path: Path) -> None:
    (tmp_path / "cams.toml").write_text(f"{HEAD}[cameras.door]\nadress = 'x'\nevry = 3\n")
    for words in (("check-config", "cams.toml"), ("run", "cams.toml")):
        ended = vidgraph(*words)
        assert (ended.code, ended.out) == (2, "")
        assert ended.err.splitlines() == [
            "cams.toml:6: cameras.door.address: is missing; every camera needs its address",
            "cams.toml:7: cameras.door.adress: unknown key; did you mean address or labels?",
            "cams.toml:8: cameras.door.evry: unknown key; did you mean every or user?",
        ]


def test_options_of_the_file_are_not_given_beside_it(vidgraph: Main, tmp_path: Path) -> None:
    (tmp_path / "cams.toml").write_text(f"{HEAD}[cameras.door]\naddress = 'synth:street?frames=2'\n")
    ended = vidgraph("run", "cams.toml", "--model", "retinaface-tiny", "--every", "3")
    assert (ended.code, ended.out) == (2, "")
    assert (
        "--model, --every: only -o, -y, -q and -v go with a file of cameras; what else it may have stands in cams.toml"
        in ended.err
    )
    (tmp_path / "cams.toml").write_text("[cameras.door]\naddress = 'synth:street?frames=2'\n")
    ended = vidgraph("run", "cams.toml")
    assert ended.code == 2
    assert "no output was given; -o '{stream}.jsonl', or outputs = ['{stream}.jsonl'] in cams.toml" in ended.err
    ended = vidgraph("run", "nothing.toml")
    assert (ended.code, ended.err) == (1, "vidgraph: cannot read nothing.toml: No such file or directory\n")


def test_connect_says_what_each_camera_sends_or_why_not(
    vidgraph: Main, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidgraph.models.config.connect.ANSWER_S", 3.0)
    monkeypatch.setattr("vidgraph.models.config.connect.RATE_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        dead = server.getsockname()[1]
    with RtspCamera(make_clip()) as served:
        text = f"""{HEAD}[cameras.door]
        address = "{served.url}"
        [cameras.clip]
        address = "synth:street?frames=2&size=160x96"
        """
        (tmp_path / "cams.toml").write_text(text)
        ended = vidgraph("check-config", "cams.toml", "--connect")
        assert ended.code == 0, ended
        door, clip = ended.out.splitlines()
        assert door.startswith("door: ")
        assert "h264" in door
        assert " fps" in door
        assert clip.startswith("clip: 160x96, ")
        (tmp_path / "cams.toml").write_text(f"{text}[cameras.dead]\naddress = 'rtsp://127.0.0.1:{dead}/x'\n")
        ended = vidgraph("check-config", "cams.toml", "--connect")
    assert ended.code == 1
    assert ended.out.splitlines()[2] == "dead: no picture within 3 s: refused"


def test_the_example_of_the_pages_is_right(vidgraph: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMERA_PASSWORD", SECRET)
    ended = vidgraph("check-config", DOCS / "cams.toml")
    assert ended.code == 0, ended.err
    assert [line.split(": ")[0] for line in ended.out.splitlines()] == ["door", "yard"]
    assert "CAMERA" not in ended.out + ended.err


def test_the_page_has_the_example_and_every_key() -> None:
    from vidgraph.models.config.tables import TABLES

    page = (DOCS / "configuration.md").read_text("utf-8")
    assert (DOCS / "cams.toml").read_text("utf-8") in page
    table = page[page.index("## Keys") : page.index("## Mistakes")]
    assert not [key for kind in TABLES.values() for key in kind.model_fields if f"`{key}`" not in table]


def test_the_schema_takes_what_is_right_and_refuses_what_is_not(vidgraph: Main) -> None:
    import tomllib

    ended = vidgraph("check-config", "--schema")
    schema = json.loads(ended.out)
    assert ended.out == (DOCS / "cameras.schema.json").read_text("utf-8")
    jsonschema.Draft202012Validator.check_schema(schema)
    example = tomllib.loads((DOCS / "cams.toml").read_text("utf-8"))
    assert example.keys() == schema["properties"].keys()
    jsonschema.validate(example, schema)
    for key, value in (("evry", 3), ("every", 0), ("every", "3"), ("transport", "tpc"), ("address", 3)):
        wrong = {**example, "cameras": {"door": {**example["cameras"]["door"], key: value}}}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_a_file_must_be_named_or_the_schema(vidgraph: Main) -> None:
    assert "no file was given; vidgraph check-config cams.toml" in vidgraph("check-config").err

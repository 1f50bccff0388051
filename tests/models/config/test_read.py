"""Files of cameras: what they become, and every mistake at once, with its file, line and key."""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path

import pytest
import vidgraph
from PIL import Image
from vidgraph import ConfigError, MissingExtraError, SourceError, UsageError
from vidgraph.models.config.camera_set import CameraSet
from vidgraph.models.config.read import LARGEST, read_cameras
from vidgraph.pipeline.options import rows_of
from vidgraph.stages import VideoSource
from vidgraph.stages.sources.camera.options import CameraOptions
from vidgraph.testing.certificate import self_signed

from ...material import make_clip

DOOR = "[cameras.door]\naddress = 'synth:street'\n"


def read(folder: Path, text: str) -> CameraSet:
    file = folder / "cams.toml"
    file.write_text(text, "utf-8")
    return read_cameras(file)


def mistakes(folder: Path, text: str) -> list[str]:
    """What is said, without the folder."""
    with pytest.raises(ConfigError) as caught:
        read(folder, text)
    assert caught.value.exit_code == 2
    assert all(mistake in str(caught.value) for mistake in caught.value.mistakes)
    return [mistake.replace(f"{folder}{os.sep}", "") for mistake in caught.value.mistakes]


def test_defaults_hold_where_a_camera_says_nothing(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """
        [run]
        outputs = ["{stream}.jsonl", "{stream}.mp4"]
        threads = 2
        max_latency = "100ms"
        overload = "skip"
        [defaults]
        model = "yolact-edge-tiny"
        max_fps = 5
        classes = ["person"]
        [cameras.door]
        address = "synth:street"
        zones.step = [[0, 0.5], [1, 0.5], [1, 1]]
        [cameras.yard]
        address = "synth:street?seed=3"
        model = "retinaface-tiny"
        size = "320x200"
        every = 3
        classes = ["face"]
        """,
    )
    door, yard = found.cameras["door"], found.cameras["yard"]
    assert (door.address, door.model) == ("synth:street", {"model": "yolact-edge-tiny"})
    assert door.options == {"max_fps": 5, "classes": ["person"], "zones": {"step": [(0, 0.5), (1, 0.5), (1, 1)]}}
    assert yard.model == {"model": "retinaface-tiny", "size": (200, 320)}
    assert yard.options == {"every": 3, "classes": ["face"]}
    outputs = [str(tmp_path / "{stream}.jsonl"), str(tmp_path / "{stream}.mp4")]
    assert found.shared == {"outputs": outputs, "threads": 2, "max_latency": 0.1, "overload": "skip"}


def test_how_a_camera_is_read_and_shown(tmp_path: Path) -> None:
    self_signed(tmp_path)
    how = {"corrupt": "drop", "deinterlace": "off", "rotate": 90, "mirror": True, "allow_redirect": True}
    how["tls_pin"] = str(tmp_path / "camera.pem")  # paths start from the file's folder
    trust = "allow_redirect = true\ntls_pin = 'camera.pem'\n"
    found = read(tmp_path, DOOR + "corrupt = 'drop'\ndeinterlace = 'off'\nrotate = 90\nmirror = true\n" + trust)
    assert found.cameras["door"].options == how
    with vidgraph.live(model="retinaface-tiny") as hub:
        hub.add("door", "rtsp://127.0.0.1:9/none", **how)  # type: ignore[arg-type]
        camera = hub._sources["door"]
        assert {key: getattr(camera._options, key) for key in how} == how  # type: ignore[attr-defined]


def test_a_file_is_played_as_a_camera(tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mp4", 10, rate=25)
    found = read(tmp_path, "[cameras.door]\naddress = 'in.mp4'\nmodel = 'retinaface-tiny'\nas_camera = true\n")
    camera = found.cameras["door"]
    assert camera.options == {"as_camera": True}
    with vidgraph.live(model="retinaface-tiny") as hub:
        hub.add("door", camera.address, as_camera=True)
        results = [(result.index, result.packet.frame.epoch) for result in itertools.islice(hub, 12)]
        assert results[-1][1] >= 1
        with pytest.raises(UsageError, match="as_camera is for the address of a file; 'yard' is a source already"):
            hub.add("yard", VideoSource(camera.address), as_camera=True)
    (tmp_path / "photos").mkdir()
    Image.new("L", (4, 4), 255).save(tmp_path / "photos" / "1.png")
    with pytest.raises(ConfigError, match=r"cameras.door.address: as_camera plays video files, and .* is pictures"):
        read(tmp_path, "[cameras.door]\naddress = 'photos'\nmodel = 'retinaface-tiny'\nas_camera = true\n")


def test_a_certificate_that_is_none_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "door.pem").write_text("not one")
    assert mistakes(tmp_path, DOOR + "tls_pin = 'door.pem'") == [
        "cams.toml:3: cameras.door.tls_pin: door.pem has no certificate; it must be a PEM file with that of the camera"
    ]
    (said,) = mistakes(tmp_path, "[defaults]\ntls_pin = 'none.pem'\n" + DOOR)
    assert said == "cams.toml:2: defaults.tls_pin: cannot read the certificate none.pem: No such file or directory"
    with pytest.raises(UsageError, match="cannot read"):
        CameraOptions(tls_pin=str(tmp_path / "none.pem"))


def test_paths_start_from_the_folder_of_the_file(tmp_path: Path) -> None:
    Image.new("L", (4, 4), 255).save(tmp_path / "mask.png")
    found = read(tmp_path, DOOR + "privacy_masks = ['mask.png']\noutputs = ['out/door.jsonl', 'http://127.0.0.1:8099']")
    assert found.cameras["door"].options == {
        "privacy_masks": [str(tmp_path / "mask.png")],
        "outputs": [str(tmp_path / "out/door.jsonl"), "http://127.0.0.1:8099"],
    }


def test_a_synthetic_scene_has_its_own_model(tmp_path: Path) -> None:
    assert read(tmp_path, DOOR).cameras["door"].model == {"model": "yolact-edge-tiny"}


@pytest.mark.parametrize(
    ("user", "password", "address"),
    [
        ("ann", "${DOOR_WORD}", "rtsp://ann:${DOOR_WORD}@10.0.0.7:554/main"),
        ("${DOOR_USER}", "a${DOOR_WORD}/#", "rtsp://${DOOR_USER}:a${DOOR_WORD}%2F%23@10.0.0.7:554/main"),
        ("é", "@:%{}", "rtsp://%C3%A9:%40%3A%25%7B%7D@10.0.0.7:554/main"),
    ],
)
def test_a_login_is_encoded_once(
    user: str, password: str, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vidgraph.stages.sources.camera.address import read_address

    monkeypatch.setenv("DOOR_USER", "bob")
    monkeypatch.setenv("DOOR_WORD", "s@/#%")
    text = f"""[cameras.door]
    address = "rtsp://10.0.0.7:554/main"
    model = "retinaface-tiny"
    user = "{user}"
    password = "{password}"
    """
    (door,) = read(tmp_path, text).cameras.values()
    assert door.address == address
    place = read_address(door.address)
    assert place.user == user.replace("${DOOR_USER}", "bob")
    assert place.password == password.replace("${DOOR_WORD}", "s@/#%")
    assert "s@" not in repr(door) + door.line()
    assert password not in door.line()


def test_a_login_of_the_address_goes_before_that_of_the_defaults(tmp_path: Path) -> None:
    text = """[defaults]
    model = "retinaface-tiny"
    user = "ann"
    password = "secret"
    [cameras.a]
    address = "rtsp://10.0.0.7/main"
    [cameras.b]
    address = "rtsp://bob:other@10.0.0.8/main"
    [cameras.c]
    address = "synth:street"
    """
    found = read(tmp_path, text).cameras
    assert found["a"].address == "rtsp://ann:secret@10.0.0.7/main"
    assert found["b"].address == "rtsp://bob:other@10.0.0.8/main"
    assert found["c"].address == "synth:street"


def test_all_mistakes_come_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """[run]
outputs = ["all.jsonl", "x.what"]
overload = "skp"
[defaults]
model = "retinaface-tiny"
modle = 3
[cameras.door]
address = "synth:street"
classes = ["fac"]
every = 0
[cameras.yard]
address = "rtsp://10.0.0.7/x"
user = "ann"
password = "${NOT_SET_ANYWHERE}"
min_score = "high"
zones.front = [[0,0],[1,0]]
privacy_masks = ["no.png", [[0,0],[1,0],[1,2]]]
threads = 3
[cameras.gate]
adress = "x"
"""
    found = mistakes(tmp_path, text)
    assert [line.split(": ")[0] for line in found] == [
        f"cams.toml:{line}" for line in (2, 3, 6, 9, 10, 14, 15, 16, 17, 18, 19, 20)
    ]
    keys = ["run.outputs.1", "run.overload", "defaults.modle", "cameras.door.classes", "cameras.door.every"]
    assert [line.split(": ")[1] for line in found][:5] == keys
    assert "did you mean model" in found[2]
    assert "no class 'fac'; did you mean face?" in found[3]
    assert "the environment variable NOT_SET_ANYWHERE is not set" in found[5]


CASES = {
    "no toml": ("[cameras.door\n", "cams.toml:1: not TOML"),
    "half a string": ("[cameras.door]\naddress = 'synth", "cams.toml:2: not TOML"),
    "twice": (DOOR + "address = 'b'\n", "cams.toml:3: not TOML"),
    "no camera": ("[defaults]\nevery = 2\n", "cams.toml:1: cameras: is missing"),
    "no camera in the table": ("[cameras]\n", "cams.toml:1: cameras: there is no camera; add one"),
    "no table": ("cameras = 3\n", "cams.toml:1: cameras: must be a table"),
    "camera is no table": ("[cameras]\ndoor = 'x'\n", "cams.toml:2: cameras.door: must be a table"),
    "table": (DOOR + "[camera.yard]\n", "cams.toml:3: camera: unknown key; did you mean cameras?"),
    "name": ("[cameras.'a/b']\naddress = 'synth:street'\n", "cams.toml:1: cameras.a/b: a name must begin with"),
    "elsewhere": (DOOR + "threads = 3\n", "cams.toml:3: cameras.door.threads: is not a key of [cameras.NAME], but of"),
    "type": (DOOR + "max_fps = 'five'\n", "cams.toml:3: cameras.door.max_fps: must be a number, got 'five'"),
    "truth": (DOOR + "every = true\n", "cams.toml:3: cameras.door.every: must be a"),
    "range": (DOOR + "min_score = 2\n", "cams.toml:3: cameras.door.min_score: must be a number from 0 to 1, got 2"),
    "infinite": (DOOR + "freeze_s = inf\n", "cams.toml:3: cameras.door.freeze_s: must be seconds above 0, got inf"),
    "too large": (
        "[run]\nthreads = 99999999999\n" + DOOR,
        "cams.toml:2: run.threads: must be a whole number",
    ),
    "too long": (DOOR + f"every = {'9' * 5000}\n", "cams.toml:3: not TOML: a number of 5000 digits"),
    "too long to say": (DOOR + f"transport = 0x{'f' * 6000}\n", "'multicast', got a number"),
    "date": (DOOR + "every = 2020-01-01\n", "cameras.door.every: must be a whole number, got a date or time"),
    "run is no table": ("run = 5\n" + DOOR, "cams.toml:1: run: must be a table, got 5"),
    "long value": (DOOR + f"when = '{'a' * 5000}'\n", "cams.toml:3: cameras.door.when: must be 'motion', got 'aaa"),
    "unknown user": (DOOR + "privacy_masks = ['~nobody_of_this_name/a.png']\n", "cameras.door.privacy_masks.0: a mask"),
    "endless name": (DOOR + f"model = '{'a' * 5000}'\n", "cams.toml:3: cameras.door.model: "),
    "too large a file": (DOOR + "#" * LARGEST, "cams.toml:1: more than 4 MB"),
    "choice": (DOOR + "transport = 'tpc'\n", "cams.toml:3: cameras.door.transport: must be 'auto', 'tcp', 'udp' or"),
    "list": (DOOR + "outputs = 'a.jsonl'\n", "cams.toml:3: cameras.door.outputs: must be a list"),
    "item": (DOOR + "outputs = [\n1]\n", "cams.toml:4: cameras.door.outputs.0: must be a string, got 1"),
    "size": (DOOR + "size = '3 by 4'\n", "cams.toml:3: cameras.door.size: expected 640 (longer side) or 1280x720"),
    "size of another type": (DOOR + "size = true\n", "cams.toml:3: cameras.door.size: must be a length"),
    "both": (DOOR + "every = 2\nmax_fps = 3\n", "give every or max_fps, not both"),
    "mask without motion": (DOOR + "ignore_motion = 'a.png'\n", "ignore_motion needs when='motion'"),
    "model": (DOOR + "model = 'yolakt'\n", "cams.toml:3: cameras.door.model: unknown model 'yolakt'"),
    "no model": ("[cameras.a]\naddress = 'rtsp://a/b'\n", "cameras.a.model: no model was given"),
    "no weights": (DOOR + "model = 'retinaface'\n", "cams.toml:3: cameras.door.model: "),
    "scheme": (DOOR.replace("synth:street", "what://x"), "cams.toml:2: cameras.door.address: what://x: unknown kind"),
    "no file": (DOOR.replace("synth:street", "no.mp4"), "no.mp4"),
    "several": (
        DOOR.replace("synth:street", "*.png") + "model = 'retinaface-tiny'\n",
        "cams.toml:2: cameras.door.address: ",
    ),
    "login twice": (
        "[cameras.a]\naddress = 'rtsp://b:c@d/e'\nmodel='retinaface-tiny'\nuser = 'b'\n",
        "cams.toml:4: cameras.a.user: user and password are given twice",
    ),
    "login of a file": (DOOR + "user = 'b'\n", "cams.toml:3: cameras.door.user: user and password are for addresses"),
    "password alone": (
        "[cameras.a]\naddress = 'rtsp://d/e'\nmodel='retinaface-tiny'\npassword = 'b'\n",
        "cams.toml:4: cameras.a.password: a password needs its user",
    ),
    "variable": (DOOR.replace("street", "${A B}"), "cams.toml:2: cameras.door.address: ${A B} is no variable"),
    "latency": ("[run]\nmax_latency = 'soon'\n" + DOOR, "cams.toml:2: run.max_latency: expected a time above 0"),
    "overload": ("[run]\noverload = 'stretch'\n" + DOOR, "cams.toml:2: run.overload: overload 'stretch' needs"),
    "zone": (DOOR + "zones.a = [[0,0],[1,1],[2,0]]\n", "cams.toml:3: cameras.door.zones.a: a corner must be [x, y]"),
    "zone's name": (DOOR + "zones.'a,b' = [[0,0],[1,1],[1,0]]\n", "cams.toml:3: cameras.door.zones.a,b: a name must"),
    "defaults": (
        "[defaults]\nclasses = ['x']\n" + DOOR,
        "cams.toml:2: defaults.classes: no class 'x'",
    ),
    "one file of two cameras": (
        "[defaults]\noutputs = ['a.jsonl']\n" + DOOR + "[cameras.b]\naddress = 'synth:street'\n",
        "cams.toml:2: defaults.outputs: 'a.jsonl' would be written by the cameras 'door' and 'b'",
    ),
    "one file of two models": (
        "[run]\noutputs = ['a.jsonl']\n" + DOOR + "[cameras.b]\naddress = 'synth:faces'\nmodel='retinaface-tiny'\n",
        "cams.toml:2: run.outputs.0: holds the results of one model, and the cameras have 2",
    ),
}


@pytest.mark.parametrize(("text", "said"), CASES.values(), ids=CASES)
def test_a_mistake_has_its_line_key_and_cure(text: str, said: str, tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, text)
    assert said in found


def test_no_message_shows_a_secret(tmp_path: Path) -> None:
    text = """[cameras.door]
    address = ["rtsp://ann:geheim@h/x"]
    user = 3
    password = ["geheim"]
    [cameras.yard]
    address = "rtsp://ann:geheim@h:port/x"
    model = "retinaface-tiny"
    """
    assert not [line for line in mistakes(tmp_path, text) if "geheim" in line]


def test_an_output_shows_no_secret(tmp_path: Path) -> None:
    (door,) = read(
        tmp_path, DOOR + "outputs = ['rtsp://ann:geheim@h/x', 'srt://h:1?passphrase=geheim']"
    ).cameras.values()
    assert "geheim" in str(door.options["outputs"])
    assert "geheim" not in door.line()


def test_an_address_is_not_wholly_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOOR_URL", "rtsp://ann:geheim@10.0.0.7/x")
    monkeypatch.setenv("DOOR_FOLDER", str(tmp_path))
    (found,) = mistakes(tmp_path, "[cameras.a]\naddress = '${DOOR_URL}'\nmodel = 'retinaface-tiny'\n")
    assert found == "cams.toml:2: cameras.a.address: must begin with its scheme, rtsp:, not with a variable that has it"
    Image.new("L", (4, 4), 255).save(tmp_path / "still.png")
    file = read(tmp_path, "[cameras.a]\naddress = '${DOOR_FOLDER}/still.png'\nmodel = 'retinaface-tiny'\n")
    assert file.cameras["a"].address == str(tmp_path / "still.png")


def test_a_file_that_is_no_text_or_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"cannot read .*nothing.toml: No such file"):
        read_cameras(tmp_path / "nothing.toml")
    (tmp_path / "cams.toml").write_bytes(b"a = 1\n\xff")
    with pytest.raises(ConfigError, match=r"cams.toml:2: not UTF-8"):
        read_cameras(tmp_path / "cams.toml")


def test_every_option_of_models_is_a_key() -> None:
    from vidgraph.models.config.tables import Defaults

    assert {row.name for row in rows_of("model")} <= Defaults.model_fields.keys()


@pytest.mark.parametrize("missing", ["pydantic", "tomlkit", "watchfiles"])
def test_what_is_not_installed_is_named_with_its_extra(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vidgraph.models import config
    from vidgraph.models.config.follow import Follower
    from vidgraph.models.config.write import set_value

    found = read(tmp_path, DOOR)
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, "vidgraph.models.config.tables")
    monkeypatch.delattr(config, "tables")
    with pytest.raises(MissingExtraError, match=r"pip install 'vidgraph\[config\]'"):
        if missing == "pydantic":
            read_cameras(found.file)
        elif missing == "tomlkit":
            set_value(found.file, "door", "max_fps", 3)
        else:
            Follower(found, lambda cameras: None)

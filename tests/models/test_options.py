"""One table of options: signatures, docstrings and commands agree with it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import MISSING, fields
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from vidgraph.benchmarks.cameras import bench_cameras
from vidgraph.benchmarks.compare_engines import compare_engines
from vidgraph.benchmarks.parts import bench
from vidgraph.cli.options import COMMANDS
from vidgraph.models.custom.check import check
from vidgraph.models.live import live
from vidgraph.models.load import load_model
from vidgraph.models.options import PostprocessOptions
from vidgraph.models.pace import Pace
from vidgraph.models.run import draw, run
from vidgraph.pipeline.errors import UsageError
from vidgraph.pipeline.options import OPTIONS, header_settings, rows_of
from vidgraph.stages.session import STAGE_LIMIT_S, SessionOptions
from vidgraph.training.evaluation import evaluate

OF_THE_PROCESS = {"requests": 1, "threads": None, "deterministic": False, "batch": 1}
"""What ``load_model`` takes besides; ``run`` gives it of its own threads."""


def keywords(function: Callable[..., Any]) -> dict[str, Any]:
    """Name -> default of the keyword parameters."""
    parameters = inspect.signature(function).parameters.values()
    return {one.name: one.default for one in parameters if one.kind is one.KEYWORD_ONLY}


def documented(function: Callable[..., Any]) -> set[str]:
    """The parameters that the docstring explains."""
    text = re.search(r"\n    Args:\n(.*?)\n\n", function.__doc__ or "", flags=re.S)
    assert text is not None
    names = re.findall(r"^        (\w[\w, \n]*?):", text[1], flags=re.M)
    return {name for each in names for name in re.findall(r"\w+", each)}


def test_run_takes_every_option() -> None:
    assert keywords(run) == {name: row.default for name, row in OPTIONS.items()} | {"model": None, "outputs": ()}
    assert documented(run) >= {*OPTIONS, "model", "outputs"}


def test_load_model_takes_the_options_of_models() -> None:
    assert keywords(load_model) == {row.name: row.default for row in rows_of("model")} | OF_THE_PROCESS
    assert documented(load_model) >= set(keywords(load_model))


def test_live_takes_the_options_of_models_and_some_of_runs() -> None:
    own = {"model": inspect.Parameter.empty, "outputs": (), "stage_limit_s": STAGE_LIMIT_S}
    assert keywords(live).keys() >= {row.name for row in rows_of("model")} | own.keys()
    defaults = {name: row.default for name, row in OPTIONS.items()} | own
    assert keywords(live) == {name: defaults[name] for name in keywords(live)}
    assert {one.name for one in fields(Pace)} <= keywords(live).keys()


def test_a_job_has_the_options_of_runs_and_outputs() -> None:
    of_the_model = {"every", "max_fps", "when", "ignore_motion"}  # what runs it: a stage before it
    of_the_model |= {one.name for one in fields(Pace)}
    rows = {row.name: row.default for owner in ("run", "output") for row in rows_of(owner)}
    assert {one.name: one.default for one in fields(SessionOptions)} == {
        name: default for name, default in rows.items() if name not in of_the_model
    }
    assert keywords(draw).keys() - {"outputs"} <= rows.keys()
    assert all(keywords(draw)[name] == rows[name] for name in keywords(draw) if name != "outputs")


def test_options_of_postprocessing_are_options_of_models() -> None:
    rows = {row.name: row.default for row in rows_of("model")}
    assert all(rows[one.name] is one.default is None for one in fields(PostprocessOptions))


WRONG: dict[str, tuple[object, ...]] = {
    **dict.fromkeys(OPTIONS, (object(), b"x", 2.5j, {})),
    **dict.fromkeys(["min_score", "nms_iou"], ("0.5", 2, -0.1, float("nan"), True, [0.5])),
    **dict.fromkeys(
        ["max_detections", "frames", "every", "threads", "max_pixels"], ("x", 0, -1, 2.5, True, 2**31, [1])
    ),
    **dict.fromkeys(["overwrite", "resume", "strict", "deterministic", "batch_non_key"], ("no", 0, 1, None, [])),
    **dict.fromkeys(["device", "engine", "precision", "preset"], (None, 3, True, ["cpu"])),
    **dict.fromkeys(["policy", "executor"], ("newest", "", 3, ["latest"], ["serial"])),
    **dict.fromkeys(["start", "end"], (-1, float("inf"), 10**400, [1], True)),
    "classes": ("person", 3, [2.5], [None], {"person"}),
    "labels": (3, [3], [None], {"person"}),
    "size": ("640", 0, -64, 2.5, True, (64,), (64, 0), (64, 64, 3), b"aa", float("nan")),
    "keyframes": (0, -1, 2.5, True, [5]),
    "weights": (3, ["a.pth"], True, ""),
    "max_fps": ("x", 0, -1, float("nan"), True),
}
"""Option -> values that it does not take."""


@pytest.mark.parametrize("name", OPTIONS)
def test_a_value_that_an_option_does_not_take_is_refused(name: str) -> None:
    """Before anything is opened: there is neither such a source nor such a model."""
    functions: list[Callable[..., Any]] = [lambda **given: run("none.mp4", model="none", **given)]
    if OPTIONS[name].belongs == "model":
        functions.append(lambda **given: load_model("none", **given))
    if name in keywords(draw):
        functions.append(lambda **given: draw("none.mp4", "none.jsonl", outputs=(), **given))
    for function in functions:
        for value in WRONG[name]:
            with pytest.raises(UsageError, match=rf"^{name} must be .+, got {re.escape(repr(value))[:40]}"):
                function(**{name: value})


@pytest.mark.parametrize("name", OPTIONS)
def test_defaults_and_values_of_the_command_line_are_taken(name: str) -> None:
    row = OPTIONS[name]
    row.check(row.default)
    if row.read is not None and row.metavar is not None:
        given = re.search(rf"--{name.replace('_', '-')} (\S+)", row.example)
        assert given is not None
        row.check(row.read(given[1]))


def test_numbers_of_numpy_are_numbers() -> None:
    given = {"min_score": np.float32(0.5), "every": np.int64(3), "size": np.array([64, 64]), "start": np.float32(0.5)}
    for name, value in given.items():
        OPTIONS[name].check(value)
    settings = header_settings({name: row.default for name, row in OPTIONS.items()} | given)
    assert (type(settings["min_score"]), type(settings["every"])) == (float, int)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"source": 3}, "source must be an address or several, got 3"),
        ({"source": None}, "source must be an address or several, got None"),
        ({"source": ["a.mp4", 3]}, "source must be an address or several, got 3"),
        ({"model": 3}, "model must be a name, NAME=FILE or a file as a string, or a loaded model, got 3"),
        ({"outputs": 3}, "an output is an address, a function or a sink, got int"),
    ],
)
def test_source_model_and_outputs_of_wrong_types(given: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(text)}$"):
        run(**{"source": "synth:street", "size": 64, **given}).wait()


FUNCTIONS: dict[str, tuple[Callable[..., Any], set[str]]] = {
    "run": (run, {"sources"}),
    "draw": (draw, {"source", "results"}),
    "check": (check, {"network"}),
    "compare": (compare_engines, {"source", "model"}),
    "bench": (bench, {"source", "model", "output", "overwrite", *keywords(bench_cameras)}),
    "eval": (evaluate, {"model", "data", "output", "overwrite"}),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_a_command_has_arrives(name: str) -> None:
    """Every option is a keyword of the function in Python, or one that the command itself looks at."""
    function, own = FUNCTIONS[name]
    known = set(keywords(function)) | own | {"quiet", "verbose"}
    if any(one.kind is one.VAR_KEYWORD for one in inspect.signature(function).parameters.values()):
        known |= set(keywords(load_model))
    assert dests(name) <= known


def test_what_train_has_arrives() -> None:
    pytest.importorskip("torch", reason="needs torch (the extra 'torch')")
    settings = import_module("vidgraph.training.settings").TrainSettings
    train = import_module("vidgraph.training.train").train
    own = {"model", "data", "output", "quiet", "verbose"}
    assert dests("train") <= {one.name for one in fields(settings)} | set(keywords(train)) | own
    defaults = {one.name: one.default for one in fields(settings) if one.default not in (MISSING, None)}
    for option in next(command for command in COMMANDS if command.name == "train").options:
        said = re.search(r"\(default ([^;,) ]+)", option.help)
        if said is not None and (default := defaults.get(option.flags[-1][2:].replace("-", "_"))) is not None:
            assert float(said[1]) == default, option.flags


def dests(name: str) -> set[str]:
    """The names under which a command's options are parsed."""
    (command,) = (command for command in COMMANDS if command.name == name)
    return {option.settings.get("dest", option.flags[-1].lstrip("-").replace("-", "_")) for option in command.options}

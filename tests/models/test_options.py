"""One table of options: signatures, docstrings and commands agree with it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import MISSING, fields
from importlib import import_module
from typing import Any

import pytest
from vidgraph.benchmarks.compare_engines import compare_engines
from vidgraph.benchmarks.parts import bench
from vidgraph.cli.options import COMMANDS
from vidgraph.models.custom.check import check
from vidgraph.models.load import load_model
from vidgraph.models.options import PostprocessOptions
from vidgraph.models.run import draw, run
from vidgraph.pipeline.options import OPTIONS, rows_of
from vidgraph.stages.session import SessionOptions
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


def test_a_job_has_the_options_of_runs_and_outputs() -> None:
    of_the_model = {
        "every",
        "max_fps",
        "when",
        "ignore_motion",
        "skipped",
        "overload",
        "max_latency",
    }  # stages around it
    rows = {row.name: row.default for owner in ("run", "output") for row in rows_of(owner)}
    assert {one.name: one.default for one in fields(SessionOptions)} == {
        name: default for name, default in rows.items() if name not in of_the_model
    }
    assert keywords(draw).keys() - {"outputs"} <= rows.keys()
    assert all(keywords(draw)[name] == rows[name] for name in keywords(draw) if name != "outputs")


def test_options_of_postprocessing_are_options_of_models() -> None:
    rows = {row.name: row.default for row in rows_of("model")}
    assert all(rows[one.name] is one.default is None for one in fields(PostprocessOptions))


FUNCTIONS: dict[str, tuple[Callable[..., Any], set[str]]] = {
    "run": (run, {"sources"}),
    "draw": (draw, {"source", "results"}),
    "check": (check, {"network"}),
    "compare": (compare_engines, {"source", "model"}),
    "bench": (bench, {"source", "model", "output", "overwrite"}),
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

"""The tree of errors: what their messages are cleaned of, and that they come out of another process."""

from __future__ import annotations

import copy
import importlib
import multiprocessing
import pickle
import pkgutil

import pytest
import vidgraph
from vidgraph.engines.spec import NetworkRefused
from vidgraph.pipeline.errors import (
    MissingExtraError,
    SourceError,
    StageError,
    UsageError,
    VidgraphError,
)
from vidgraph.stages.sources.registry import open_source

for _module in pkgutil.iter_modules(importlib.import_module("vidgraph.training").__path__):
    if _module.name in ("crew", "loop"):  # they have errors of their own
        pytest.importorskip("torch")
        importlib.import_module(f"vidgraph.training.{_module.name}")
importlib.import_module("vidgraph.stages.sinks.encoders")  # has one too


def _below(kind: type[VidgraphError]) -> list[type[VidgraphError]]:
    return [kind, *(each for child in kind.__subclasses__() for each in _below(child))]


TREE = [kind for kind in dict.fromkeys(_below(VidgraphError)) if kind.__module__.startswith("vidgraph.")]


def _made(kind: type[VidgraphError]) -> VidgraphError:
    if kind is StageError:
        return StageError("it failed", stage="draw", stream_id="door", frame_index=41)
    if issubclass(kind, MissingExtraError | NetworkRefused):
        return kind("boats", "sail")
    return kind("it failed")


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_errors_survive_pickling(kind: type[VidgraphError]) -> None:
    error = _made(kind)
    error.add_note("a note")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is kind
        assert (str(again), again.args, again.__dict__) == (str(error), error.args, error.__dict__)
        assert again.exit_code == error.exit_code


def test_the_tree_is_whole() -> None:
    assert {"WorkerGroupError", "DivergedError", "GraphError", "ResultsError", "StageError"} <= {
        k.__name__ for k in TREE
    }


def test_errors_of_another_process_arrive() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        with pytest.raises(SourceError, match=r"no such file: missing\.mp4"):
            pool.apply(open_source, ("missing.mp4",))
        for kind in (UsageError, StageError, MissingExtraError):
            assert repr(pool.apply(copy.copy, (_made(kind),))) == repr(_made(kind))


def test_messages_are_one_clean_line() -> None:
    error = SourceError("http://u:S@h/v?t=S:\n  \x1b[2Jno\tanswer \u202e!")
    assert str(error) == r"http://***@h/v?t=***: \x1b[2Jno answer \u202e!"
    assert str(MissingExtraError("http://u:S@h/v", "sail")).startswith("http://***@h/v needs")
    assert vidgraph.VidgraphError(3, None).args == (3, None)

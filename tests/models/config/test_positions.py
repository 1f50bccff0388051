"""The line of every key and value of TOML, against what ``tomllib`` reads."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from vidgraph.models.config.positions import Keys, line_of, lines_of

TEXT = '''# a comment with [brackets] = and "quotes"
title = "x # no comment" # one
"quoted key".'other key' = """several
[lines]
key = 1
""" # end
[defaults]
outputs = ["a.jsonl", # a comment, with ]
  "b]", ]
[cameras.door]
zones.front = [[0, 0], [1, 0],
  [1, 1]]
masks = [ "a.png", [[0.0,0],[1,1],[1,0]] ]
inline = {a = 1, b.c = [2, {d = 3}]}
empty = []
nothing = {}
when = 2026-11-30T14:00:00Z
[[many.of]]
z = 1
[many.of.them]
k = \'\'\'a
b\'\'\'
[[many.of]]
z = 2
'''


def paths(value: Any, path: Keys = ()) -> Iterator[Keys]:
    """Every key and every number in a list."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, key)
        yield from paths(inner, (*path, key))


def test_every_key_has_the_line_that_it_is_on() -> None:
    lines = lines_of(TEXT)
    assert {path: lines[path] for path in lines if path[0] == "title"} == {("title",): 2}
    expected = {
        ("quoted key", "other key"): 3,
        ("defaults",): 7,
        ("defaults", "outputs"): 8,
        ("defaults", "outputs", 1): 9,
        ("cameras", "door"): 10,
        ("cameras", "door", "zones", "front"): 11,
        ("cameras", "door", "zones", "front", 2): 12,
        ("cameras", "door", "zones", "front", 2, 1): 12,
        ("cameras", "door", "masks", 1, 0): 13,
        ("cameras", "door", "inline", "b", "c", 1, "d"): 14,
        ("cameras", "door", "when"): 17,
        ("many", "of", 0): 18,
        ("many", "of", 0, "them", "k"): 21,
        ("many", "of", 1, "z"): 24,
    }
    assert {path: lines[path] for path in expected} == expected


def test_nothing_that_tomllib_reads_is_missing() -> None:
    assert set(lines_of(TEXT)) == set(paths(tomllib.loads(TEXT)))


def test_what_is_not_there_has_the_line_of_what_is_around_it() -> None:
    lines = lines_of(TEXT)
    assert line_of(lines, ("cameras", "door", "address")) == 10
    assert line_of(lines, ("cameras", "yard", "address")) == 10
    assert line_of(lines, ("nothing",)) == 1
    assert line_of(lines, ()) == 1


@pytest.mark.parametrize("seed", range(30))
def test_any_toml_is_read_to_its_end(seed: int) -> None:
    """Pieces in any order: the finder sees what tomllib does, and does not go on for ever."""
    chosen = random.Random(seed)
    keys = ["plain", '"a.b"', "'c]'", "x.y", "x . z", "long-key_1"]
    values = ["1", "'#'", '"a\\"]"', '"""\n"" ]"""', "[1, [2, ]\n]", "{k = [1], m.n = '}'}", "1e3", "true", "[\n# ]\n]"]
    lines = []
    for number in range(chosen.randint(1, 6)):
        lines.append(f"[t{number}.{chosen.choice(keys)}]" if chosen.random() < 0.7 else f"[[l{number}]] # [[")
        lines += [f"{key}{chosen.choice([' = ', '='])}{chosen.choice(values)}" for key in chosen.sample(keys, 3)]
        lines += ["", "# [not] = one"] if chosen.random() < 0.5 else []
    text = "\n".join(lines)
    read, found = set(paths(tomllib.loads(text))), lines_of(text)
    assert set(found) == read
    for path, line in found.items():
        if isinstance(path[-1], str):
            assert path[-1] in text.splitlines()[line - 1]

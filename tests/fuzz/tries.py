"""One try: which seed, which change, which command follow from the kind, the number and the seed of the generator."""

from __future__ import annotations

import importlib
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import process
from .kinds import KINDS, Command, Kind
from .mutate import cut, plain, splice
from .process import Ended
from .seeds import Seed


@dataclass(frozen=True, slots=True)
class Try:
    """A changed file, and the command that reads it."""

    seed: Seed
    data: bytes
    command: Command


class Tries:
    """All tries of one kind; ``work`` keeps the seeds, what commands need, and the folder of the current try."""

    def __init__(self, kind: str, *, seed: int, work: Path) -> None:
        self.kind: Kind = KINDS[kind]
        self._name, self._seed, self._work = kind, seed, work
        made = work / "seeds" / kind
        made.mkdir(parents=True, exist_ok=True)
        self._material = prepare(work)
        self.seeds = list(self.kind.seeds(made))
        for module in self.kind.modules:
            importlib.import_module(module)

    def make(self, number: int) -> Try:
        """The try of this number; the first ones are the seeds as they are, with every command."""
        commands = self.kind.commands
        if number < len(self.seeds) * len(commands):
            seed = self.seeds[number // len(commands)]
            return Try(seed, seed.data, commands[number % len(commands)])
        source = random.Random(f"{self._seed}:{self._name}:{number}")
        seed = source.choice(self.seeds)
        data = seed.data
        for _ in range(source.choice((1, 1, 1, 2))):
            way = source.randrange(10)
            if way < 5:
                data = seed.change(data, source)
            elif way < 7:
                data = plain(data, source)
            elif way < 9:
                data = cut(data, source)
            else:
                data = splice(data, source.choice(self.seeds).data, source)
        return Try(seed, data, source.choice(commands))

    def run(self, number: int) -> tuple[Try, Ended]:
        """Make a try and see how it ends."""
        tried = self.make(number)
        folder = self._work / "try"
        shutil.rmtree(folder, ignore_errors=True)
        if tried.seed.beside is not None:
            shutil.copytree(tried.seed.beside, folder)
        file = folder / tried.seed.file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(tried.data)
        return tried, process.run(self._work_of(tried), folder)

    def words(self, tried: Try) -> Sequence[str]:
        """The arguments of ``vidgraph``; of a function its name."""
        if callable(tried.command):
            return [tried.command.__name__]
        places = {"file": tried.seed.file, "about": tried.seed.about, "material": str(self._material)}
        return [word.format(**places) for word in tried.command]

    def _work_of(self, tried: Try) -> Callable[[], int]:
        if callable(tried.command):
            return tried.command
        words = self.words(tried)

        def command() -> int:
            from vidgraph.cli import main

            return main(words)

        return command


def prepare(work: Path) -> Path:
    """The networks and the clip that commands need."""
    from ..material import make_clip
    from .seeds import networks

    folder = work / "material"
    if not (folder / "clip.mp4").exists():
        folder.mkdir(parents=True)
        list(networks(folder))
        make_clip(folder / "clip.mp4", 3)
    return folder

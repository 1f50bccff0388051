"""Whether what a file of cameras says can be: models, classes, addresses, outputs, masks."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from ...pipeline.errors import UsageError, VidgraphError, nearest
from ...pipeline.options import LABEL_LISTS
from ...stages.areas import read_area
from ...stages.sinks.kinds import kind_of
from ...stages.sources.camera.options import CameraOptions, check_certificate
from ...stages.sources.registry import open_source
from ..default_model import default_model
from ..load import load_model
from ..pace import Pace, sampler
from .camera_set import CameraConfig
from .mistakes import Mistakes
from .variables import filled_in, with_login

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_READ = ("transport", "freeze_s", "give_up_s", "corrupt", "decoder", "allow_redirect", "tls_pin")
_CAMERA = (*_READ, "deinterlace", "rotate", "mirror")
_RATE = ("every", "max_fps", "when", "ignore_motion")


class Checker:
    """Checks cameras one after the other, each model once.

    Args:
        folder: that paths start from.
        mistakes: gets what is wrong.
        known: names of the classes of models that need not be loaded, by their settings.
    """

    def __init__(self, folder: Path, mistakes: Mistakes, known: Mapping[str, tuple[str, ...]]) -> None:
        self._folder, self._mistakes = folder, mistakes
        self._classes: dict[str, tuple[str, ...] | None] = dict(known)  # None: it cannot be loaded
        self._writers: dict[str, str] = {}  # file -> camera

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """The names of the classes of all models that were loaded, by their settings."""
        return {key: names for key, names in self._classes.items() if names is not None}

    def camera(self, name: str, settings: Mapping[str, Any], model_keys: frozenset[str]) -> CameraConfig:
        """A camera as ``Hub.add`` takes it; what is wrong with it is noted.

        Args:
            settings: its table, with the defaults.
            model_keys: those of them that make the model.
        """
        if "tls_pin" in settings:
            settings = {**settings, "tls_pin": self._path(settings["tls_pin"])}
            with self._noted(name, "tls_pin"):
                check_certificate(settings["tls_pin"])
        address = self._address(name, settings)
        model = {key: self._of_model(key, value) for key, value in settings.items() if key in model_keys}
        if address is not None and "model" not in model:
            with self._noted(name, "model"):
                model["model"] = default_model([address])
        classes = self._classes_of(name, model) if "model" in model else None
        for one in settings.get("classes", ()) if classes else ():
            if one not in (classes or ()):
                self._mistakes.add_of_camera(name, "classes", f"no class {one!r}; {nearest(one, classes or ())}")
        options = {key: settings[key] for key in (*_CAMERA, *_RATE, "as_camera", "classes", "zones") if key in settings}
        if "ignore_motion" in options:
            options["ignore_motion"] = self._path(options["ignore_motion"])
        with self._noted(name, "ignore_motion" if "ignore_motion" in options else "every"):
            sampler(**{key: options.get(key) for key in _RATE}, skipped="hold")
        if "privacy_masks" in settings:
            options["privacy_masks"] = self._masks(name, settings["privacy_masks"])
        if "outputs" in settings:
            options["outputs"] = self._outputs(name, settings["outputs"])
        return CameraConfig(name, address or "", model, options)

    def shared(self, settings: Mapping[str, Any], cameras: Mapping[str, CameraConfig]) -> dict[str, Any]:
        """What holds for the whole run, as ``vidgraph.live`` takes it."""
        models = {repr(camera.model): str(camera.model.get("model")) for camera in cameras.values()}
        outputs = []
        for number, output in enumerate(settings.get("outputs", ())):
            with self._noted_at("run", "outputs", number):
                outputs.append(self._output(output))
                if len(models) > 1 and "{stream}" not in output:
                    raise UsageError(
                        f"holds the results of one model, and the cameras have {len(models)} "
                        f"({', '.join(models.values())}); put {{stream}} into it, or name it with the cameras"
                    )
        with self._noted_at("run", "overload" if "overload" in settings else "max_latency"):
            Pace(overload=settings.get("overload"), max_latency=settings.get("max_latency"))
        return {**settings, "outputs": outputs}

    def _address(self, name: str, settings: Mapping[str, Any]) -> str | None:
        try:
            address = with_login(settings["address"], settings.get("user"), settings.get("password"))
        except ValueError as error:
            self._mistakes.add_of_camera(name, "user" if "user" in settings else "password", str(error))
            return None
        checked = None
        with self._noted(name, "address"):
            if not _SCHEME.match(address) and address != "-":
                file = filled_in(address)
                if scheme := _SCHEME.match(file):
                    raise UsageError(f"must begin with its scheme, {scheme[0]}, not with a variable that has it")
                address = self._path(file)
            how = CameraOptions(**{key: settings[key] for key in _CAMERA if key in settings and key != "tls_pin"})
            played = settings.get("as_camera", False)
            found = open_source(address, stream_id=name, latest=True, as_camera=played, threads=1, camera=how)
            if len(found) != 1:
                raise UsageError(f"stands for {len(found)} sources; a camera is one")
            checked = address
        return checked

    def _of_model(self, key: str, value: Any) -> Any:
        if key == "weights" or (key == "labels" and isinstance(value, str) and value not in LABEL_LISTS):
            return self._path(value)
        if key != "model":
            return value
        name, equals, file = value.partition("=")
        if os.path.isfile(self._path(value)):  # noqa: PTH113  Path.is_file raises for many names
            return self._path(value)
        return f"{name}={self._path(file)}" if equals else value

    def _classes_of(self, name: str, model: Mapping[str, Any]) -> tuple[str, ...] | None:
        """The names of a model's classes; None where it cannot be loaded, which is noted once."""
        key = repr(model)
        if key not in self._classes:
            self._classes[key] = None
            with self._noted(name, "model"):
                loaded = load_model(model["model"], **{one: value for one, value in model.items() if one != "model"})
                self._classes[key] = loaded.class_names
                loaded.close()
        return self._classes[key]

    def _masks(self, name: str, masks: list[Any]) -> list[Any]:
        found = []
        for number, mask in enumerate(masks):
            found.append(self._path(mask) if isinstance(mask, str) else mask)
            with self._noted_at("cameras", name, "privacy_masks", number):
                read_area(found[-1])
        return found

    def _outputs(self, name: str, outputs: list[str]) -> list[str]:
        found = []
        for output in outputs:
            with self._noted(name, "outputs"):
                found.append(self._output(output))
                file = found[-1].replace("{stream}", name)
                other = self._writers.setdefault(file, name)
                if other != name:
                    raise UsageError(
                        f"{output!r} would be written by the cameras {other!r} and {name!r}; put {{stream}} into it, "
                        "or move it to [run]"
                    )
        return found

    def _output(self, output: str) -> str:
        """An output with its path, where it is a file."""
        return self._path(output) if kind_of(output).suffixes else output

    def _path(self, text: str) -> str:
        return os.fspath(self._folder / os.path.expanduser(text))  # noqa: PTH111  Path's raises for unknown users

    def _noted(self, name: str, key: str) -> AbstractContextManager[None]:
        """Within it, an error becomes a mistake of a camera's key."""
        return self._noting(lambda message: self._mistakes.add_of_camera(name, key, message))

    def _noted_at(self, *keys: str | int) -> AbstractContextManager[None]:
        return self._noting(lambda message: self._mistakes.add(keys, message))

    @contextmanager
    def _noting(self, note: Callable[[str], None]) -> Iterator[None]:
        try:
            yield
        except (VidgraphError, ValueError) as error:
            note(str(error))

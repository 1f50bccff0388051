"""A data set as MOTChallenge sequences; :mod:`.mot` has the layout."""

from __future__ import annotations

from pathlib import Path

from ...pipeline.errors import OutputError
from .dataset import Clip, DataSample, Dataset
from .write_coco import rounded, safe_name

_ALONE = -1


class MotWriter:
    """Collects lines as :func:`write_dataset` gives it frames, and writes them at the end.

    Objects keep their tracks; one without is a track of its own, seen once. Classes are numbered from 1 and named in
    ``gt/labels.txt``. Masks, points and segments are left out.
    """

    images = ""
    skips_unannotated = False

    def __init__(self, folder: Path, dataset: Dataset, suffix: str) -> None:
        self._folder, self._dataset, self._suffix = folder, dataset, suffix
        self._clips: dict[str, Clip] = {}
        self._frames: dict[str, int] = {}
        self._lines: dict[str, list[tuple[int, int, str]]] = {}

    def file(self, clip: Clip, index: int) -> str:
        """The name of a frame's image, from the folder of all sequences."""
        return f"{self._name(clip)}/img1/{index + 1:06d}{self._suffix}"

    def _name(self, clip: Clip) -> str:
        return safe_name(clip.name).replace("/", "-")

    def add(self, sample: DataSample, clip: Clip, file: str) -> None:
        """Take the truth of a frame.

        Raises:
            OutputError: two clips would have the same folder.
        """
        name, truth, number = self._name(clip), sample.truth, sample.frame.index + 1
        if self._clips.setdefault(name, clip).name != clip.name:
            raise OutputError(
                f"cannot write {self._folder / name}: {clip.name} and {self._clips[name].name} would share it"
            )
        self._frames[name] = number
        lines = self._lines.setdefault(name, [])
        for row, (x1, y1, x2, y2) in enumerate(truth.objects.boxes.tolist()):
            box = ",".join(f"{value:g}" for value in rounded((x1 + 1, y1 + 1, x2 - x1, y2 - y1)))
            visible = 1 - max(0.0, float(truth.hidden[row]))
            rest = f"{box},{int(not truth.ignored[row])},{truth.objects.class_ids[row] + 1},{visible:.3f}"
            track = _ALONE if truth.objects.track_ids is None else int(truth.objects.track_ids[row])
            lines.append((number, track, rest))

    def finish(self) -> tuple[Path, ...]:
        """Write the files; returns the folders of the sequences.

        Raises:
            OSError: the disk is full, …
        """
        for name, clip in self._clips.items():
            folder = self._folder / name
            (folder / "gt").mkdir(parents=True, exist_ok=True)
            height, width = clip.size
            info = {
                "name": name, "imDir": "img1", "frameRate": f"{clip.rate:g}", "seqLength": self._frames[name],
                "imWidth": width, "imHeight": height, "imExt": self._suffix,
            }  # fmt: skip
            (folder / "gt" / "labels.txt").write_text("".join(f"{c}\n" for c in self._dataset.class_names), "utf-8")
            (folder / "gt" / "gt.txt").write_text("".join(_numbered(self._lines[name])), "utf-8")
            text = "".join(f"{key}={value}\n" for key, value in info.items())
            (folder / "seqinfo.ini").write_text(f"[Sequence]\n{text}", "utf-8")
        return tuple(self._folder / name for name in self._clips)


def _numbered(lines: list[tuple[int, int, str]]) -> list[str]:
    """The lines of ``gt.txt``; objects without a track get numbers above the others."""
    free = max((track for _, track, _ in lines), default=0) + 1
    texts = []
    for frame, track, rest in lines:
        if track < 0:
            track, free = free, free + 1
        texts.append(f"{frame},{track},{rest}\n")
    return texts

"""Which FFmpeg is asked how many packets were lost, and from when on that is too many for UDP."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from vidgraph.stages.sources.camera import packet_loss
from vidgraph.stages.sources.camera.packet_loss import UdpLoss, _libavutil

LINE = "7f0000000000-7f0000001000 r-xp 00000000 fe:00 1234                       {}\n"


@pytest.fixture
def maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What this process has loaded, as the kernel tells it."""
    file = tmp_path / "maps"
    monkeypatch.setattr(packet_loss, "_MAPS", file)
    return file


def test_that_of_a_folder_with_a_space_in_its_name(maps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = tmp_path / "my things" / "site-packages"
    monkeypatch.setattr(av, "__file__", str(packages / "av" / "__init__.py"))
    own, other = packages / "av.libs" / "libavutil-60.so", packages / "cv2.libs" / "libavutil-59.so"
    maps.write_text("".join(LINE.format(path) for path in ("", "[heap]", other, own, own, "/lib/libc.so.6")))
    assert _libavutil() == str(own)


def test_the_only_one(maps: Path) -> None:
    maps.write_text(LINE.format("/usr/lib/x86_64-linux-gnu/libavutil.so.59.39.100"))
    assert _libavutil() == "/usr/lib/x86_64-linux-gnu/libavutil.so.59.39.100"


def test_none_where_it_is_not_clear(maps: Path) -> None:
    maps.write_text(LINE.format("/usr/lib/libavutil.so.59") + LINE.format("/opt/libavutil.so.60"))
    assert _libavutil() is None
    maps.unlink()
    assert _libavutil() is None


@pytest.mark.parametrize(("every", "said"), [(10**9, []), (250, []), (150, ["0.7 %"]), (20, ["4.8 %"])])
def test_tcp_is_proposed_once_from_half_a_percent_on(every: int, said: list[str]) -> None:
    lines: list[str] = []
    loss = UdpLoss(lambda kind, text: lines.append(text))
    for packet in range(10_000):
        loss.came(1000, packet // every)
    assert [line.partition(" of packets")[0] for line in lines] == said

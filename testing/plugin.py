"""Fixtures of pytest that make cameras and close them: ``pytest_plugins = ["vidgraph.testing.plugin"]`` in conftest.py.

Each is called as the class it is named after, any number of times in a test::

    def test_outage(rtsp_camera):
        camera = rtsp_camera(make_clip(), session_timeout_s=10)
        camera.kill()
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from .gst_camera import GstCamera, gst_missing
from .http_camera import HlsCamera, MjpegCamera
from .listener import Publisher
from .proxy import TcpProxy, UdpLossProxy
from .rtsp.camera import RtspCamera


def _maker(kind: type[Any], stack: ExitStack) -> Callable[..., Any]:
    return lambda *given, **options: stack.enter_context(kind(*given, **options))


@pytest.fixture
def rtsp_camera() -> Iterator[Callable[..., RtspCamera]]:
    """Makes an :class:`.rtsp.camera.RtspCamera`."""
    with ExitStack() as stack:
        yield _maker(RtspCamera, stack)


@pytest.fixture
def gst_camera() -> Iterator[Callable[..., GstCamera]]:
    """Makes a :class:`.gst_camera.GstCamera`; skips where gst-rtsp-server is not installed."""
    if why := gst_missing():
        pytest.skip(why)
    with ExitStack() as stack:
        yield _maker(GstCamera, stack)


@pytest.fixture
def hls_camera() -> Iterator[Callable[..., HlsCamera]]:
    """Makes an :class:`.http_camera.HlsCamera`."""
    with ExitStack() as stack:
        yield _maker(HlsCamera, stack)


@pytest.fixture
def mjpeg_camera() -> Iterator[Callable[..., MjpegCamera]]:
    """Makes an :class:`.http_camera.MjpegCamera`."""
    with ExitStack() as stack:
        yield _maker(MjpegCamera, stack)


@pytest.fixture
def publisher() -> Iterator[Callable[..., Publisher]]:
    """Makes a :class:`.listener.Publisher`."""
    with ExitStack() as stack:
        yield _maker(Publisher, stack)


@pytest.fixture
def tcp_proxy() -> Iterator[Callable[..., TcpProxy]]:
    """Makes a :class:`.proxy.TcpProxy`."""
    with ExitStack() as stack:
        yield _maker(TcpProxy, stack)


@pytest.fixture
def udp_loss() -> Iterator[Callable[..., UdpLossProxy]]:
    """Makes a :class:`.proxy.UdpLossProxy`."""
    with ExitStack() as stack:
        yield _maker(UdpLossProxy, stack)

"""Proxies between reader and camera."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from vidgraph.testing import GstCamera, HlsCamera, RtspCamera, TcpProxy, UdpLossProxy

from ..waiting import threads_and_descriptors
from .reader import CLIP, HEAVY, UDP, read


def test_both_transports_pass_untouched(rtsp_camera: Callable[..., RtspCamera]) -> None:
    camera = rtsp_camera(HEAVY, auth="md5")
    with TcpProxy(camera.login_url) as tcp, UdpLossProxy(camera.login_url) as udp:
        assert read(tcp.url, 20).numbers == list(range(20))
        assert read(udp.url, 20).numbers == list(range(20))
        assert read(udp.url, 20, options=UDP).numbers == list(range(20))
        assert (udp.lost, udp.packets > 100) == (0, True)
        assert camera.wait_until(lambda camera: camera.counts.teardowns == 3)


@pytest.mark.parametrize("loss", [0.01, 0.05, 0.1])
def test_loss(rtsp_camera: Callable[..., RtspCamera], loss: float) -> None:
    camera = rtsp_camera(HEAVY)
    with UdpLossProxy(camera.url, loss=loss, seed=3) as proxy:
        seen = read(proxy.url, 60, seconds=2, options=UDP)
    assert proxy.lost == pytest.approx(loss * proxy.packets, abs=4 + 0.03 * proxy.packets)
    assert any(frame.corrupt for frame in seen.frames)
    assert len(seen.frames) > 30


def test_loss_is_seeded(udp_loss: Callable[..., UdpLossProxy], rtsp_camera: Callable[..., RtspCamera]) -> None:
    camera = rtsp_camera(HEAVY)
    first = []
    for seed in (1, 1, 2):
        seen = read(udp_loss(camera.url, loss=0.05, seed=seed).url, 25, seconds=1, options=UDP)
        first.append([frame.number for frame in seen.frames if not frame.corrupt][:8])
    assert first[0] == first[1] != first[2]


def test_reordering_and_delay(rtsp_camera: Callable[..., RtspCamera]) -> None:
    camera = rtsp_camera(HEAVY)
    with UdpLossProxy(camera.url, reorder=0.2, delay_s=0.3) as proxy:
        assert read(proxy.url, 30, options=UDP).numbers == list(range(30))
    with TcpProxy(camera.url, delay_s=0.3) as late:
        start = time.monotonic()
        assert read(late.url, 3).numbers == [0, 1, 2]
        assert time.monotonic() - start > 1.2  # four answers and a picture


def test_the_other_server(gst_camera: Callable[..., GstCamera]) -> None:
    camera = gst_camera(HEAVY, user="ann", password="p", digest=True)
    with UdpLossProxy(camera.login_url, loss=0.05) as proxy:
        seen = read(proxy.url, 30, seconds=2, options=UDP)
    assert proxy.lost > 0
    assert len(seen.frames) > 15


def test_half_open(rtsp_camera: Callable[..., RtspCamera], tcp_proxy: Callable[..., TcpProxy]) -> None:
    proxy = tcp_proxy(rtsp_camera(CLIP).url)
    seen = read(proxy.url, 60, on_frame=lambda count: count == 10 and proxy.hold())
    assert seen.end in ("TimeoutError", "ExitError")
    proxy.release()
    assert read(proxy.url).numbers == list(range(15))
    assert read(proxy.url, 60, on_frame=lambda count: count == 10 and proxy.cut()).end == "EOF"
    assert proxy.connections == 3


def test_half_open_udp(rtsp_camera: Callable[..., RtspCamera], udp_loss: Callable[..., UdpLossProxy]) -> None:
    proxy = udp_loss(rtsp_camera(CLIP).url)
    seen = read(proxy.url, 60, options=UDP, on_frame=lambda count: count == 10 and proxy.hold())
    assert seen.end in ("TimeoutError", "ExitError")


def test_wrong_bytes(rtsp_camera: Callable[..., RtspCamera], tcp_proxy: Callable[..., TcpProxy]) -> None:
    camera = rtsp_camera(HEAVY)
    proxy = tcp_proxy(camera.url)
    for spoil in (lambda: proxy.corrupt(2000), lambda: proxy.lose(1)):
        seen = read(
            proxy.url,
            60,
            seconds=2,
            on_frame=lambda count, spoil=spoil: count == 10 and spoil(),  # type: ignore[misc]
        )
        assert seen.end != "enough" or not seen.in_order() or any(frame.corrupt for frame in seen.frames)
    all_the_time = read(tcp_proxy(camera.url, errors=0.0005).url, 40, seconds=2)
    assert len(all_the_time.frames) < 40 or not all_the_time.in_order() or all_the_time.bad_packets


def test_other_protocols(hls_camera: Callable[..., HlsCamera], tcp_proxy: Callable[..., TcpProxy]) -> None:
    camera = hls_camera(CLIP, finished=True)
    proxy = tcp_proxy(camera.url)
    assert read(proxy.url, 40).numbers == list(range(40))
    assert proxy.connections >= 2


def test_nothing_is_left_behind(rtsp_camera: Callable[..., RtspCamera]) -> None:
    camera = rtsp_camera(CLIP)
    for kind, options in ((TcpProxy, {}), (UdpLossProxy, UDP)):
        before = threads_and_descriptors()
        with kind(camera.url) as proxy:
            read(proxy.url, 60, seconds=2, options=options, on_frame=lambda count, p=proxy: count == 5 and p.close())
        assert camera.wait_until(lambda camera: camera.counts.sessions == 0)
        proxy.close()
        assert threads_and_descriptors() <= before

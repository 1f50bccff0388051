"""Spans of OpenTelemetry for frames and their stages."""

from __future__ import annotations

import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import vidgraph
from vidgraph.pipeline.errors import MissingExtraError
from vidgraph.stages.traces import Tracer


def exporter() -> Any:
    pytest.importorskip("opentelemetry.sdk", reason="traces need the extra 'otel'")
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    return InMemorySpanExporter()


def test_a_span_for_each_chosen_frame_with_a_child_for_each_stage(custom_model: Path, tmp_path: Path) -> None:
    spans = exporter()
    tracer = Tracer("", every=3, exporter=spans)
    out = tmp_path / "out.jsonl"
    with vidgraph.run("synth:street?frames=8", model=str(custom_model), outputs=out, traces=tracer) as made:
        stats = made.wait()
    found = spans.get_finished_spans()
    roots = [span for span in found if span.parent is None]
    assert [(span.name, dict(span.attributes)) for span in roots] == [
        ("frame", {"vidgraph.source": "street", "vidgraph.frame": index}) for index in (0, 3, 6)
    ]
    for root in roots:
        children = [span for span in found if span.parent and span.parent.span_id == root.context.span_id]
        assert [child.name for child in children] == [stage.name for stage in stats.stages]
        assert all(root.start_time <= child.start_time <= child.end_time <= root.end_time for child in children)
    assert not tracer._times


def test_they_reach_a_collector(custom_model: Path) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="traces need the extra 'otel'")
    paths: list[str] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            paths.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        with vidgraph.run("synth:street?frames=2", model=str(custom_model), traces=endpoint) as made:
            made.wait()
        server.shutdown()
    assert paths == ["/v1/traces"]


def test_nothing_of_it_is_imported_where_it_is_not_asked_for(custom_model: Path) -> None:
    code = (
        "import sys, vidgraph\n"
        f"vidgraph.run('synth:street?frames=2', model={str(custom_model)!r}).wait()\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'prometheus'))])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    with pytest.raises(MissingExtraError, match=r"traces needs an optional package.*vidgraph\[otel\]"):
        Tracer("http://127.0.0.1:4318")

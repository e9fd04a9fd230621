"""Where spans go and how, out of what OpenTelemetry's variables say."""

from __future__ import annotations

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from otlp_receiver import Receiver

from why504.errors import ConfigError
from why504.watch.otlp import OtlpClient, Verdict, target_of


def test_headers_of_the_environment_are_sent_those_for_traces_first(free_port):
    env = {
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Basic%20x,x-scope-orgid=team",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "authorization=Bearer%20secret,x-scope-orgid=traces",
    }
    receiver = Receiver(free_port)
    OtlpClient(target_of(f"http://127.0.0.1:{free_port}/", env)).post(b"")
    receiver.stop()

    assert receiver.heard[0]["authorization"] == "Bearer secret"
    assert receiver.heard[0]["x-scope-orgid"] == "traces"
    assert receiver.heard[0]["content-type"] == "application/x-protobuf"


def test_requests_are_compressed_where_that_is_asked_for(free_port, monkeypatch):
    bodies = []
    monkeypatch.setattr("otlp_receiver._spans", lambda body: bodies.append(body) or [])
    receiver = Receiver(free_port)
    told = ExportTraceServiceRequest().SerializeToString() + b"\x0a\x00"
    target = target_of(f"http://127.0.0.1:{free_port}", {"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"})
    answer = OtlpClient(target).post(told)
    receiver.stop()

    assert answer.verdict is Verdict.TAKEN
    assert receiver.heard[0]["content-encoding"] == "gzip"
    assert bodies == [told]


@pytest.mark.parametrize(
    "endpoint", ["", "collector:4318", "ftp://x", "http://", "http://[::1", "/x"]
)
def test_what_is_no_address_is_refused_without_repeating_it(endpoint):
    with pytest.raises(ConfigError, match="write http://collector:4318") as raised:
        target_of(endpoint, {})

    assert not endpoint or f"{endpoint};" not in str(raised.value)


def test_a_certificate_that_is_not_there_is_told_as_a_setting(tmp_path):
    env = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "none.pem")}

    with pytest.raises(ConfigError, match="OTEL_EXPORTER_OTLP"):
        OtlpClient(target_of("https://collector:4318", env))
    # Of no concern where nothing is encrypted, such as on this machine.
    OtlpClient(target_of("http://127.0.0.1:4318", env))


def test_no_account_is_in_what_may_be_logged():
    target = target_of(
        "http://user:secret@collector:4318", {"OTEL_EXPORTER_OTLP_HEADERS": "api-key=hidden"}
    )

    assert target.place == "http://collector:4318"
    assert "hidden" not in repr(target)

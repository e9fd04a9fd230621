"""The stand-in, seen by the real SDK with its own exporter, gzip and all."""

from __future__ import annotations

import gc
import uuid
import warnings
from collections.abc import Iterator

import httpx
import pytest
from langfuse import Langfuse as Client
from opentelemetry.sdk.trace import TracerProvider

from lab.stack.langfuse import Langfuse

TRACES = "/api/public/otel/v1/traces"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Langfuse]:
    with Langfuse.start(tmp_path_factory.mktemp("langfuse")) as running:
        yield running


def test_it_takes_what_the_real_sdk_sends(server):
    client = Client(
        public_key=f"pk-{uuid.uuid4()}",
        secret_key="sk",
        base_url=server.url,
        tracer_provider=TracerProvider(shutdown_on_exit=False),
    )
    with client.start_as_current_observation(name="ask", as_type="generation", model="m") as made:
        ids = (made.trace_id, made.id)
        made.update(output="joy", usage_details={"input": 3})
    client.flush()
    client.shutdown()
    with warnings.catch_warnings():
        # The SDK leaves its exporter's connection to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        del client, made
        gc.collect()

    [span] = server.seen()["spans"]
    assert (span["name"], span["trace_id"], span["span_id"]) == ("ask", *ids)
    assert span["end_ns"] >= span["start_ns"]
    assert span["attributes"]["langfuse.observation.type"] == "generation"
    assert span["attributes"]["langfuse.observation.output"] == "joy"


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, b"", 401),
        ({"authorization": "Basic !!"}, b"", 401),
        ({"authorization": "Basic cGs6"}, b"", 401),
        ({"authorization": "Basic cGs6c2s=", "content-type": "text/plain"}, b"", 400),
        ({"authorization": "Basic cGs6c2s="}, b"\xff", 400),
        ({"authorization": "Basic cGs6c2s=", "content-encoding": "gzip"}, b"no gzip", 400),
        ({"authorization": "Basic cGs6c2s="}, b"", 200),
    ],
)
def test_it_refuses_what_langfuse_refuses(server, headers, body, status):
    given = {"content-type": "application/x-protobuf"} | headers
    answer = httpx.post(server.url + TRACES, content=body, headers=given)

    assert answer.status_code == status

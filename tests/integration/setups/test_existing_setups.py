"""Tracing that an application has already is kept, whichever comes first."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("program.py")
ROUTE = ["GET /items/{number}", "/items/{number}"]
TWICE = "opentelemetry.instrumentation.fastapi: Attempting to instrument FastAPI app while already"


@pytest.fixture(scope="module")
def played() -> dict[str, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, str(PROGRAM)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    return {one["name"]: one for one in told}


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "setup",
    [
        "provider_first",
        "provider_after",
        "provider_at_start",
        "contrib_before",
        "contrib_after",
        "logfire_first",
        "logfire_after",
        "langfuse_first",
        "langfuse_after",
        "called_twice",
        "routes_after",
        "after_the_start",
        "starlette",
    ],
)
def test_an_application_keeps_its_tracing_and_has_one_server_span_a_request(played, setup):
    told = played[setup]

    assert "raised" not in told, told["raised"]
    assert told["servers"] == [ROUTE]
    assert told["inner"] == [True]
    assert told["traces"] == 1
    assert [line for line in told["said"] if not line.startswith(TWICE)] == []


def test_a_provider_that_only_fastapi_was_given_gets_the_server_span(played):
    assert played["native_with_a_provider_of_its_own"]["servers"] == [ROUTE]


def test_a_library_that_joins_the_provider_in_a_request_gets_the_spans_from_then_on(played):
    told = played["langfuse_in_a_request"]

    assert ROUTE in told["servers"]
    assert not [line for line in told["said"] if "Overriding" in line]


def test_an_asgi_callable_of_no_framework_gets_a_server_span_without_its_path(played):
    told = played["plain_asgi"]

    assert "raised" not in told, told["raised"]
    assert told["servers"] == [["GET", None]]
    assert (told["inner"], told["traces"], told["said"]) == ([True], 1, [])

"""A span says whose request it is without saying who that is."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from service.infrastructure.api.whose import PSEUDO_ID, tell_whose


def told(user_id: str) -> str:
    span = TracerProvider().get_tracer("test").start_span("POST /v1/x")
    with trace.use_span(span, end_on_exit=True):
        tell_whose(user_id)
    return str(dict(span.attributes or {})[PSEUDO_ID])


def test_the_same_person_has_the_same_pseudonym_and_another_another():
    assert told("ann") == told("ann") != told("bob")


def test_the_pseudonym_has_nothing_of_the_name():
    name = "nguyen-thi-anh@example.org"

    assert len(told(name)) == 16
    assert not any(part in told(name) for part in (name, "anh", "@", "example"))


def test_without_a_span_nothing_happens():
    tell_whose("ann")

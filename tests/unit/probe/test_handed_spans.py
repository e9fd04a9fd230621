"""A thread that a request handed work to: our spans there are the request's, whoever makes them."""

import pytest
from opentelemetry.sdk.trace import TracerProvider

from why504.probe.lean.current import within
from why504.probe.spans.handed import HANDED, HandedTracer


@pytest.mark.parametrize("handed_over", [True, False])
def test_either_way_to_begin_a_span_puts_it_into_the_request(handed_over):
    real = TracerProvider().get_tracer("somebody's")
    request = real.start_span("GET /")
    token = HANDED.set(within(request) if handed_over else None)
    try:
        begun = HandedTracer(real).start_span("SELECT")
        with HandedTracer(real).start_as_current_span("POST") as around:
            pass
    finally:
        HANDED.reset(token)

    wanted = request.get_span_context() if handed_over else None
    assert [span.parent for span in (begun, around)] == [wanted, wanted]

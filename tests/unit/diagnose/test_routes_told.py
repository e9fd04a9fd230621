"""How a server span is called for people."""

from __future__ import annotations

import pytest

from why504 import names
from why504.diagnose.activity import route_of
from why504.model import Span

GET = {names.HTTP_METHOD: "GET", names.URL_PATH: "/items/7"}


def called(attributes: dict[str, str], *, ended: bool) -> str:
    end_ns = 5 if ended else None
    span = Span("t", "s", "", "GET", "server", 0, end_ns, 5, "svc", "one", attributes=attributes)
    return route_of(span)


@pytest.mark.parametrize(
    ("attributes", "ended", "name"),
    [
        ({**GET, names.HTTP_ROUTE: "/items/{id}"}, False, "GET /items/{id}"),
        (GET, False, "GET /items/7"),
        (GET, True, "GET"),
        ({names.URL_SCHEME: "wss", names.HTTP_ROUTE: "/chat"}, True, "WEBSOCKET /chat"),
        ({names.URL_SCHEME: "ws", names.URL_PATH: "/chat"}, False, "WEBSOCKET /chat"),
    ],
)
def test_a_request_is_called_by_its_route_and_while_it_is_open_without_one_by_its_path(
    attributes, ended, name
):
    assert called(attributes, ended=ended) == name

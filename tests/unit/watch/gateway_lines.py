"""Lines as nginx writes them, for the tests of this folder."""

from __future__ import annotations

import json


def line(number: int = 1, **changed: object) -> bytes:
    """Return one line, without its end; `number` sets its ids and its time."""
    fields = {
        "ts": f"{1_795_449_354 + number}.101",
        "trace_id": f"{number:032x}",
        "span_id": f"{number:016x}",
        "parent_span_id": "",
        "method": "GET",
        "uri": "/v1/friendship_status/u-12",
        "status": "504",
        "server_addr": "127.0.0.1",
        "server_port": "8080",
        "request_time": 2.001,
        "upstream_addr": "127.0.0.1:8000",
        "upstream_status": "504",
        "upstream_connect_time": "0.001",
        "upstream_header_time": "-",
        "upstream_response_time": "2.001",
    }
    return json.dumps(fields | changed).encode()


def number_of(raw: bytes) -> int:
    """Return the number that a line was made with."""
    return int(json.loads(raw)["trace_id"], 16)

"""A bridge as they are written first, to compare with: it answers at once, and delivers later.

After calert and julb: a thread for each request, one message for each alert, three more tries
after one to five seconds, everything in memory, errors swallowed, no pace, no ids.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import httpx

TRIES: Final = 4
_WAITS_S: Final = (1.0, 2.0, 5.0)


def main() -> None:
    """Serve until killed; the room is in the environment, as the router's is."""
    parser = argparse.ArgumentParser(prog="python -m bench.alerts.ack_first", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    room = httpx.Client(timeout=10.0, trust_env=False)
    webhook = os.environ["WHY504_ALERTS_WEBHOOK"]

    def deliver(alerts: list[dict[str, Any]]) -> None:
        for alert in alerts:
            _send(room, webhook, _message(alert))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            threading.Thread(target=deliver, args=(json.loads(body)["alerts"],)).start()
            self._answer()

        def _answer(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    ThreadingHTTPServer(("127.0.0.1", parser.parse_args().port), Handler).serve_forever()


def _send(room: httpx.Client, webhook: str, message: dict[str, Any]) -> None:
    for number in range(TRIES):
        try:
            if room.post(webhook, json=message).is_success:
                return
        except httpx.HTTPError:
            pass
        if number < len(_WAITS_S):
            time.sleep(_WAITS_S[number])


def _message(alert: dict[str, Any]) -> dict[str, Any]:
    line = {"topLabel": f"1 {alert['status']}", "text": alert["fingerprint"]}
    card = {"sections": [{"widgets": [{"decoratedText": line}]}]}
    return {"text": alert["labels"]["alertname"][:200], "cardsV2": [{"cardId": "a", "card": card}]}


if __name__ == "__main__":
    main()

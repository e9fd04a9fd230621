"""A watcher outside hears a GET; its address is a secret, and nothing leads anywhere else."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest

from why504.alerts.guard.ping import HttpWatcher
from why504.errors import ConfigError, PingFailed

SECRET = "5ec4e7-0504"


class Answering(BaseHTTPRequestHandler):
    """Answers the status that the path begins with, and notes what it was asked."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(int(self.path.split("/")[1]))
        self.send_header("location", "/200/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    Answering.asked.clear()
    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(5)


def test_it_hears(url):
    with HttpWatcher(f"{url}/200/{SECRET}", local=True) as watcher:
        watcher.ping()

    assert Answering.asked == [f"/200/{SECRET}"]


@pytest.mark.parametrize("status", [302, 404, 500])
def test_whatever_is_no_success_is_a_failure_and_is_not_followed(url, status):
    with (
        HttpWatcher(f"{url}/{status}/{SECRET}", local=True) as watcher,
        pytest.raises(PingFailed, match=str(status)),
    ):
        watcher.ping()

    assert len(Answering.asked) == 1


def test_no_error_log_or_repr_has_its_address(url, caplog):
    caplog.set_level(logging.DEBUG)
    told = []
    for one in (f"{url}/500/{SECRET}", f"http://127.0.0.1:1/{SECRET}"):
        with HttpWatcher(one, local=True) as watcher:
            told.append(repr(watcher))
            try:
                watcher.ping()
            except PingFailed as error:
                told += [str(error), "".join(traceback.format_exception(error))]
    told += [record.getMessage() for record in caplog.records]

    assert len(told) > 6
    assert not any(SECRET in text for text in told)


@pytest.mark.parametrize("told", ["http://hc-ping.com/5ec", "http://127.0.0.1/5ec", "https://", "://",
                                  "ftp://hc-ping.com/5ec", "5ec"])  # fmt: skip
def test_an_address_that_is_not_https_is_refused_without_repeating_it(told):
    with pytest.raises(ConfigError) as raised:
        HttpWatcher(told)

    assert "5ec" not in str(raised.value)

"""The demo of Docker Compose: what it sends, what it says, and how it ends."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lab import composed
from lab.stack.broker import MuteBroker
from lab.stack.ports import free_port


class Gateway(BaseHTTPRequestHandler):
    """Gives up on conversations, as the real one does on who hangs."""

    asked: list[str]
    gives_up = True

    def do_GET(self):
        self.asked.append(self.path)
        self.answer(200)

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.asked.append(self.path)
        self.answer(504 if self.gives_up and self.path == "/v1/conversations/end" else 200)

    def answer(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def gateway():
    handler = type("Handler", (Gateway,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", handler
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def broker_port(monkeypatch):
    port = free_port()
    monkeypatch.setattr(composed, "BROKER_PORT", port)
    return port


def play(url, *more):
    return composed.main(["--gateway", url, "--calm-s", "1", "--hang-s", "3", *more])


def test_conversations_end_only_once_the_fault_is_on(gateway, capsys):
    url, handler = gateway

    code = play(url, "--look", "explorer  http://localhost:8501/incidents")

    said = capsys.readouterr().out
    assert code == 0
    assert "/v1/conversations/end" in handler.asked
    assert "504" not in said.partition("The broker is silent")[0].replace("504s", "")
    assert said.count("explorer  http://localhost:8501/incidents") == 2
    assert " x 504" in said.partition("The broker is silent")[2]


def test_without_a_504_it_says_so_by_its_exit_code(gateway, capsys):
    url, handler = gateway
    handler.gives_up = False

    assert play(url) == 1
    assert "0 requests ended in a 504" in capsys.readouterr().out


def test_its_broker_listens_where_it_is_told_and_never_says_a_word(broker_port):
    with (
        MuteBroker("127.0.0.1", broker_port),
        socket.create_connection(("127.0.0.1", broker_port), timeout=5) as client,
    ):
        client.sendall(b"AMQP\x00\x00\x09\x01")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(1)

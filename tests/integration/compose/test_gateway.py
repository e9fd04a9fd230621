"""The gateway of docker-compose.yml: instances behind one name come and go, as DNS says."""

import json
import socket
import socketserver
import struct
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from string import Template

import httpx
import pytest

from lab.stack.nginx import TEMPLATE, find_binary
from lab.stack.ports import free_port
from lab.stack.process import Program, start
from lab.stack.ready import listens
from tests.composed import environment, services, words

pytestmark = pytest.mark.nginx
INSTANCES = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
PATIENCE_S = 20.0


class Names(socketserver.ThreadingUDPServer):
    """Docker's DNS: one name, all addresses behind it."""

    def __init__(self):
        self.addresses = list(INSTANCES[:2])
        super().__init__(("127.0.0.1", 0), Answer)


class Answer(socketserver.BaseRequestHandler):
    def handle(self):
        question, reply_to = self.request
        asked = question[12 : question.index(b"\0", 12) + 5]
        wanted = self.server.addresses if asked.startswith(b"\7service\0") else []
        head = question[:2] + struct.pack(">HHHHH", 0x8180, 1, len(wanted), 0, 0)
        records = b"".join(
            struct.pack(">HHHIH", 0xC00C, 1, 1, 1, 4) + socket.inet_aton(address)
            for address in wanted
        )
        reply_to.sendto(head + asked + records, self.client_address)


class Instance(BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.server.server_address[0].encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def background(server):
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture
def names():
    with Names() as server:
        yield background(server)
        server.shutdown()


@pytest.fixture
def port_of_instances():
    port = free_port()
    servers = [background(ThreadingHTTPServer((host, port), Instance)) for host in INSTANCES]
    yield port
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def gateway(nginx_binary, names, port_of_instances, tmp_path):
    """Return the address of nginx with what its image makes of the template; here, not there."""
    port = free_port()
    told = {k: v for k, v in environment(services()["gateway"]).items() if k.startswith("GATEWAY_")}
    told["GATEWAY_LISTEN"] = f"127.0.0.1:{port}"
    told["GATEWAY_UPSTREAMS"] = (
        told["GATEWAY_UPSTREAMS"]
        .replace("127.0.0.11", f"127.0.0.1:{names.server_address[1]}")
        .replace("valid=5s", "valid=1s")
        .replace(":8000", f":{port_of_instances}")
    )
    assert str(port_of_instances) in told["GATEWAY_UPSTREAMS"]
    # Without an account in it, as in the container; root's workers could not write here.
    told["GATEWAY_USER"] = "user root root;" if tmp_path.owner() == "root" else ""
    file = tmp_path / "nginx.conf"
    file.write_text(Template(TEMPLATE.read_text()).safe_substitute(told))
    argv = [str(find_binary()), "-p", f"{tmp_path}/", "-c", str(file), "-e", "stderr"]
    with start(Program(argv, "nginx", tmp_path), ready=listens(port)):
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture
def rotating(gateway, tmp_path):
    """Run what `gateway-logs` runs, in a small and hurried world."""
    *shell, script = words(services()["gateway-logs"])
    pid = (tmp_path / "nginx.pid").read_text().strip()
    for told, here in (("sleep 60", "sleep 0.1"), ("67108864", "4000"), ("USR1 1", f"USR1 {pid}")):
        assert told in script
        script = script.replace(told, here)
    with start(Program([*shell, script], "gateway-logs", tmp_path)):
        yield


def asked(url: str, times: int = 30) -> Counter[str]:
    """Return who answered how often; nobody is no answer of an instance."""
    answers = [httpx.get(url, trust_env=False) for _ in range(times)]
    return Counter(each.text if each.is_success else str(each.status_code) for each in answers)


def seen(url: str, wanted: set[str]) -> bool:
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        if set(asked(url)) == wanted:
            return True
    return False


def test_requests_are_spread_over_every_instance_behind_the_name(gateway):
    assert seen(gateway, set(INSTANCES[:2]))
    counts = asked(gateway)
    assert max(counts.values()) - min(counts.values()) <= 2


def test_a_release_under_the_same_name_gets_its_share_and_a_gone_one_none(gateway, names):
    assert seen(gateway, set(INSTANCES[:2]))

    names.addresses.append(INSTANCES[2])
    assert seen(gateway, set(INSTANCES))

    names.addresses.remove(INSTANCES[0])
    assert seen(gateway, set(INSTANCES[1:]))


def test_a_log_that_grew_is_put_aside_and_goes_on_in_a_new_one(gateway, rotating, tmp_path):
    log, aside = tmp_path / "access.jsonl", tmp_path / "access.jsonl.1"

    until_s = time.monotonic() + PATIENCE_S
    while not aside.exists() and time.monotonic() < until_s:
        asked(gateway, times=1)
    asked(gateway, times=1)

    assert aside.stat().st_size > 4000
    assert log.stat().st_size < aside.stat().st_size
    last = json.loads(log.read_text().splitlines()[-1])
    assert last["uri"] == "/"

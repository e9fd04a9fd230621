"""The probe's own port: who may read it, from where, and with what."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import httpx
import pytest
from prometheus_client import CollectorRegistry

from why504.config import ProbeSettings, bearer
from why504.errors import ConfigError
from why504.probe.core import Core
from why504.probe.exposed.metrics import Theirs
from why504.probe.exposed.page import Page
from why504.probe.exposed.serve import Server, is_loopback
from why504.probe.safety import Guard
from why504.probe.watched import Watched


@pytest.fixture
def served() -> Iterator[Callable[..., str]]:
    servers = []

    def serve(host: str, token: str = "") -> str:
        server = Server(host, 0, CollectorRegistry(), Guard(), token=token)
        server.start()
        servers.append(server)
        return f"http://127.0.0.1:{server.port}"

    yield serve
    for server in servers:
        server.stop()


PATHS = ("/metrics", "/debug/requests", "/debug/limits")


@pytest.mark.parametrize("path", PATHS)
def test_on_loopback_no_token_is_wanted_though_there_is_one(served, path):
    assert httpx.get(served("127.0.0.1", "secret") + path, trust_env=False).status_code == 200


@pytest.mark.parametrize("told", [None, "", "Bearer", "Bearer secre", "Bearer secret2", "secret"])
def test_elsewhere_nobody_reads_without_the_token(served, told):
    headers = {} if told is None else {"Authorization": told}
    url = served("0.0.0.0", "secret")

    for path in (*PATHS, "/", "/debug", "/metrics?token=secret"):
        answer = httpx.get(url + path, headers=headers, trust_env=False)

        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert answer.text == "Authorization: Bearer WHY504_METRICS_TOKEN\n"


@pytest.mark.parametrize("path", PATHS)
def test_whoever_has_the_token_reads(served, path):
    headers = bearer({"WHY504_METRICS_TOKEN": "secret"})

    answer = httpx.get(served("0.0.0.0", "secret") + path, headers=headers, trust_env=False)

    assert answer.status_code == 200


def test_that_the_process_lives_is_told_to_anybody(served):
    answer = httpx.get(served("0.0.0.0", "secret") + "/healthz", trust_env=False)

    assert (answer.status_code, answer.text) == (200, "ok\n")


@pytest.mark.parametrize(
    ("host", "is_one"),
    [
        ("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True),
        ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("", False), ("db", False),
        ("localhost.evil.test", False),
    ],
)  # fmt: skip
def test_what_loopback_is(host, is_one):
    assert is_loopback(host) is is_one


def test_without_a_token_nothing_is_served_elsewhere_and_the_service_goes_on(caplog):
    core = Core(ProbeSettings(metrics_host="0.0.0.0", metrics_port=0), serves=True)
    page = Page(core, Watched(core, lambda scope: None, lambda: None), Theirs())

    with caplog.at_level(logging.ERROR, "why504.probe"):
        page.serve()

    assert page.port == -1
    assert "WHY504_METRICS_TOKEN" in caplog.text
    core.spans.shutdown()


def test_a_token_may_be_in_a_file(tmp_path):
    (tmp_path / "token").write_text("secret\n")
    env = {"WHY504_METRICS_TOKEN_FILE": str(tmp_path / "token"), "WHY504_METRICS_TOKEN": "older"}

    assert ProbeSettings.from_env(env).page_token() == "secret"
    assert bearer(env) == {"Authorization": "Bearer secret"}
    assert bearer({}) == {}


def test_a_file_that_is_not_there_is_told_and_no_setting_shows_the_token(tmp_path):
    settings = ProbeSettings(metrics_token="secret", metrics_token_file=str(tmp_path / "none"))

    with pytest.raises(ConfigError, match="WHY504_METRICS_TOKEN_FILE can't be read"):
        settings.page_token()
    assert "secret" not in repr(settings)

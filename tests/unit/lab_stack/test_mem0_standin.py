"""The stand-in, seen by the real client, its ping included."""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Iterator

import httpx
import pytest

from lab.stack.mem0 import Mem0


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Mem0]:
    folder = tmp_path_factory.mktemp("mem0")
    os.environ["MEM0_TELEMETRY"] = "False"
    os.environ.setdefault("MEM0_DIR", str(folder))
    with Mem0.start(folder) as running:
        yield running


def client_of(server: Mem0):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mem0 import MemoryClient
    return MemoryClient(api_key="m0-key", host=server.url)


def test_the_real_client_adds_and_finds_what_a_user_said(server):
    client = client_of(server)
    said = [{"role": "user", "content": f"I like tea {n}"} for n in range(4)]
    client.add([*said, {"role": "assistant", "content": "Me too"}], user_id="u1")

    found = client.search("tea", filters={"user_id": "u1"}, top_k=3)["results"]

    assert [each["memory"] for each in found] == ["I like tea 3", "I like tea 2", "I like tea 1"]
    assert client.search("tea", filters={"user_id": "u2"})["results"] == []
    assert server.seen()["asked"]["/v1/ping/"] == 1
    client.client.close()


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v1/ping/", {}, 405),
        ("/v3/memories/add/", {}, 401),
        ("/v3/memories/add/", {"authorization": "Token k"}, 400),
        ("/v3/memories/search/", {"authorization": "Token k"}, 400),
        ("/v9/", {"authorization": "Token k"}, 404),
    ],
)
def test_what_makes_no_sense_is_refused(server, path, headers, status):
    assert httpx.post(server.url + path, headers=headers, content=b"{}").status_code == status


def test_it_fails_as_it_is_told(server):
    with warnings.catch_warnings():
        # A client that could not be made leaves its connection to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        server.behave(status=503)
        try:
            with pytest.raises(ValueError, match="told to fail"):
                client_of(server)
        finally:
            server.behave(status=None)
        gc.collect()

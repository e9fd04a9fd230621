from __future__ import annotations

import pytest
import redis

from lab.stack import valkey as module
from lab.stack.valkey import Valkey
from why504.errors import LabError


def test_it_speaks_redis_and_is_gone_once_it_is_killed(valkey, tmp_path):
    with Valkey.start(tmp_path) as other, redis.from_url(other.url) as client:
        client.set("key", "504")
        kept = client.get("key")
        other.kill()
        with pytest.raises(redis.exceptions.ConnectionError):
            client.get("key")

    assert kept == b"504"
    with redis.from_url(valkey.url) as client:
        assert client.get("key") is None


def test_a_frozen_server_answers_nobody_and_then_everybody(valkey):
    with redis.from_url(valkey.url, socket_timeout=0.2) as client:
        valkey.freeze()
        try:
            with pytest.raises(redis.exceptions.TimeoutError):
                client.ping()
        finally:
            valkey.thaw()

        assert client.ping()


def test_no_binary_at_all_is_told_with_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "_candidates", lambda: iter([tmp_path]))

    with pytest.raises(LabError, match="pip install 'why504"):
        Valkey.start(tmp_path)

from __future__ import annotations

import pytest

from service.application.settings import Settings, Timeouts
from service.infrastructure.messaging.parameters import connection_parameters

URL = "amqp://guest:guest@127.0.0.1:5672/%2F"


@pytest.mark.parametrize(("broker_s", "heartbeat_s"), [(0.3, 10), (3.0, 12), (60.0, 20)])
def test_no_wait_of_a_connection_is_longer_than_its_rung(broker_s, heartbeat_s):
    found = connection_parameters(Settings(broker_url=URL, timeouts=Timeouts(broker_s=broker_s)))

    waits = (found.socket_timeout, found.stack_timeout, found.blocked_connection_timeout)
    assert waits == (broker_s,) * 3
    assert found.connection_attempts == 1
    assert found.heartbeat == heartbeat_s


def test_without_a_broker_there_is_nothing_to_connect_to():
    with pytest.raises(ValueError, match="SERVICE_BROKER_URL"):
        connection_parameters(Settings())

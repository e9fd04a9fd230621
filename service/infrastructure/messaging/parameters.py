"""How RabbitMQ is spoken to: every limit that pika has, taken from the one rung `broker_s`.

pika has none for a confirm; that one is in publisher.py.
"""

from __future__ import annotations

from typing import Final

import pika

from service.application.settings import Settings

HEARTBEAT_S: Final = (10, 20)
"""Shorter ones end healthy connections, longer ones find a dead peer too late:
https://www.rabbitmq.com/docs/heartbeats"""


def connection_parameters(settings: Settings) -> pika.ConnectionParameters:
    """Return host, credentials and limits of every connection to the broker.

    Raises:
        ValueError: `broker_url` is not set.
    """
    if settings.broker_url is None:
        raise ValueError("SERVICE_BROKER_URL is not set: there is no RabbitMQ to connect to")
    parameters = pika.URLParameters(settings.broker_url.get_secret_value())
    limit_s = settings.limits.broker_s
    parameters.socket_timeout = limit_s
    parameters.stack_timeout = limit_s
    parameters.blocked_connection_timeout = limit_s
    # Attempts and their pauses are the caller's: pika's own would add up to more than the rung.
    parameters.connection_attempts = 1
    parameters.client_properties = {"connection_name": "context-handling"}
    if limit_s is not None:
        shortest_s, longest_s = HEARTBEAT_S
        parameters.heartbeat = round(min(longest_s, max(shortest_s, 4 * limit_s)))
        # A peer that vanished without a word: the kernel gives up what it never acknowledged.
        parameters.tcp_options = {"TCP_USER_TIMEOUT": max(1, round(limit_s * 1000))}
    return parameters

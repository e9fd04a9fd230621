"""Who listens on which port, as a table: a first guess, for anybody may listen anywhere."""

from __future__ import annotations

from typing import Final, NamedTuple

from why504.diagnose.hung.snapshot import Socket


class Known(NamedTuple):
    """A kind of peer, in the engine's words, and its name for people."""

    kind: str
    name: str


PORTS: Final = {
    5432: Known("db", "PostgreSQL"),
    6432: Known("db", "PgBouncer"),
    3306: Known("db", "MySQL"),
    1433: Known("db", "SQL Server"),
    27017: Known("db", "MongoDB"),
    5672: Known("broker", "AMQP"),
    5671: Known("broker", "AMQP over TLS"),
    9092: Known("broker", "Kafka"),
    6379: Known("cache", "Redis"),
    11211: Known("cache", "memcached"),
    443: Known("http", "HTTPS"),
    80: Known("http", "HTTP"),
    8080: Known("http", "HTTP"),
    53: Known("dns", "DNS"),
    4317: Known("telemetry", "OTLP"),
    4318: Known("telemetry", "OTLP"),
}
NOBODY: Final = Known("", "")


def peer_at(socket: Socket) -> Known:
    """Return what probably is on the other side of a connection that this process opened."""
    return NOBODY if socket.incoming else PORTS.get(socket.remote_port, NOBODY)


def name_of(socket: Socket) -> str:
    """Return a connection's other side for people: `PostgreSQL 10.0.0.3:5432`."""
    host = f"[{socket.remote}]" if ":" in socket.remote else socket.remote
    return f"{peer_at(socket).name} {host}:{socket.remote_port}".strip()

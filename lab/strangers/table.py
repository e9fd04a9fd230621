"""The strangers, as a table: which service, how it is hung, what has to be told of it.

The services are in tests/services and know nothing of why504 but how it is switched on. The engine
never sees this table: it is what its answers are compared with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lab.faults import ROOT, Marker
from why504.diagnose.causes import UNKNOWN

SERVICES: Final = "tests/services"
POSTGRES: Final = "postgres"
RABBITMQ: Final = "rabbitmq"
SILENT: Final = "silent"
"""A server that takes connections and requests, and never answers."""


@dataclass(frozen=True, slots=True)
class Calls:
    """Requests that are sent at once."""

    method: str
    path: str
    """`{n}` becomes the number of the request."""
    many: int


@dataclass(frozen=True, slots=True)
class Stranger:
    """One service, hung in one way."""

    id: str
    service: str
    """File below tests/services."""
    habit: str
    hangs: str
    """How, for people."""
    serve: Sequence[str]
    """What Python is told to run; `{port}` is filled in."""
    cause: str
    mechanism: str
    site: Marker
    also: tuple[Marker, ...] = ()
    """Lines that have to be in the sentence too."""
    warm: str = ""
    """Path that answers at once."""
    calls: Sequence[Calls] = ()
    messages: int = 0
    """Messages sent to the queue of the service's name instead of requests."""
    needs: Mapping[str, str] = field(default_factory=dict)
    """Variable of its environment -> whose address is in it."""

    @property
    def source(self) -> Path:
        """Return where it is written."""
        return ROOT / SERVICES / self.service


def _uvicorn(app: str, *options: str) -> Sequence[str]:
    serve = ("-m", "uvicorn", app, *options, "--host", "127.0.0.1", "--port", "{port}")
    return (*serve, "--log-level", "warning", "--timeout-keep-alive", "75")


def _line(service: str, text: str, within: str = "") -> Marker:
    return Marker(f"{SERVICES}/{service}", text, within)


STRANGERS: Final = (
    Stranger(
        id="leak",
        service="bookshop.py",
        habit="FastAPI, `def` endpoints, sync SQLAlchemy",
        hangs="each cart keeps its session until it is paid, and few are: the pool runs dry",
        serve=_uvicorn("bookshop:app"),
        needs={"DATABASE_URL": POSTGRES},
        warm="/lines",
        calls=(Calls("POST", "/carts/{n}/lines", 14), Calls("GET", "/lines", 4)),
        cause="A1a",
        mechanism="pool",
        site=_line("bookshop.py", "db.flush()"),
    ),
    Stranger(
        id="asyncpg",
        service="rides.py",
        habit="FastAPI, an asyncpg pool, httpx without a timeout",
        hangs="connections are held over a call to a peer that never answers",
        serve=_uvicorn("rides:app"),
        needs={"DATABASE_URL": POSTGRES, "PRICES_URL": SILENT},
        warm="/rides",
        calls=(Calls("POST", "/rides/{n}/price", 12), Calls("GET", "/rides", 4)),
        cause="D1",
        mechanism="pool",
        site=_line("rides.py", "await request.app.state.prices.get"),
    ),
    Stranger(
        id="requests",
        service="weather.py",
        habit="FastAPI, `requests` inside `async def`",
        hangs="the call that never returns keeps the event loop",
        serve=_uvicorn("weather:create_app", "--factory"),
        needs={"STATION_URL": SILENT},
        warm="/cities",
        calls=(Calls("GET", "/weather/hanoi", 1), Calls("GET", "/cities", 8)),
        cause="B1",
        mechanism="loop",
        site=_line("weather.py", "requests.get"),
    ),
    Stranger(
        id="deadlock",
        service="ledger.py",
        habit="two threading.Lock in a class, taken by `def` endpoints",
        hangs="two methods take them in opposite order",
        serve=_uvicorn("ledger:app"),
        warm="/accounts",
        calls=(
            Calls("POST", "/accounts/{n}/bookings", 4),
            Calls("GET", "/accounts/{n}/statement", 4),
        ),
        cause=UNKNOWN,
        mechanism="lock",
        site=_line("ledger.py", "with self._journal_lock", "def book"),
        also=(_line("ledger.py", "with self._accounts_lock", "def statement"),),
    ),
    Stranger(
        id="worker",
        service="invoices.py",
        habit="a worker of pika's blocking client, threads that work, no HTTP",
        hangs="every thread waits for a peer that never answers, without a timeout",
        serve=("invoices.py",),
        needs={"BROKER_URL": RABBITMQ, "BOOKING_URL": SILENT},
        messages=12,
        cause="D1",
        mechanism="none",
        site=_line("invoices.py", "requests.post"),
    ),
    Stranger(
        id="asyncio lock",
        service="gallery.py",
        habit="an asyncio.Lock round a conversation over a plain socket",
        hangs="whoever has the lock awaits a peer that never answers",
        serve=_uvicorn("gallery:app"),
        needs={"RENDERER_URL": SILENT},
        warm="/pictures",
        calls=(Calls("GET", "/pictures/{n}/thumbnail", 6),),
        cause=UNKNOWN,
        mechanism="lock",
        site=_line("gallery.py", "await reader.readline()"),
    ),
    Stranger(
        id="background",
        service="gallery.py",
        habit="BackgroundTasks that talk to a peer",
        hangs="tasks that never end take all threads of `def` endpoints",
        serve=_uvicorn("gallery:app"),
        needs={"RENDERER_URL": SILENT},
        warm="/pictures",
        calls=(Calls("POST", "/pictures/{n}/share", 48), Calls("GET", "/pictures/a-1/owner", 6)),
        cause="C2",
        mechanism="limiter",
        site=_line("gallery.py", "connection.recv"),
    ),
    Stranger(
        id="semaphore",
        service="gallery.py",
        habit="an asyncio.Semaphore taken by hand",
        hangs="one path forgets to release it",
        serve=_uvicorn("gallery:app"),
        needs={"RENDERER_URL": SILENT},
        warm="/pictures",
        calls=(Calls("GET", "/pictures/draft-{n}/export", 6),),
        cause=UNKNOWN,
        mechanism="limiter",
        site=_line("gallery.py", "await exports.acquire()"),
    ),
)

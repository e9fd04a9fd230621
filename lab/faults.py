"""Every fault that the lab can inject, as a table. A fault is a row; `lab/run.py` plays them.

The engine never sees this table: it is what its answers are compared with. Causes are those of
src/why504/diagnose/causes.py, the catalogue is docs/causes/.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lab.load import Rates
from why504.errors import LabError

ROOT: Final = Path(__file__).resolve().parents[1]
GATEWAY_TIMEOUT_S: Final = 4.0
"""The gateway's 60 s of production, scaled so that an outage fits into half a minute."""
TIME_SCALE: Final = GATEWAY_TIMEOUT_S / 60.0


@dataclass(frozen=True, slots=True)
class Marker:
    """A line of source, known by its text, so that the table outlives edits above it."""

    file: str
    """Below the repository's root."""
    text: str
    within: str = ""
    """A line that comes before it, where the text alone is not unique."""

    def resolve(self) -> str:
        """Return `file:line`.

        Raises:
            LabError: there is no such line, or more than one.
        """
        lines = (ROOT / self.file).read_text(encoding="utf-8").splitlines()
        start = next((n for n, line in enumerate(lines) if self.within in line), len(lines))
        found = [n for n, line in enumerate(lines, start=1) if n > start and self.text in line]
        if not found or (len(found) > 1 and not self.within):
            raise LabError(f"{self.text!r} is on {len(found)} lines of {self.file}")
        return f"{self.file}:{found[0]}"


NO_LIMITS: Final[Mapping[str, str]] = {
    "SERVICE_TIMEOUTS": json.dumps(
        {
            "application_s": None,
            "analysis_s": None,
            "llm_s": None,
            "memory_s": None,
            "statement_s": None,
            "idle_in_transaction_s": None,
            "lock_s": None,
            "checkout_s": None,
        }
    )
}
"""Production as it was: nothing ends a request but the gateway's timeout."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One row: what is done, under which load, and what must be found."""

    id: str
    description: str
    trigger: str
    """Cause that must be named: a row of the taxonomy."""
    mechanism: str
    site: Marker | None
    """Line that must be named; None where no line of the service is at fault."""
    alert: str
    """Alert that is to fire."""
    during: Rates
    before: Rates = field(default_factory=lambda: {"suggest": 6, "livez": 1, "health": 0.5})
    variant: str = "good"
    """How the service is put together: a key of lab/adapters/variants.py."""
    needs: tuple[str, ...] = ()
    """What runs beside what every run has: names in lab/peers.py."""
    outside: str = "nothing"
    """What happens to the world around it: a key of lab/outside.py."""
    settings: Mapping[str, str] = field(default_factory=lambda: NO_LIMITS)
    """Added to the environment of the service."""
    database_delay_s: float = 0.0
    """One way between service and database."""
    usual_llm_s: float = 0.2
    """How long the LLM takes while all is well."""
    abort_share: float = 0.0
    """Share of the requests whose clients hang up early."""
    lasts_s: float = 12.0
    """Length of the load after the injection."""
    server_options: tuple[str, ...] = ()
    """Added to uvicorn's command line."""
    midway: str = "nothing"
    """What happens halfway through the load: a key of lab/midway.py."""
    factory: str = "lab.app:create_app"
    """Of the application, as uvicorn takes it."""
    also: tuple[Marker, ...] = ()
    """Lines that are as much at fault, once other routes are asked for too."""
    alone: bool = False
    """Whether it takes a core for itself, so that no other run may be beside it."""


_PIKA = Marker("lab/adapters/event_publisher.py", "= pika.BlockingConnection(")
_TAKES_A_CONNECTION = Marker(
    "service/infrastructure/db/friendship_store.py", "await self._session.execute(query)"
)
_DAY: Final[Rates] = {"end": 3, "suggest": 6, "livez": 1, "health": 0.5}

FAULTS: Final = (
    Fault(
        id="F1",
        description="The broker is silent, and pika is called inside the request in `async def`: "
        "the event loop stands still (the story).",
        trigger="F1",
        mechanism="loop",
        site=_PIKA,
        alert="EventLoopBlocked",
        variant="publish in the request",
        during=_DAY,
    ),
    Fault(
        id="F1-pool",
        description="The broker is silent; pika is called in a thread while the transaction is "
        "open, so that every database connection waits for the broker.",
        trigger="F1",
        mechanism="pool",
        site=_PIKA,
        alert="DBPoolExhausted",
        variant="publish in a thread",
        settings={**NO_LIMITS, "SERVICE_POOL_SIZE": "5"},
        during=_DAY,
    ),
    Fault(
        id="F1-alarm",
        description="RabbitMQ raises its memory alarm and reads no more from publishers "
        "(`connection.blocked`); in a thread pika waits for a confirm that does not come, while "
        "the transaction is open. Needs RabbitMQ.",
        trigger="F1",
        mechanism="pool",
        site=Marker("lab/adapters/event_publisher.py", "channel.basic_publish("),
        alert="DBPoolExhausted",
        variant="publish with confirms in a thread",
        needs=("RabbitMQ",),
        outside="memory alarm of the broker",
        settings={**NO_LIMITS, "SERVICE_POOL_SIZE": "5"},
        before={"end": 2, "suggest": 6, "livez": 1, "health": 0.5},
        during=_DAY,
    ),
    Fault(
        id="A1a",
        description="Sessions are never closed where a request ends without a commit: each "
        "conversation that is sent twice leaks a connection.",
        trigger="A1a",
        mechanism="pool",
        site=Marker(
            "service/infrastructure/db/conversation_store.py",
            "await self._session.execute(query)",
            within="async def find(",
        ),
        also=(_TAKES_A_CONNECTION,),
        alert="DBPoolExhausted",
        variant="sessions never removed",
        during={**_DAY, "end again": 5},
    ),
    Fault(
        id="A1b",
        description="A pool of 3 connections to a database in another region is enough by day; "
        "then a nightly job asks for suggestions for every user.",
        trigger="A1b",
        mechanism="pool",
        site=_TAKES_A_CONNECTION,
        alert="DBPoolExhausted",
        settings={**NO_LIMITS, "SERVICE_POOL_SIZE": "3"},
        database_delay_s=0.008,
        before={"suggest": 4, "livez": 1, "health": 0.5},
        during={**_DAY, "suggest": 20},
    ),
    Fault(
        id="A2b",
        description="Somebody updates friendship_status by hand and leaves the transaction open: "
        "every request that locks a row waits, and with it a connection.",
        trigger="A2b",
        mechanism="lock",
        site=_TAKES_A_CONNECTION,
        alert="DBPoolExhausted",
        outside="rows locked by hand",
        during=_DAY,
    ),
    Fault(
        id="B1",
        description="Groq answers after two minutes, and its synchronous client is called inside "
        "`async def`: the event loop stands still.",
        trigger="B1",
        mechanism="loop",
        site=Marker("lab/adapters/emotion_reader.py", "self._client.chat.completions.create("),
        alert="EventLoopBlocked",
        variant="sync LLM client",
        outside="slow LLM",
        during={**_DAY, "score": 2},
    ),
    Fault(
        id="B3",
        description="Groq answers after two minutes and the call has no timeout, inside an open "
        "transaction: every database connection waits for the LLM.",
        trigger="B3",
        mechanism="pool",
        site=Marker(
            "service/infrastructure/llm/emotion_reader.py",
            "= await self._client.chat.completions",
        ),
        alert="DBPoolExhausted",
        variant="LLM inside the transaction",
        outside="slow LLM",
        during={**_DAY, "score": 5},
    ),
    Fault(
        id="A1c",
        description="Scoring opens a second session inside the first: once every connection "
        "belongs to somebody who wants another one, nobody gets it.",
        trigger="A1c",
        mechanism="pool",
        site=None,
        alert="DBPoolExhausted",
        variant="a session inside a session",
        settings={**NO_LIMITS, "SERVICE_POOL_SIZE": "3"},
        database_delay_s=0.008,
        during={**_DAY, "score": 20},
    ),
    Fault(
        id="A2a",
        description="A trigger that keeps a report up to date takes a minute: every conversation "
        "that ends keeps a connection for as long.",
        trigger="A2a",
        mechanism="pool",
        site=None,
        alert="DBPoolExhausted",
        outside="slow trigger",
        settings={**NO_LIMITS, "SERVICE_POOL_SIZE": "5"},
        during=_DAY,
    ),
    Fault(
        id="A2c",
        description="Scoring reads the user's past one conversation at a time, from a database "
        "in another region.",
        trigger="A2c",
        mechanism="none",
        site=None,
        alert="Gateway504Ratio",
        variant="a query for each row",
        database_delay_s=0.008,
        during={"livez": 1, "score": 1},
    ),
    Fault(
        id="A3",
        description="Scoring compares every sentence with every other one, on the event loop.",
        trigger="A3",
        mechanism="loop",
        site=Marker("lab/adapters/emotion_reader.py", "return sum(difflib"),
        alert="EventLoopBlocked",
        variant="computing on the loop",
        alone=True,
        during={**_DAY, "score": 0.5},
    ),
    Fault(
        id="B2",
        description="Groq's quota is used up, and its client waits as long as Retry-After says.",
        trigger="B2",
        mechanism="none",
        site=None,
        alert="LLMRateLimited",
        variant="patient LLM client",
        outside="LLM over its quota",
        during={**_DAY, "score": 3},
    ),
    Fault(
        id="C1",
        description="Everything is kept, and garbage collected by hand: each collection looks at "
        "three million objects.",
        trigger="C1",
        mechanism="loop",
        site=None,
        alert="EventLoopBlocked",
        variant="everything kept",
        alone=True,
        during={**_DAY, "score": 0.5},
    ),
    Fault(
        id="C2",
        description="A share on the network hangs, and reading from it takes all 40 threads.",
        trigger="C2",
        mechanism="limiter",
        site=Marker("lab/adapters/emotion_reader.py", "os.read(self._share, 1)"),
        alert="WorkerThreadsExhausted",
        variant="blocking work in threads",
        during={**_DAY, "score": 12},
    ),
    Fault(
        id="D1",
        description="Mem0 answers after two minutes, and its client is awaited without a timeout: "
        "scoring hangs, and nothing else does.",
        trigger="D1",
        mechanism="none",
        site=Marker("lab/adapters/memory.py", "= await self._client.search("),
        alert="Gateway504Ratio",
        variant="memory without a limit",
        needs=("Mem0",),
        outside="slow memory",
        before={"suggest": 6, "livez": 1, "health": 0.5, "score": 1},
        during={**_DAY, "score": 2},
    ),
    Fault(
        id="E1",
        description="Neighbours with work to do share the one core that the service may use.",
        trigger="E1",
        mechanism="loop",
        site=None,
        alert="EventLoopBlocked",
        outside="starved service",
        alone=True,
        during=_DAY,
    ),
    Fault(
        id="G1",
        description="The LLM takes 5 s, as it always does; the gateway waits for 4.",
        trigger="G1",
        mechanism="budget",
        site=None,
        alert="Gateway504Ratio",
        settings={},
        usual_llm_s=5.0,
        during={**_DAY, "score": 2},
    ),
    Fault(
        id="G2",
        description="The broker is silent, and the health check asks it inside the request, with "
        "no limit that fits: whoever asks for the health hangs, and every other route answers.",
        trigger="G2",
        mechanism="none",
        site=Marker("lab/adapters/check_health.py", "pika.BlockingConnection("),
        alert="Gateway504Ratio",
        variant="health asked in the request",
        before={"suggest": 3, "livez": 1},
        # Other routes are served, which costs more than hanging: it must not be what fails.
        during={"end": 1, "suggest": 3, "livez": 1, "health": 2},
    ),
    Fault(
        id="N0",
        description="The control: the good service under ordinary load, and clients that "
        "hang up early. Nothing may be blamed.",
        trigger="N0",
        mechanism="none",
        site=None,
        alert="none",
        settings={"SERVICE_TIME_SCALE": f"{TIME_SCALE:g}"},
        during={**_DAY, "score": 2, "end again": 1},
        abort_share=0.2,
    ),
)
"""The default, the story's, first."""


def fault(fault_id: str) -> Fault:
    """Return the row of this id, upper or lower case.

    Raises:
        LabError: there is none.
    """
    for row in FAULTS:
        if row.id.lower() == fault_id.lower():
            return row
    known = ", ".join(row.id for row in FAULTS)
    raise LabError(f"there is no fault {fault_id!r}; there are {known}")

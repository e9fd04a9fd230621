"""10,000 conversations while everything is killed at random: each must count exactly once."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from lab.deployment import PYTHON
from lab.prove.books import Books, wait_until
from lab.prove.deployment import API, RELAY, WORKER, Service
from lab.prove.kills import Killer, Kills
from lab.prove.metrics import Watch
from lab.prove.persistent import ORDER, SENT, Order, Sent, body
from lab.prove.run import Run
from lab.prove.verdict import Check, Verdict
from lab.stack.process import Process, Program, start

USERS: Final = 60
FIRST: Final = 20_000_000
"""Numbers of these conversations start here; those of the load are below."""
LONGEST_S: Final = 1_500.0
REDELIVERED: Final = "messaging_client_redelivered_messages_total"
SETTLED: Final = "messaging_client_consumed_messages_total"
SENT_MESSAGES: Final = "messaging_client_sent_messages_total"


@dataclass(frozen=True, slots=True)
class Pace:
    """How many conversations at which rate, beside which kills; `drain_s` to catch up after."""

    conversations: int
    per_s: float
    kills: Kills
    drain_s: float


# A restart is two to three seconds of a core: clients and kills leave room for it on two cores.
FULL: Final = Pace(10_000, 15.0, Kills(at_least=100, pause_s=5.0, broker_every=30, seed=3), 300.0)
REHEARSAL: Final = Pace(40, 10.0, Kills(at_least=2, pause_s=4.0, broker_every=99, seed=3), 60.0)


def play(run: Run, service: Service, verdict: Verdict) -> list[Mapping[str, Any]]:
    """Send and kill, wait until all is done, and return the conversations that were taken."""
    pace = REHEARSAL if run.rehearsal else FULL
    books = Books(service.database_url)
    # What waits from before would be counted as an analysis begun again.
    wait_until(lambda: books.drained, timeout_s=pace.drain_s)
    run.say(f"{pace.conversations:,} conversations, and kill -9 at random moments")
    folder = run.folder / "persistent"
    order = Order(service.gateway.url, FIRST, pace.conversations, USERS, pace.per_s)
    began_s = time.monotonic()
    clients = _start(folder, order)
    run.stack.enter_context(clients)
    kept = service.of(API, RELAY, WORKER)
    asked_before = service.groq.seen()["calls"]
    watch = Watch(service.of(RELAY, WORKER), [REDELIVERED, SETTLED, SENT_MESSAGES], every_s=0.5)
    run.stack.enter_context(watch)
    with Killer(kept, service.broker, pace.kills, told=run.say) as killer:
        # Whichever takes longer: kills go on beside the workers that catch up.
        wait_until(
            lambda: not clients.alive and killer.of_the_service >= pace.kills.at_least,
            timeout_s=LONGEST_S,
        )
    run.say(f"no more kills ({killer.of_the_service}); everything that waits is done now")
    drained = wait_until(lambda: books.drained, timeout_s=pace.drain_s)
    run.say("drained" if drained else f"{books.count('unscored')} conversations still wait")
    sent = read_sent(folder)
    kills, attempts = dict(killer.kills), sum(sum(each.answers.values()) for each in sent)
    verdict.checks += [
        Check("conversations taken", len(sent), pace.conversations, at_least=True),
        Check("kills", killer.of_the_service, pace.kills.at_least, at_least=True),
    ]
    verdict.facts |= {
        "kills": kills,
        "seconds of kills": round(time.monotonic() - began_s, 1),
        "attempts of clients": attempts,
        "answers": dict(sum((Counter(each.answers) for each in sent), Counter[str]())),
        # How real the risk was: each of these would have counted twice.
        "sent again although it was stored": _repeated(books, sent),
        "analyses begun again": (service.groq.seen()["calls"] - asked_before) // 2 - len(sent),
        "messages redelivered, at least": watch.increase(REDELIVERED),
        "messages found done already, at least": watch.increase(SETTLED, outcome="duplicate"),
        "publishes without confirm, at least": watch.increase(SENT_MESSAGES, outcome="unconfirmed"),
    }
    return [body(each.number, USERS) for each in sent]


def _start(folder: Path, order: Order) -> Process:
    folder.mkdir()
    (folder / ORDER).write_text(json.dumps(asdict(order)), encoding="utf-8")
    argv = [sys.executable, "-m", "lab.prove.persistent", str(folder)]
    return start(Program(argv, "persistent", folder, PYTHON))


def read_sent(folder: Path) -> list[Sent]:
    """Return what the clients of this folder handed over."""
    with (folder / SENT).open(encoding="utf-8") as lines:
        return [Sent(**json.loads(line)) for line in lines]


def _repeated(books: Books, sent: Sequence[Sent]) -> int:
    """Return how many conversations were stored although their client heard nothing of it."""
    stored_s = dict(
        books.rows("SELECT requested_id, extract(epoch FROM created_at) FROM conversation_event")
    )
    ids = ((str(body(each.number, USERS)["conversation_id"]), each) for each in sent)
    return sum(stored_s.get(name, each.last_sent_s) < each.last_sent_s for name, each in ids)

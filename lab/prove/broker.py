"""The broker fails beside ordinary traffic, then everything is killed at random.

0 failed requests, p99 within 2x of healthy, 0 events lost, 0 processed twice in effect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lab.prove import broker_kills, broker_phases
from lab.prove.books import Books
from lab.prove.deployment import Service, deploy
from lab.prove.expected import INITIAL_SCORE, outcome
from lab.prove.run import Run
from lab.prove.verdict import Check, Verdict
from service.application.settings import Settings


def prove(run: Run) -> Verdict:
    """Play the phases and the kills, then compare the tables with what clients handed over."""
    run.say("starting PostgreSQL, RabbitMQ, Valkey, nginx, two APIs, a relay, two workers")
    service = deploy(run.folder, run.stack)
    books = Books(service.database_url)
    books.give_everybody(INITIAL_SCORE)
    verdict = Verdict("prove-broker")
    taken, perhaps = broker_phases.play(run, service, verdict)
    taken += broker_kills.play(run, service, verdict)
    run.say(f"comparing the tables with {len(taken):,} conversations")
    # A request that failed may have been stored: then it must have its effect, once.
    stored = books.stored
    taken += [body for body in perhaps if body["conversation_id"] in stored]
    _compare(verdict, service, books, taken)
    return verdict


def _compare(
    verdict: Verdict, service: Service, books: Books, taken: Sequence[Mapping[str, Any]]
) -> None:
    found = books.differences({body["conversation_id"]: outcome(body) for body in taken})
    dead = service.broker.depth(f"{Settings().queue}.dead")
    verdict.checks += [
        Check("events lost", found.lost, 0),
        Check("conversations stored twice", books.count("stored twice"), 0),
        Check("conversations without effect", found.without_effect, 0),
        Check("conversations with a wrong effect", found.wrong_effect, 0),
        Check("effects that nobody asked for", found.unasked, 0),
        Check("users whose score or topics are wrong", found.wrong_users, 0),
        Check("scores that are no sum of the ledger", books.count("scores that are no sum"), 0),
        Check("topics that are no sum of the ledger", books.count("topics that are no sum"), 0),
        Check("messages not sent", books.count("unsent"), 0),
        Check("dead letters", (dead or 0) + books.count("set aside"), 0),
    ]
    verdict.facts["conversations compared"] = len({body["conversation_id"] for body in taken})

"""100,000 payloads of hostile alerts, to messages: none too large, none that does anything."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, Final
from zlib import crc32

from bench.alerts.limits import LINK_HOST, faults
from bench.alerts.run import Run
from bench.alerts.scene import HOSTILE, alert, ended
from why504.alerts.alert import Alert, Level
from why504.alerts.cards.card import bare, message
from why504.alerts.cards.compose import chosen
from why504.alerts.cards.digest import digest
from why504.alerts.cards.frame import Place
from why504.alerts.intake import from_webhook
from why504.alerts.kept.message import Batch, Change, Unsent
from why504.alerts.rooms.finding import Finding

PAYLOADS: Final = 100_000
PROCESSES: Final = 2
_SIZES: Final = (1, 1, 1, 2, 3, 4, 8)
_LARGE: Final = 0.001
"""Share of the payloads that fill a message, and the next."""
_PLACE: Final = Place(
    mention="users/all", link_hosts=frozenset({LINK_HOST}), explorer_url=f"https://{LINK_HOST}/",
    alertmanager_url=f"https://{LINK_HOST}/am",
)  # fmt: skip
_CHARS: Final = (
    range(0x20, 0x7F), range(0, 0x20), range(0x80, 0x600), range(0x2000, 0x2070),
    range(0xD800, 0xE000), range(0x1F300, 0x1F700), range(0xE0000, 0xE0080),
)  # fmt: skip


def measure(run: Run) -> None:
    """Add how many messages were made, and what was wrong with any."""
    seeds = range(40)
    with ProcessPoolExecutor(PROCESSES) as pool:
        parts = list(pool.map(_made_of, [(seed, PAYLOADS // len(seeds)) for seed in seeds]))
    counted = sum(parts, Counter[str]())
    wrong = ("bytes", "widgets", "mention", "markup", "link", "unseen", "unnamed")
    run.at_least("messages: hostile payloads", counted["payloads"], PAYLOADS)
    run.at_most("messages: over 32,000 bytes", counted["bytes"], 0)
    run.at_most("messages: over 100 widgets", counted["widgets"], 0)
    run.at_most("messages: with a foreign mention", counted["mention"], 0)
    run.at_most("messages: with markup, links or unseen characters",
                sum(counted[key] for key in wrong[3:6]), 0)  # fmt: skip
    run.at_most("messages: alerts that none names", counted["unnamed"], 0)
    run.verdict.facts["messages"] = {
        key: number for key, number in counted.items() if key not in wrong
    }


def _made_of(order: tuple[int, int]) -> Counter[str]:
    seed, payloads = order
    chance = random.Random(seed)  # noqa: S311 - text, no secret
    counted: Counter[str] = Counter(payloads=payloads)
    for _ in range(payloads):
        alerts = from_webhook({"alerts": _payload(chance)}, 10**18).alerts
        counted["alerts"] += len(alerts)
        for batch, named in _told(alerts, chance):
            counted["messages"] += 1
            counted.update(set(faults(batch.body)))
            missing = [one for one in named if one.fingerprint not in batch.body]
            counted["unnamed"] += len(missing)
    return counted


def _told(alerts: Sequence[Alert], chance: random.Random) -> Iterator[tuple[Batch, list[Alert]]]:
    """Yield messages until all is told, each with the alerts that it has to name."""
    changes = [Change(number, one, 10**18) for number, one in enumerate(alerts)]
    quiet = [change for change in changes if change.alert.level is Level.P2]
    if quiet:
        yield digest(quiet, _PLACE), []
    live = chance.random() < 0.8
    unsent = [_unsent(one, chance, live=live) for one in changes if one.alert.level <= Level.P1]
    unsent.sort(key=lambda one: (one.level, one.change.id))
    while told := chosen(unsent):
        found = {told[0].incident: _finding(chance)} if chance.random() < 0.1 else {}
        yield message(told, _PLACE, found), [one.change.alert for one in told]
        if chance.random() < 0.05:
            yield bare(told), [one.change.alert for one in told]
        done = {one.change.id for one in told}
        unsent = [one for one in unsent if one.change.id not in done]


def _unsent(change: Change, chance: random.Random, *, live: bool) -> Unsent:
    level, service = change.alert.level, change.alert.service
    return Unsent(
        change, level, f"{crc32(service.encode()):016x}", service, 0, level,
        told=chance.randrange(2), woken=False, live=live,
    )  # fmt: skip


def _payload(chance: random.Random) -> list[dict[str, Any]]:
    size = chance.choice(_SIZES)
    if chance.random() < _LARGE:
        size = chance.randint(500, 1_500)
    text = [_text(chance) for _ in range(4)]
    services = [_text(chance) for _ in range(chance.choice((1, 1, 2, 8)))]
    return [_hostile(n, text, chance.choice(services), chance) for n in range(size)]


def _hostile(
    number: int, text: Sequence[str], service: str, chance: random.Random
) -> dict[str, Any]:
    told = alert(number, chance.choice(("p0", "p1", "p1", "p2", text[0])), service)
    told["labels"] |= {"alertname": text[1] or "A", "http_route": text[2], text[3]: text[0]}
    told["annotations"] = {
        "summary": text[2], "description": text[3], "runbook_url": chance.choice(text),
        "dashboard_url": f"https://{LINK_HOST}/{number}",
    }  # fmt: skip
    if chance.random() < 0.2:
        told["fingerprint"] = chance.choice((text[0], None, 7, "f" * 16))
    return ended(told) if chance.random() < 0.3 else told


def _text(chance: random.Random) -> str:
    if chance.random() < 0.4:
        return "".join(chance.choices(HOSTILE, k=chance.choice((1, 1, 2, 5))))
    chars = chance.choice(_CHARS)
    return "".join(map(chr, chance.choices(chars, k=chance.choice((1, 20, 400)))))


def _finding(chance: random.Random) -> Finding:
    return Finding(
        cause="F1", title=_text(chance), sentence=_text(chance),
        chain=[_text(chance) for _ in range(chance.randrange(12))],
        incident_id=_text(chance), trace_id="9f3c", services=[],
    )  # fmt: skip

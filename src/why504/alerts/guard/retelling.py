"""Tells the changes of a message once more: to others, or because nobody came."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace

from why504.alerts.cards.card import bare, message
from why504.alerts.cards.frame import Place
from why504.alerts.cards.widgets import as_bytes
from why504.alerts.kept.ledger import Ledger
from why504.alerts.kept.message import ESCALATION, Batch, Unsent

log = logging.getLogger(__name__)


def retold(
    told: Sequence[Unsent], ledger: Ledger, place: Place, *, kind: str, room: str, why: str
) -> Batch:
    """Return a message on top that mentions on-call as if it was the first of its incidents.

    Args:
        kind: of each incident there is one message of a kind.
        why: added to what the message says; no stranger's text.
    """
    first = [replace(one, told=0, woken=False) for one in told]
    known = {one.incident: ledger.incidents.finding(one.incident) for one in told}
    try:
        batch = message(first, place, {key: found for key, found in known.items() if found})
    except Exception:
        log.exception("no card can be made, so it is told without one")
        batch = bare(first)
    body = json.loads(batch.body)
    body["text"] = f"{body['text']} · {why}"
    if kind == ESCALATION and "thread" in body:
        # In the thread that nobody answered, nobody would see it.
        body["thread"] = {"threadKey": f"{body['thread']['threadKey']}-{kind}"}
    return replace(
        batch,
        request_id=f"{batch.request_id}-{kind}",
        body=as_bytes(body).decode(),
        changes=[],
        explained=[],
        room=room,
        kind=kind,
    )

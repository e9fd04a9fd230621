"""What Alertmanager and services send, to alerts. Tolerant: whatever names an alert is one.

Sources: Alertmanager's webhook payload (version 4) and its API v2, `POST /api/v2/alerts`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from why504.alerts.alert import FIRING, MARK, NAME, RESOLVED, Alert, fingerprint_of
from why504.errors import AlertRejected

_LONGEST: Final = 16_384
"""Characters of a label or annotation that are kept."""
_MOST_LABELS: Final = 100
_FINGERPRINT: Final = re.compile(rf"[\w-]{{1,{MARK}}}", re.ASCII)
"""One that is longer, or holds markup, would not fit into a card that names a thousand of them."""
_RAISED_FOR_NS: Final = 5 * 60 * 10**9
"""What a service raises without an end is over by then unless it is raised again; as there."""


class Taken(NamedTuple):
    """What a request told."""

    alerts: list[Alert]
    unreadable: list[str]
    """Why others could not be read, for people."""


def from_webhook(document: Any, now_ns: int) -> Taken:
    """Return the alerts of an Alertmanager webhook.

    Raises:
        AlertRejected: it has no list of alerts.
    """
    if not isinstance(document, dict) or not isinstance(document.get("alerts"), list):
        raise AlertRejected("not an Alertmanager webhook: there is no list under `alerts`")
    return _taken(document["alerts"], now_ns, None)


def from_api(document: Any, now_ns: int) -> Taken:
    """Return the alerts that a service raised itself, in the form of Alertmanager's API v2.

    Raises:
        AlertRejected: it is no list.
    """
    if not isinstance(document, list):
        raise AlertRejected("alerts must come as a list: [{labels: {alertname: ...}}]")
    return _taken(document, now_ns, now_ns + _RAISED_FOR_NS)


def _taken(told: list[Any], now_ns: int, expires_ns: int | None) -> Taken:
    taken = Taken([], [])
    for number, one in enumerate(told):
        try:
            taken.alerts.append(_alert(one, now_ns, expires_ns))
        except AlertRejected as error:
            taken.unreadable.append(f"alert {number}: {error}")
    return taken


def _alert(told: Any, now_ns: int, expires_ns: int | None) -> Alert:
    if not isinstance(told, dict):
        raise AlertRejected("it is no object")
    labels = _texts(told.get("labels"), "labels")
    if not labels.get(NAME):
        raise AlertRejected(f"its labels have no `{NAME}`")
    ends_ns = _time_ns(told.get("endsAt"))
    over = ends_ns is not None and ends_ns <= now_ns
    status = told.get("status")
    if status not in (FIRING, RESOLVED):  # the API tells it by the end alone
        status = RESOLVED if over else FIRING
    return Alert(
        labels=labels,
        status=status,
        starts_ns=_time_ns(told.get("startsAt")) or 0,
        ends_ns=(ends_ns if over else now_ns) if status == RESOLVED else None,
        expires_ns=(ends_ns or expires_ns) if status == FIRING else None,
        annotations=_texts(told.get("annotations"), "annotations"),
        generator_url=_text(told.get("generatorURL") or ""),
        fingerprint=_fingerprint(told.get("fingerprint")) or fingerprint_of(labels),
    )


def _texts(told: Any, what: str) -> dict[str, str]:
    if told is None:
        return {}
    if not isinstance(told, Mapping):
        raise AlertRejected(f"its {what} are no object")
    pairs = list(told.items())[:_MOST_LABELS]
    return {_text(key): _text(value) for key, value in pairs}


def _fingerprint(told: Any) -> str:
    return told if isinstance(told, str) and _FINGERPRINT.fullmatch(told) else ""


def _text(told: Any) -> str:
    """Return what can be stored and sent: JSON may hold half a character (`\\ud800`)."""
    if type(told) is str and len(told) <= _LONGEST and told.isascii():
        return told
    return str(told)[:_LONGEST].encode("utf-8", "replace").decode()


def _time_ns(told: Any) -> int | None:
    """Return a time of RFC 3339; None where there is none, as Go writes it: the year 1."""
    if not isinstance(told, str) or not told or told.startswith("0001-"):
        return None
    try:
        time = datetime.fromisoformat(told)
    except ValueError:
        return None
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    since = time - datetime(1970, 1, 1, tzinfo=UTC)
    # Not by a float: an alert's identity has to be the same each time it is told.
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000

"""Tables of the page about alerts: column name -> cells, ready for `st.dataframe`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Final

from dashboards.draw.chatcard import notification, without_secrets
from dashboards.draw.deliveries import seconds_of
from dashboards.draw.text import duration, moment, plain
from dashboards.language import Said, Say
from dashboards.words import alerts as words
from why504.alerts.alert import Alert
from why504.alerts.kept.reading import Burning, Sent

CELL: Final = 160
NOTHING: Final = "–"

Cells = dict[str, Sequence[str | int]]


def burning_rows(burning: Sequence[Burning], now_ns: int, say: Say, zone: tzinfo = UTC) -> Cells:
    """Return one row an alert that fires, in the order given."""
    alerts = [one.alert for one in burning]
    return _said(
        {
            words.LEVEL: [alert.level.name for alert in alerts],
            words.ALERT: [_safe(alert.name, say) for alert in alerts],
            words.SERVICE: [_safe(alert.service, say) or NOTHING for alert in alerts],
            words.SINCE: [moment(alert.starts_ns, zone) for alert in alerts],
            words.LASTS: [duration(max(0, now_ns - alert.starts_ns) / 1e9) for alert in alerts],
            words.WHO: [who(one, say, zone) for one in burning],
            words.SUMMARY: [_summary(alert, say) for alert in alerts],
        },
        say,
    )


def who(one: Burning, say: Say, zone: tzinfo = UTC) -> str:
    """Return who looks after an alert, and since when."""
    if one.by is None:
        return say(words.NOBODY)
    name = _safe(one.by, say) or say(words.SOMEBODY)
    if one.acknowledged_ns is None:
        return name
    return say(words.ACKNOWLEDGED_AT, who=name, when=moment(one.acknowledged_ns, zone))


def alert_name(alert: Alert, say: Say, zone: tzinfo = UTC) -> str:
    """Return what tells one alert from the others in a list to choose from."""
    since = moment(alert.starts_ns, zone, date=False)
    return f"{alert.level.name}  {_safe(alert.name, say)}  {_safe(alert.service, say)}  {since}"


def told_rows(alerts: Sequence[Alert], say: Say, zone: tzinfo = UTC) -> Cells:
    """Return one row an alert that a message tells, as it was then."""
    return _said(
        {
            words.LEVEL: [alert.level.name for alert in alerts],
            words.ALERT: [_safe(alert.name, say) for alert in alerts],
            words.SERVICE: [_safe(alert.service, say) or NOTHING for alert in alerts],
            words.STATUS: [
                say(words.STATUSES[alert.status])
                if alert.status in words.STATUSES
                else plain(alert.status, 20)
                for alert in alerts
            ],
            words.SINCE: [moment(alert.starts_ns, zone) for alert in alerts],
            words.ENDED: [moment(a.ends_ns, zone) if a.ends_ns else NOTHING for a in alerts],
            words.SUMMARY: [_summary(alert, say) for alert in alerts],
            words.MARK: [_safe(alert.fingerprint, say) for alert in alerts],
        },
        say,
    )


def message_rows(messages: Sequence[Sent], now_ns: int, say: Say, zone: tzinfo = UTC) -> Cells:
    """Return one row a message, in the order given."""
    removed = say(words.REMOVED)
    return _said(
        {
            words.WRITTEN: [moment(one.frozen_ns, zone) for one in messages],
            words.LEVEL: [one.level.name for one in messages],
            words.STATE: [state(one, say) for one in messages],
            words.TEXT: [notification(one.body, removed) or NOTHING for one in messages],
            words.TIME_TO_ROOM: [duration(seconds_of(one, now_ns)) for one in messages],
            words.ATTEMPTS: [one.attempts for one in messages],
            words.ALERTS_N: [one.alerts for one in messages],
            words.ROOM: [_safe(one.room, say) for one in messages],
            words.WHY: [reason(one, say) for one in messages],
        },
        say,
    )


def message_name(one: Sent, say: Say, zone: tzinfo = UTC) -> str:
    """Return what tells one message from the others in a list to choose from."""
    text = notification(one.body, say(words.REMOVED))[:80]
    return f"{moment(one.frozen_ns, zone)}  {one.level.name}  {state(one, say)}  {text}"


def state(one: Sent, say: Say) -> str:
    """Return what became of a message."""
    known = words.STATES.get(one.state)
    return say(known) if known else plain(one.state, 20)


def reason(one: Sent, say: Say) -> str:
    """Return why a message is not in its room; empty where it is."""
    return _safe(one.reason, say)


def _summary(alert: Alert, say: Say) -> str:
    return _safe(alert.annotations.get("summary", ""), say)


def _safe(text: str, say: Say) -> str:
    return plain(without_secrets(text, say(words.REMOVED)), CELL)


def _said(cells: Mapping[Said, Sequence[str | int]], say: Say) -> Cells:
    return {say(name): column for name, column in cells.items()}

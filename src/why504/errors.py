"""Every error that why504 raises on purpose.

Why504Error
├── ConfigError          a setting is missing or makes no sense; says how to mend it
├── MissingExtra         a part needs packages that are not installed; says the command
├── TelemetryRejected    somebody sent what we can't store; final, never retried
│   ├── NotOtlp          not OTLP at all (400)
│   ├── TooLarge         larger than the receiver takes (413)
│   └── UnknownFormat    a file in no format that can be imported
├── AlertRejected        somebody sent what is no alert; says what is wrong with it (400)
├── AlertsUnavailable    alerts can't be kept now; whoever sent them has to send them again (503)
├── LedgerUnreadable     who only looks can't read the alerts that were kept; says why
├── ChatError            a message did not reach the room; never has the room's address in it
│   ├── ChatBusy         not now: the same message may be sent again
│   │   └── ChatForbidden  nor later, if it lasts: the address may not write (401, 403, 404)
│   └── ChatRefused      not ever: this message, or the address, is refused
├── PingFailed           the watcher outside did not hear us; never has its address in it
├── TicketError          a ticket was not opened or commented; never has a token in it
│   ├── TicketBusy       not now: the same call may be repeated
│   └── TicketRefused    not ever: this text, or a ticket that is gone
├── AttachError          a process can't be looked at from outside; says why, and what would help
│   └── AttachForbidden  this user may not read it
├── StoreUnavailable     evidence can't be written or read now; may be retried
├── NotReplayable        nothing can be said of what would have been; says why
└── LabError             the lab could not start or drive one of its real parts
"""

from __future__ import annotations


class Why504Error(Exception):
    """Base of every error raised on purpose."""


class ConfigError(Why504Error):
    """A setting is missing or makes no sense."""


class MissingExtra(Why504Error):
    """A part of why504 needs packages that are not installed."""

    def __init__(self, extra: str) -> None:
        super().__init__(f"this needs more packages: pip install 'why504[{extra}]'")


class TelemetryRejected(Why504Error):
    """Telemetry that can't be stored, whoever sends it again."""


class NotOtlp(TelemetryRejected):
    """A body that is not OTLP."""


class TooLarge(TelemetryRejected):
    """A body larger than the receiver takes."""


class UnknownFormat(TelemetryRejected):
    """A file without traces in a format that can be imported."""


class AlertRejected(Why504Error):
    """A request that holds no alert."""


class AlertsUnavailable(Why504Error):
    """Alerts that could not be made durable; they were not taken."""


class LedgerUnreadable(Why504Error):
    """A file of alerts that can't be looked at."""

    def __init__(self, why: str, reason: str) -> None:
        super().__init__(reason)
        self.why = why
        """missing, no_ledger, newer, older, locked or unreadable."""


class ChatError(Why504Error):
    """A message that did not reach the room."""


class ChatBusy(ChatError):
    """The room can't be reached, or wants no more for now."""


class ChatForbidden(ChatBusy):
    """The room's address may not write, now and then for no reason, else since it was revoked."""


class ChatRefused(ChatError):
    """The room refuses this message, or everything from us."""


class PingFailed(Why504Error):
    """A watcher outside that could not be told that alerting works."""


class TicketError(Why504Error):
    """A ticket that was not opened or commented."""


class TicketBusy(TicketError):
    """The tracker can't be reached, or takes nothing for now."""

    def __init__(self, reason: str, after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.after_s = after_s
        """It should not be asked sooner, seconds."""


class TicketRefused(TicketError):
    """The tracker refuses this ticket or comment."""


class AttachError(Why504Error):
    """A process that can't be looked at: gone, or no Python."""


class AttachForbidden(AttachError):
    """A process that this user may not read."""


class StoreUnavailable(Why504Error):
    """Evidence can't be written or read at the moment; the same call may succeed later."""


class NotReplayable(Why504Error):
    """What happened can't be played again, so that nothing can be said of changes."""


class LabError(Why504Error):
    """The lab could not start or drive one of its real parts."""

"""Every error that a use case raises on purpose; the API turns each into a problem detail.

ServiceError
├── ConversationUnknown   no conversation has this id; final
├── UserUnknown           no user of this id has a status; final
├── StoreRefused          the database refuses what it was told: a mistake of the service
└── Unavailable           the same call may succeed later
    ├── StoreBusy         every connection of the pool is in use, or a lock is held too long
    └── StoreUnavailable  the database can't be reached, or gave up a statement
"""

from __future__ import annotations


class ServiceError(Exception):
    """Base of every error raised on purpose."""


class ConversationUnknown(ServiceError):
    """No conversation has this id."""


class UserUnknown(ServiceError):
    """No user of this id has a status."""


class StoreRefused(ServiceError):
    """The database refused a statement; the message names kind and place, never a value."""


class Unavailable(ServiceError):
    """Something the service needs is missing at the moment; the same call may succeed later."""


class StoreBusy(Unavailable):
    """The store has no connection free, or a row stayed locked by somebody else."""


class StoreUnavailable(Unavailable):
    """The store can't be reached, or did not finish a statement in time."""

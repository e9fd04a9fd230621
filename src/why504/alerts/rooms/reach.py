"""Whether a room can be reached, by what it answered last."""

from __future__ import annotations

from why504.errors import ChatError, ChatForbidden


class Reach:
    """What one thread that sends notes, and others read; seconds are of a monotonic clock."""

    def __init__(self) -> None:
        self.failure = ""
        """Why the room did not take the last message, for people; empty when it did."""
        self.tried_s: float | None = None
        """When it was tried last; None: never."""
        self.forbidden_since_s: float | None = None
        """Since when it says that its address may not write; None while it may."""

    @property
    def works(self) -> bool:
        """Return whether the room took the last message; not if there was none."""
        return self.tried_s is not None and not self.failure

    def succeeded(self, now_s: float) -> None:
        """Note that the room took a message."""
        self.failure = ""
        self.tried_s = now_s
        self.forbidden_since_s = None

    def failed(self, error: ChatError, now_s: float) -> None:
        """Note that it did not. That it can't be reached says nothing of its address."""
        self.failure = str(error)
        self.tried_s = now_s
        if isinstance(error, ChatForbidden) and self.forbidden_since_s is None:
            self.forbidden_since_s = now_s

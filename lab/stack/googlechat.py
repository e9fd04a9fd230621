"""Google Chat's stand-in; `behave` changes fields of `lab.standins.googlechat.ChatBehaviour`."""

from __future__ import annotations

from typing import Any

from lab.stack.standin import StandIn


class GoogleChat(StandIn):
    """A running stand-in for Google Chat: every space that is named exists."""

    name = "googlechat"

    def webhook(self, space: str) -> str:
        """Return the address of an incoming webhook of a space."""
        return f"{self.url}/v1/spaces/{space}/messages?key=lab&token=lab"

    def messages(self) -> list[dict[str, Any]]:
        """Return what is in the spaces, the oldest first; `at` is in Unix seconds."""
        messages: list[dict[str, Any]] = self.seen()["messages"]
        return messages

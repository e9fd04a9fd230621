"""Langfuse's stand-in; `behave` changes fields of `lab.standins.control.Behaviour`."""

from __future__ import annotations

from lab.stack.standin import StandIn


class Langfuse(StandIn):
    """A running stand-in for Langfuse."""

    name = "langfuse"

"""Groq's stand-in; `behave` changes fields of `lab.standins.groq.Behaviour`."""

from __future__ import annotations

from lab.stack.standin import StandIn


class Groq(StandIn):
    """A running stand-in for Groq."""

    name = "groq"

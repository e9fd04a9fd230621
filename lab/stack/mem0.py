"""Mem0's stand-in; `behave` changes fields of `lab.standins.control.Behaviour`."""

from __future__ import annotations

from lab.stack.standin import StandIn


class Mem0(StandIn):
    """A running stand-in for Mem0."""

    name = "mem0"

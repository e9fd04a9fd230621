"""Calls of a service to itself: they wait for what their own callers keep, not for a peer."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Sequence

from why504 import names
from why504.diagnose.leaves import Resting
from why504.diagnose.peers import address_of
from why504.model import Evidence, Span


class OwnPlaces:
    """Where each process is reached, by what its server spans tell."""

    def __init__(self, evidence: Evidence) -> None:
        self._hosts: dict[tuple[str, int], set[str]] = defaultdict(set)
        """(instance, port) -> own addresses."""
        for span in evidence.spans:
            port = span.attributes.get(names.SERVER_PORT)
            served = span.kind == "server" and span.service != names.GATEWAY_SERVICE
            if served and isinstance(port, int):
                host = address_of(span.attributes).removesuffix(f":{port}")
                self._hosts[span.instance, port].add(host)

    def calls_itself(self, call: Span) -> bool:
        """Return whether a call goes to the port of its own process, on its own machine."""
        port = call.attributes.get(names.SERVER_PORT)
        if call.kind != "client" or not isinstance(port, int):
            return False
        hosts = self._hosts.get((call.instance, port))
        host = address_of(call.attributes)
        return hosts is not None and bool(host) and (_is_loopback(host) or host in hosts)

    def are_calls_to_itself(self, leaves: Sequence[Resting]) -> bool:
        """Return whether most calls in which some leaves can be seen go to the caller itself."""
        calls = [s for leaf in leaves for s in leaf.sources.values() if isinstance(s, Span)]
        return sum(map(self.calls_itself, calls)) * 2 > len(calls)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"

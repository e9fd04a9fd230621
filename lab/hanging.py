"""A real service that hangs while somebody looks: the lab's parts, and nobody who restarts it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lab.deployment import deploy
from lab.faults import GATEWAY_TIMEOUT_S, fault
from lab.load import Load, Plan, shots
from lab.matrix.stored import OURS
from lab.outside import ACTIONS

HANGS_S = 120.0
"""Longer than anybody looks: the load ends with the block."""


@contextmanager
def hung(fault_id: str, folder: Path) -> Iterator[Path]:
    """Give the store of a service under load, into which a fault was injected.

    Raises:
        LabError: there is no such fault, or a part did not start.
    """
    row = fault(fault_id)
    with ExitStack() as stack:
        deployed = deploy(row, folder, stack)
        stack.enter_context(ACTIONS[row.outside](deployed.world))
        plan = shots(Plan(row.during, HANGS_S), seed=1)
        url = deployed.gateway.url
        stack.enter_context(Load(url, plan, timeout_s=GATEWAY_TIMEOUT_S * 2))
        yield folder / OURS

"""Plays one fault on the real stack, from an empty folder to what is kept of it, and its score."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from lab.deployment import Deployment, deploy
from lab.faults import GATEWAY_TIMEOUT_S, Fault, fault
from lab.ladder import write_ladder
from lab.load import Load, Plan, Summary, shots, summary
from lab.matrix.commit import commit
from lab.matrix.conditions import condition
from lab.matrix.kept import Course, keep
from lab.matrix.rescore import scored
from lab.matrix.stored import OURS, everything
from lab.midway import midway
from lab.outside import ACTIONS
from lab.score import Outcome, expected
from why504.diagnose import explain
from why504.diagnose.causes import UNKNOWN
from why504.model import Incident
from why504.stores.parquet import ParquetStore

KEPT: Final = "kept"
"""Folder of what scoring needs, below that of the run."""
WARM_UP_S: Final = 3.0
ASK_EVERY_S: Final = 1.0
SETTLE_S: Final = 1.5
"""Every exporter sends once a second or more often: what ended by now is on its way."""
PATIENCE_S: Final = 10.0

Progress = Callable[[str], None]


def run(
    fault_id: str,
    *,
    folder: Path,
    seed: int = 0,
    under: str = "steady",
    template: Path | None = None,
    progress: Progress = lambda text: None,
) -> Outcome:
    """Play a fault, see `play`, and return what was found.

    Raises:
        LabError: there is no such fault, or a part did not start.
    """
    made = play(
        fault_id, folder=folder, seed=seed, under=under, template=template, progress=progress
    )
    return scored(made)


def play(
    fault_id: str,
    *,
    folder: Path,
    seed: int = 0,
    under: str = "steady",
    template: Path | None = None,
    progress: Progress = lambda text: None,
) -> Path:
    """Inject a fault into a service of its own, load it, and return the folder of what is kept.

    Args:
        fault_id: a row of lab/faults.py.
        folder: gets logs, databases and evidence; must be empty or missing.
        seed: of the load.
        under: a condition of lab/matrix/conditions.py.
        template: of lab/matrix/template.py; without one the database is made and filled anew.
        progress: called with a sentence at each step.

    Raises:
        LabError: there is no such fault, or a part did not start.
    """
    row = condition(under).change(fault(fault_id))
    wanted, played_at = expected(row), commit()
    began_s = time.monotonic()
    with ExitStack() as stack:
        progress("starting PostgreSQL, nginx, the receiver and the service")
        deployed = deploy(row, folder, stack, template)
        write_ladder(deployed)
        clients, verdict_after_s = _course(row, deployed, seed, progress)
        course = Course(
            fault=row.id,
            under=under,
            seed=seed,
            expected=wanted,
            clients=clients,
            gateway_504=tuple(_gave_up(deployed.gateway.access_log)),
            verdict_after_s=verdict_after_s,
            duration_s=time.monotonic() - began_s,
            played_at=played_at,
        )
        keep(folder, folder / KEPT, course)
    # A cluster has 40 MB, and nothing that the evidence has not.
    shutil.rmtree(folder / "postgres" / "data", ignore_errors=True)
    return folder / KEPT


def _course(
    row: Fault, deployed: Deployment, seed: int, progress: Progress
) -> tuple[Summary, float | None]:
    """Load the service and hang it until all evidence is stored and the receivers have ended.

    Returns what the clients saw, and the seconds from the first 504 to the first named cause.
    """
    ours = ParquetStore(deployed.folder / OURS)
    with ExitStack() as stack:
        progress("ordinary load")
        with _load(deployed, Plan(row.before, WARM_UP_S), seed) as warm_up:
            warm_up.wait(WARM_UP_S + GATEWAY_TIMEOUT_S)
        progress(row.description)
        stack.enter_context(ACTIONS[row.outside](deployed.world))
        plan = Plan(row.during, row.lasts_s, row.abort_share)
        with _load(deployed, plan, seed + 1_000_003) as load, midway(row, deployed):
            verdict_after_s = _named_after_s(ours, load, progress)
            load.wait(row.lasts_s + GATEWAY_TIMEOUT_S + PATIENCE_S)
        clients = summary([*warm_up.replies, *load.replies])
        progress("restarting the service, as production did, and asking once more")
        time.sleep(SETTLE_S)
        deployed.service.kill()
        _wait_for_every_504(ours, clients)
        # Before the fault is undone: a lock that is released now is nothing that the clients met.
        deployed.stock.send(signal.SIGTERM)
        deployed.receiver.stop()
        deployed.stock.stop()
    return clients, verdict_after_s


def _load(deployed: Deployment, plan: Plan, seed: int) -> Load:
    url = deployed.gateway.url
    return Load(url, shots(plan, seed), timeout_s=GATEWAY_TIMEOUT_S + PATIENCE_S)


def _named_after_s(store: ParquetStore, load: Load, progress: Progress) -> float | None:
    """Return the seconds from the first 504, as its client saw it, to the first named cause.

    Asks again and again while the load runs, as an alert would; None if no cause was named.
    """
    told = False
    while load.running:
        load.wait(ASK_EVERY_S)
        first_s = summary(load.replies).first_504_s
        if first_s is None:
            continue
        if not told:
            progress("the gateway answers 504; asking why")
            told = True
        causes = {each.finding.cause for each in _explained(store)} - {UNKNOWN}
        if causes:
            after_s = time.time() - first_s
            progress(f"{' and '.join(sorted(causes))}, {after_s:.1f} s after the first 504")
            return after_s
    return None


def _explained(store: ParquetStore) -> list[Incident]:
    return explain(everything(store))


def _wait_for_every_504(store: ParquetStore, clients: Summary) -> None:
    """Return once every 504 that clients saw can be explained, or after ten seconds."""
    deadline_s = time.monotonic() + PATIENCE_S
    told = -1
    while told < clients.statuses.get(504, 0) and time.monotonic() < deadline_s:
        time.sleep(ASK_EVERY_S)
        told = sum(incident.count for incident in _explained(store))


def _gave_up(access_log: Path) -> Iterator[str]:
    """Yield the trace ids of the gateway's 504s, by its own log."""
    with access_log.open(encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            if entry["status"] == "504":
                yield entry["trace_id"]

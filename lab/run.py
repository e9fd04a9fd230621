"""Plays one fault on the real stack, from an empty folder to a scored outcome."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from lab.compared import ablated, baselines, stock_baseline
from lab.conditions import condition
from lab.deployment import OURS, STOCK, Deployment, deploy
from lab.faults import GATEWAY_TIMEOUT_S, fault
from lab.load import Load, Plan, Summary, shots, summary
from lab.midway import midway
from lab.outside import ACTIONS
from lab.score import Outcome, Seen, expected, score
from why504.diagnose import explain
from why504.diagnose.causes import UNKNOWN
from why504.errors import StoreUnavailable
from why504.model import Evidence, Incident, Window
from why504.stores.parquet import ParquetStore

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
    progress: Progress = lambda text: None,
) -> Outcome:
    """Inject a fault into a service of its own, load it, and return what was found.

    Args:
        fault_id: a row of lab/faults.py.
        folder: gets logs, databases and evidence; must be empty or missing.
        seed: of the load.
        under: a condition of lab/conditions.py.
        progress: called with a sentence at each step.

    Raises:
        LabError: there is no such fault, or a part did not start.
    """
    row = condition(under).change(fault(fault_id))
    wanted = expected(row)
    began_s = time.monotonic()
    with ExitStack() as stack:
        progress("starting PostgreSQL, nginx, the receiver and the service")
        deployed = deploy(row, folder, stack)
        ours = ParquetStore(folder / OURS)
        progress("ordinary load")
        with _load(deployed, Plan(row.before, WARM_UP_S), seed) as warm_up:
            warm_up.wait(WARM_UP_S + GATEWAY_TIMEOUT_S)
        progress(row.description)
        stack.enter_context(ACTIONS[row.outside](deployed.world))
        plan = Plan(row.during, row.lasts_s, row.abort_share)
        with _load(deployed, plan, seed + 1_000_003) as load, midway(row, deployed):
            named_after_s = _named_after_s(ours, load, progress)
            load.wait(row.lasts_s + GATEWAY_TIMEOUT_S + PATIENCE_S)
        clients = summary([*warm_up.replies, *load.replies])
        progress("restarting the service, as production did, and asking once more")
        time.sleep(SETTLE_S)
        deployed.service.kill()
        incidents = _final(ours, clients)
        evidence, stock = _all(ours), _all(ParquetStore(folder / STOCK))
        victims = [victim for incident in incidents for victim in incident.victims]
        seen = Seen(
            incidents=incidents,
            gateway_504=frozenset(_gave_up(deployed.gateway.access_log)),
            stock=stock,
            clients=clients,
            verdict_after_s=named_after_s,
            duration_s=time.monotonic() - began_s,
            seed=seed,
            under=under,
            baselines={
                **baselines(evidence, victims),
                "stock, longest span": stock_baseline(stock, victims),
            },
            ablations=ablated(evidence),
        )
    # A cluster has 40 MB, and nothing that the evidence has not.
    shutil.rmtree(folder / "postgres" / "data", ignore_errors=True)
    return score(row, wanted, seen)


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


def _all(store: ParquetStore) -> Evidence:
    try:
        extent = store.extent()
        return store.evidence(extent) if extent else Evidence(Window(0, 0))
    except StoreUnavailable:
        return Evidence(Window(0, 0))
    except RuntimeError as error:
        # What DuckDB makes of ctrl-C.
        if "interrupted" in str(error).lower():
            raise KeyboardInterrupt from error
        raise


def _explained(store: ParquetStore) -> list[Incident]:
    return explain(_all(store))


def _final(store: ParquetStore, clients: Summary) -> list[Incident]:
    """Explain once every 504 that clients saw has arrived, or after ten seconds."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        time.sleep(ASK_EVERY_S)
        incidents = _explained(store)
        found = sum(each.count for each in incidents)
        if found >= clients.statuses.get(504, 0) or time.monotonic() > deadline_s:
            return incidents


def _gave_up(access_log: Path) -> Iterator[str]:
    """Yield the trace ids of the gateway's 504s, by its own log."""
    with access_log.open(encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            if entry["status"] == "504":
                yield entry["trace_id"]

"""Plays one fault on the real stack, from an empty folder to a scored outcome."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.faults import GATEWAY_TIMEOUT_S, ROOT, Fault, fault
from lab.history import write_history
from lab.load import Load, Plan, Reply, Summary, shots, summary
from lab.outside import ACTIONS, World
from lab.score import Outcome, Seen, score
from lab.stack.broker import MuteBroker
from lab.stack.groq import Groq
from lab.stack.nginx import Nginx
from lab.stack.ports import free_port
from lab.stack.postgres import Postgres
from lab.stack.process import Process, Program, start
from lab.stack.ready import answers
from lab.stack.slow_link import SlowLink
from why504.diagnose import explain
from why504.diagnose.causes import UNKNOWN
from why504.errors import StoreUnavailable
from why504.model import Evidence, Incident, Window
from why504.stores.parquet import ParquetStore

WARM_UP_S: Final = 3.0
ASK_EVERY_S: Final = 1.0
SETTLE_S: Final = 2.0
"""Every exporter sends once a second or more often, and the receiver flushes once a second."""
PATIENCE_S: Final = 10.0
STORE: Final = "store"
"""Folder of our evidence below that of the run; what stock saw is in `stock`."""

Progress = Callable[[str], None]


def run(
    fault_id: str, *, folder: Path, seed: int = 0, progress: Progress = lambda text: None
) -> Outcome:
    """Inject a fault into a service of its own, load it, and return what was found.

    Args:
        fault_id: a row of lab/faults.py.
        folder: gets logs, databases and evidence; must be empty or missing.
        seed: of the load.
        progress: called with a sentence at each step.

    Raises:
        LabError: there is no such fault, or a part did not start.
    """
    row = fault(fault_id)
    began_s = time.monotonic()
    with ExitStack() as stack:
        progress("starting PostgreSQL, nginx, the receiver and the service")
        site = Site.build(row, folder, stack)
        progress("ordinary load")
        with _load(site, Plan(row.before, WARM_UP_S), seed) as warm_up:
            warm_up.wait(WARM_UP_S + GATEWAY_TIMEOUT_S)
        progress(row.description)
        stack.enter_context(ACTIONS[row.outside](site.world))
        plan = Plan(row.during, row.lasts_s, row.abort_share)
        with _load(site, plan, seed + 1_000_003) as load:
            watch = _Watch(site, progress)
            while load.running:
                load.wait(ASK_EVERY_S)
                watch.look(load.replies)
            clients = summary([*warm_up.replies, *load.replies])
            watch.look_until_named(load.replies)
        progress("restarting the service, as production did, and asking once more")
        time.sleep(SETTLE_S)
        site.service.kill()
        incidents = _final(site, clients)
        seen = Seen(
            incidents=incidents,
            gateway_504=frozenset(_gave_up(site.gateway.access_log)),
            stock=_all(site.stock),
            clients=clients,
            verdict_after_s=watch.after_s,
            duration_s=time.monotonic() - began_s,
            seed=seed,
        )
    return score(row, seen)


@dataclass(frozen=True, slots=True)
class Site:
    """The running parts of one run that its course needs."""

    world: World
    service: Process
    gateway: Nginx
    ours: ParquetStore
    stock: ParquetStore

    @classmethod
    def build(cls, row: Fault, folder: Path, stack: ExitStack) -> Site:
        """Start everything, in an order in which nothing waits for a part that is not there."""
        database = stack.enter_context(Postgres.start(folder / "postgres"))
        url = database.new_database()
        write_history(url)
        broker = stack.enter_context(MuteBroker())
        groq = stack.enter_context(Groq.start(folder / "groq", delay_s=0.1))
        service_url = url
        if row.database_delay_s:
            link = SlowLink(database.port, delay_s=row.database_delay_s)
            stack.enter_context(link)
            service_url = url.replace(f":{database.port}/", f":{link.port}/")
        port, ours_port, stock_port = free_port(), free_port(), free_port()
        gateway = Nginx.start(folder / "nginx", upstream_ports=[port], timeout_s=GATEWAY_TIMEOUT_S)
        stack.enter_context(gateway)
        watched = ["--gateway-log", str(gateway.access_log), "--postgres", url]
        watched += ["--gateway-timeout-s", f"{GATEWAY_TIMEOUT_S:g}"]
        for name, at, more in ((STORE, ours_port, watched), ("stock", stock_port, [])):
            stack.enter_context(_receiver(folder, name, at, more))
        environment = {
            "SERVICE_DATABASE_URL": service_url,
            "SERVICE_GROQ_BASE_URL": groq.url,
            "SERVICE_GROQ_API_KEY": "lab",
            **row.settings,
            "LAB_VARIANT": row.variant,
            "LAB_BROKER_URL": broker.url,
            "LAB_STOCK_ENDPOINT": f"http://127.0.0.1:{stock_port}",
            "OTEL_SERVICE_NAME": "context-handling",
            # What production sets, and what makes stock spans and ours speak the same names.
            "OTEL_SEMCONV_STABILITY_OPT_IN": "http,database",
            "WHY504_ENDPOINT": f"http://127.0.0.1:{ours_port}",
            "WHY504_METRICS_PORT": str(free_port()),
            "PYTHONPATH": str(ROOT),
        }
        service = stack.enter_context(_service(folder, port, environment))
        return cls(
            World(url, groq),
            service,
            gateway,
            ParquetStore(folder / STORE),
            ParquetStore(folder / "stock"),
        )


def _receiver(folder: Path, name: str, port: int, more: list[str]) -> Process:
    argv = [sys.executable, "-m", "why504.cli", "receive"]
    argv += ["--store", str(folder / name), "--port", str(port), *more]
    program = Program(argv, f"receive-{name}", folder, {"PYTHONPATH": str(ROOT / "src")})
    return start(program, ready=answers(f"http://127.0.0.1:{port}/healthz"))


def _service(folder: Path, port: int, environment: dict[str, str]) -> Process:
    argv = [sys.executable, "-m", "uvicorn", "--factory", "lab.app:create_app"]
    argv += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    program = Program(argv, "service", folder, environment)
    return start(program, ready=answers(f"http://127.0.0.1:{port}/v1/livez"), timeout_s=30)


def _load(site: Site, plan: Plan, seed: int) -> Load:
    return Load(site.gateway.url, shots(plan, seed), timeout_s=GATEWAY_TIMEOUT_S + 10)


class _Watch:
    """Asks the engine again and again, to learn how soon it names a cause."""

    def __init__(self, site: Site, progress: Progress) -> None:
        self.after_s: float | None = None
        """Seconds from the first 504, as its client saw it, to the first named cause."""
        self._site = site
        self._progress = progress

    def look(self, replies: list[Reply]) -> None:
        first_s = summary(replies).first_504_s
        if first_s is None or self.after_s is not None:
            return
        causes = {each.finding.cause for each in _explained(self._site.ours)} - {UNKNOWN}
        if causes:
            self.after_s = time.time() - first_s
            self._progress(f"named {', '.join(sorted(causes))} {self.after_s:.1f} s after a 504")

    def look_until_named(self, replies: list[Reply]) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        has_504 = summary(replies).first_504_s is not None
        while has_504 and self.after_s is None and time.monotonic() < deadline_s:
            time.sleep(ASK_EVERY_S)
            self.look(replies)


def _all(store: ParquetStore) -> Evidence:
    extent = store.extent()
    return store.evidence(extent) if extent else Evidence(Window(0, 0))


def _explained(store: ParquetStore) -> list[Incident]:
    try:
        return explain(_all(store))
    except StoreUnavailable:
        return []


def _final(site: Site, clients: Summary) -> list[Incident]:
    """Explain once every 504 that clients saw has arrived, or after ten seconds."""
    deadline_s = time.monotonic() + PATIENCE_S
    wanted = clients.statuses.get(504, 0)
    while True:
        time.sleep(ASK_EVERY_S)
        incidents = _explained(site.ours)
        found = sum(len(each.victims) for each in incidents)
        if found >= wanted or time.monotonic() > deadline_s:
            return incidents


def _gave_up(access_log: Path) -> Iterator[str]:
    """Yield the trace ids of the gateway's 504s, by its own log."""
    with access_log.open(encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            if entry["status"] == "504":
                yield entry["trace_id"]

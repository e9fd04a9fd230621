"""Settings, each read once from the environment and passed in; nothing is read at import."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from why504.errors import ConfigError

SERVER_SPANS = ("own", "contrib")
LEAST_DUMP_S = 2
"""Dumps are put off once a second: sooner, a process that is only busy would be told to hang."""


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """What the probe does inside a service. Every field can be set as `WHY504_<FIELD>`."""

    endpoint: str = "http://127.0.0.1:4318"
    """Where spans and records go, OTLP over HTTP; OTEL_EXPORTER_OTLP_ENDPOINT is honoured too."""
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 9464
    """Port of /metrics and /debug/requests; busy: the next free one; -1: none."""
    server_spans: str = "own"
    """Who makes the server spans: `own`, or `contrib` for `opentelemetry-instrumentation-fastapi`,
    which costs ten times as much. Whatever instruments the application already is kept."""
    metrics_token: str = field(default="", repr=False)
    """What callers have to send as `Authorization: Bearer ...`, unless the host is loopback."""
    metrics_token_file: str = ""
    """A file with the same in it; goes before."""
    snapshot_after_s: float = 1.0
    """A span open for longer is told by snapshots, at growing intervals."""
    snapshot_longest_s: float = 300.0
    stall_after_s: float = 0.1
    """A loop that has not turned for longer is stalled."""
    gil_dump_after_s: float = 4.0
    """So long C code may keep the GIL before all stacks are dumped (by `faulthandler`, of whose
    timer a process has one), at least 2; 0: never."""
    hold_after_s: float = 0.1
    """A hold shorter than this is told only if somebody waited for the resource meanwhile."""
    inflight_limit: int = 50_000
    """Open spans kept at most; more are counted, not kept."""
    alerts_url: str = ""
    """Where P0s are raised by the process itself: the router (`http://127.0.0.1:9504`), or an
    Alertmanager. Nowhere if empty, for where Prometheus does it."""
    alerts_token: str = field(default="", repr=False)
    """Sent along as `Authorization: Bearer ...`."""
    black_box: str = ""
    """Folder in which each process keeps what it told (docs/black-box.md); none if empty."""
    black_box_mb: float = 16
    """Of one process, in two files of which the older is deleted."""
    on_stall: str = "tell"
    """`restart` ends a process that hangs, for its supervisor to start another
    (docs/self-healing.md)."""
    restart_after_s: float = 60.0
    """For how long it has to hang; longer than anything that it may take its time for."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Read `WHY504_*`.

        Raises:
            ConfigError: a value is not of the field's type, or makes no sense.
        """
        values: dict[str, str | int | float] = {}
        if "OTEL_EXPORTER_OTLP_ENDPOINT" in env:
            values["endpoint"] = env["OTEL_EXPORTER_OTLP_ENDPOINT"]
        for setting in fields(cls):
            name = f"WHY504_{setting.name.upper()}"
            if name in env:
                values[setting.name] = parsed(name, env[name], setting.type)
        settings = cls(**values)  # type: ignore[arg-type]
        if settings.server_spans not in SERVER_SPANS:
            raise ConfigError(f"WHY504_SERVER_SPANS must be one of {', '.join(SERVER_SPANS)}")
        if settings.alerts_url and urlsplit(settings.alerts_url).scheme not in ("http", "https"):
            raise ConfigError("WHY504_ALERTS_URL must be http://... or https://...")
        if not settings.black_box_mb >= 1:
            raise ConfigError("WHY504_BLACK_BOX_MB must be at least 1")
        if not (settings.gil_dump_after_s == 0 or settings.gil_dump_after_s >= LEAST_DUMP_S):
            raise ConfigError(f"WHY504_GIL_DUMP_AFTER_S must be 0, or at least {LEAST_DUMP_S}")
        if not settings.restart_after_s >= 1:
            raise ConfigError("WHY504_RESTART_AFTER_S must be at least 1")
        return settings.with_on_stall(settings.on_stall)

    def with_on_stall(self, told: str | None) -> Self:
        """Return the settings with what is done about a hang; unchanged where nothing is told.

        Raises:
            ConfigError: it is neither `tell` nor `restart`.
        """
        if told is None:
            return self
        if told not in _ON_STALL:
            raise ConfigError(f"on_stall (WHY504_ON_STALL) must be one of {', '.join(_ON_STALL)}")
        return replace(self, on_stall=told)

    def page_token(self) -> str:
        """Return the token of the probe's own port; empty if there is none.

        Raises:
            ConfigError: the file can't be read, or is empty.
        """
        return secret_of("WHY504_METRICS_TOKEN", self.metrics_token_file, self.metrics_token)


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """What the router of alerts needs. Every field can be set as `WHY504_ALERTS_<FIELD>`."""

    webhook: str = field(default="", repr=False)
    """Address of an incoming webhook of Google Chat; a secret."""
    webhook_file: str = ""
    """A file with the same in it; goes before."""
    second_webhook: str = field(default="", repr=False)
    """The same of another room: told what the first does not hear; none if empty. A secret."""
    second_webhook_file: str = ""
    canary_webhook: str = field(default="", repr=False)
    """The same of a muted space that gets a message an hour; none if empty. A secret."""
    canary_webhook_file: str = ""
    ping_url: str = field(default="", repr=False)
    """Asked each minute while alerting works; nobody is if empty. A secret."""
    public_url: str = ""
    """Under which people reach the router, https; nobody can acknowledge if empty."""
    escalate_after_s: float = 600.0
    """A P0 that burns for longer after it was told, and nobody acknowledged, is told again."""
    language: str = "en"
    """Of the cards: `en` or `vi`."""
    mention: str = "users/all"
    """Who is mentioned by a P0: `users/all`, `users/<number>`, or nobody if empty."""
    explorer_url: str = ""
    alertmanager_url: str = ""
    grafana_url: str = ""
    """Where a rule's `dashboard_url` leads that is a path."""
    link_hosts: str = ""
    """More hosts that buttons may lead to, with commas between: of runbooks and dashboards."""
    token: str = field(default="", repr=False)
    """What callers have to send as `Authorization: Bearer ...`; anybody may call if empty."""
    local_chat: int = 0
    """1 allows a webhook or tracker on this machine: for trying it out."""
    tickets: str = ""
    """Where tickets are opened, see `Tracker`; none are if empty."""
    tickets_token: str = field(default="", repr=False)
    """What the tracker knows us by; a secret."""
    tickets_token_file: str = ""
    """A file with the same in it; goes before."""
    tickets_user: str = ""
    """Whose token it is; Jira asks."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Read `WHY504_ALERTS_*`.

        Raises:
            ConfigError: a value makes no sense.
        """
        values = {
            setting.name: parsed(name, env[name], setting.type)
            for setting in fields(cls)
            if (name := f"WHY504_ALERTS_{setting.name.upper()}") in env
        }
        settings = cls(**values)  # type: ignore[arg-type]
        if settings.language not in _LANGUAGES:
            raise ConfigError(f"WHY504_ALERTS_LANGUAGE must be one of {', '.join(_LANGUAGES)}")
        if not _MENTION.fullmatch(settings.mention):
            raise ConfigError("WHY504_ALERTS_MENTION must be users/all, users/<number> or empty")
        if settings.public_url and not _PUBLIC_URL.fullmatch(settings.public_url):
            raise ConfigError("WHY504_ALERTS_PUBLIC_URL must be https://<host>, or a path there")
        if not settings.escalate_after_s > 0:
            raise ConfigError("WHY504_ALERTS_ESCALATE_AFTER_S must be more than 0")
        if settings.tickets:
            tracker_of(settings.tickets)
        return settings

    def secret(self) -> str:
        """Return the webhook's address.

        Raises:
            ConfigError: none is set, or the file can't be read.
        """
        secret = secret_of("WHY504_ALERTS_WEBHOOK", self.webhook_file, self.webhook)
        if not secret:
            raise ConfigError(
                "no webhook: put the address of Google Chat's incoming webhook into a file and"
                " name it in WHY504_ALERTS_WEBHOOK_FILE, or try --dry-run"
            )
        return secret

    def second_secret(self) -> str:
        """Return the second webhook's address; empty if there is none. Raises as `secret`."""
        return secret_of(
            "WHY504_ALERTS_SECOND_WEBHOOK", self.second_webhook_file, self.second_webhook
        )

    def canary_secret(self) -> str:
        """Return the canary's address; empty if there is none. Raises as `secret`."""
        return secret_of(
            "WHY504_ALERTS_CANARY_WEBHOOK", self.canary_webhook_file, self.canary_webhook
        )

    def tickets_secret(self) -> str:
        """Return the tracker's token.

        Raises:
            ConfigError: none is set, the file can't be read, or it is no token; never has it.
        """
        told = self.tickets_token
        if self.tickets_token_file:
            try:
                told = Path(self.tickets_token_file).read_text(encoding="utf-8")
            except (OSError, ValueError):
                raise ConfigError("WHY504_ALERTS_TICKETS_TOKEN_FILE can't be read") from None
        told = told.strip()
        if not told:
            raise ConfigError(
                "no token: put the tracker's token into a file and name it in"
                " WHY504_ALERTS_TICKETS_TOKEN_FILE"
            )
        if not _TOKEN.fullmatch(told):
            raise ConfigError("the tracker's token has signs that no token has: look at its file")
        return told

    def tickets_owner(self) -> str:
        """Return whose token it is.

        Raises:
            ConfigError: nobody is named.
        """
        if not self.tickets_user:
            raise ConfigError("name the token's owner in WHY504_ALERTS_TICKETS_USER: an address")
        return self.tickets_user

    def hosts(self) -> frozenset[str]:
        """Return the hosts that buttons may lead to."""
        urls = (self.public_url, self.explorer_url, self.alertmanager_url, self.grafana_url)
        own = [urlsplit(url).hostname for url in urls]
        if self.tickets:
            own.append(tracker_of(self.tickets).host.partition(":")[0])
        return frozenset(filter(None, [*own, *(h.strip() for h in self.link_hosts.split(","))]))


class Tracker(NamedTuple):
    """Where tickets are opened."""

    kind: str
    """`files`, `github`, `gitlab` or `jira`."""
    host: str
    """With its port, if one is told; empty for files."""
    project: str
    """Folder, `<owner>/<repository>`, `<group>/<project>`, or a project's key."""


def tracker_of(told: str) -> Tracker:
    """Return what `WHY504_ALERTS_TICKETS` says.

    Raises:
        ConfigError: it is in none of the forms.
    """
    for form in _TRACKERS:
        if match := form.fullmatch(told):
            return Tracker(**{"host": "", **match.groupdict(default="github.com")})
    raise ConfigError(
        "WHY504_ALERTS_TICKETS must be files:<folder>, github:<owner>/<repository>,"
        " gitlab:<host>/<group>/<project> or jira:<host>/<PROJECTKEY>"
    )


_ON_STALL = ("tell", "restart")
_LANGUAGES = ("en", "vi")
_MENTION = re.compile(r"(users/(all|\d+))?")
_PUBLIC_URL = re.compile(r"https://[A-Za-z0-9.-]+(:\d+)?(/[A-Za-z0-9._~/-]*)?")
_TOKEN = re.compile(r"[!-~]+")
_HOST = r"(?P<host>[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::\d+)?)"
_NAME = r"\.?[A-Za-z0-9_-][A-Za-z0-9_.-]*"
_TRACKERS = (
    re.compile(r"(?P<kind>files):(?P<project>.+)"),
    re.compile(rf"(?P<kind>github):(?:{_HOST}/)?(?P<project>{_NAME}/{_NAME})"),
    re.compile(rf"(?P<kind>gitlab):{_HOST}/(?P<project>{_NAME}(?:/{_NAME})+)"),
    re.compile(rf"(?P<kind>jira):{_HOST}/(?P<project>[A-Z][A-Z0-9_]+)"),
)


def secret_of(name: str, file: str, told: str) -> str:
    """Return what a setting or the file that it names holds.

    Raises:
        ConfigError: the file can't be read, or is empty.
    """
    if not file:
        return told
    try:
        secret = Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"{name}_FILE can't be read: {error.strerror}") from error
    if not secret:
        raise ConfigError(f"{name}_FILE names a file with nothing in it")
    return secret


def bearer(env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the headers with which a probe's own port is asked.

    Raises:
        ConfigError: WHY504_METRICS_TOKEN_FILE can't be read.
    """
    told = env.get("WHY504_METRICS_TOKEN", "")
    token = secret_of("WHY504_METRICS_TOKEN", env.get("WHY504_METRICS_TOKEN_FILE", ""), told)
    return {"Authorization": f"Bearer {token}"} if token else {}


def parsed(name: str, text: str, kind: object) -> str | int | float:
    """Return a setting's text as its type, which is `str`, `int` or `float`.

    Raises:
        ConfigError: it is no such number.
    """
    if kind in ("str", str):
        return text
    number = int if kind in ("int", int) else float
    try:
        return number(text)
    except ValueError:
        raise ConfigError(f"{name}={text!r} is not a number") from None

"""The timeouts of nginx's configuration, includes and inheritance resolved, as rungs.

Parsed by crossplane, F5's own parser. Defaults are those of nginx's documentation:
https://nginx.org/en/docs/http/ngx_http_proxy_module.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from why504.errors import ConfigError, MissingExtra
from why504.ladder.rung import Rung

_UNITS_S: Final = {
    "y": 31_536_000.0,
    "M": 2_592_000.0,
    "w": 604_800.0,
    "d": 86_400.0,
    "h": 3_600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 0.001,
}
_PART: Final = re.compile(r"([0-9]{1,18})(ms|[yMwdhms]?) *")
_MODULES: Final = ("proxy", "grpc", "uwsgi", "fastcgi", "scgi")
"""Modules that pass requests on; each has the same directives under its own name."""
_DEFAULTS: Final = {
    "client_body_timeout": ["60s"],
    "keepalive_timeout": ["75s"],
    **{f"{module}_connect_timeout": ["60s"] for module in _MODULES},
    **{f"{module}_send_timeout": ["60s"] for module in _MODULES},
    **{f"{module}_read_timeout": ["60s"] for module in _MODULES},
    **{f"{module}_next_upstream": ["error", "timeout"] for module in _MODULES},
    **{f"{module}_next_upstream_tries": ["0"] for module in _MODULES},
    **{f"{module}_next_upstream_timeout": ["0"] for module in _MODULES},
}
_BLOCKS: Final = {"http", "server", "location", "if", "limit_except"}
_DEEPEST: Final = 50

Statement = Mapping[str, Any]
Values = Mapping[str, Sequence[str]]


def gateway_limits(path: Path) -> list[Rung]:
    """Return the limits of every location that passes requests on.

    Raises:
        ConfigError: the file can't be read, is no configuration of nginx, or passes nothing on.
        MissingExtra: crossplane is not installed.
    """
    statements = _parse(path)
    servers = _upstreams(statements)
    rungs = list(_walk(statements, _DEFAULTS, "", servers))
    if not rungs:
        raise ConfigError(f"{path} passes no request on: no location of it has a proxy_pass")
    return list(dict.fromkeys(rungs))


def seconds(text: str) -> float:
    """Return a length of time as nginx writes it (`60`, `1m30s`, `500ms`), in seconds.

    Raises:
        ConfigError: nginx would not take it.
    """
    parts = _PART.findall(text)
    units = [unit or "s" for _, unit in parts]
    order = [list(_UNITS_S).index(unit) for unit in units]
    bare = [position for position, (_, unit) in enumerate(parts) if not unit]
    if (
        not parts
        or _PART.sub("", text)
        or order != sorted(set(order))
        or bare not in ([], [len(parts) - 1])
    ):
        raise ConfigError(f"{text[:80]!r} is no length of time of nginx, such as 60s or 1m30s")
    # Whole milliseconds, as nginx counts, so that no fraction is lost in the sum.
    total_ms = sum(
        int(n) * round(_UNITS_S[unit] * 1000) for (n, _), unit in zip(parts, units, strict=True)
    )
    return total_ms / 1000


def _parse(path: Path) -> list[Statement]:
    try:
        import crossplane
    except ImportError as error:
        raise MissingExtra("embedded") from error
    if not path.is_file():
        raise ConfigError(f"{path} is no file; nginx -V tells where its configuration is")
    try:
        payload = crossplane.parse(str(path), combine=True)
    except (OSError, RecursionError) as error:
        # A file that includes itself never ends.
        raise ConfigError(f"{path} can't be read as nginx's configuration: {error}") from error
    for problem in payload["errors"]:
        line = "" if problem.get("line") is None else f":{problem['line']}"
        what = problem["error"] or "it ends in the middle of a directive"
        raise ConfigError(f"{problem.get('file', path)}{line}: {what}")
    statements: list[Statement] = payload["config"][0]["parsed"]
    return statements


def _upstreams(statements: Sequence[Statement]) -> dict[str, int]:
    """Return how many servers take turns in each `upstream` block."""
    inside = [s for block in statements if block["directive"] == "http" for s in block["block"]]
    return {
        block["args"][0]: sum(
            s["directive"] == "server" and not {"backup", "down"} & set(s["args"])
            for s in block["block"]
        )
        for block in inside
        if block["directive"] == "upstream" and block["args"]
    }


def _walk(
    statements: Sequence[Statement],
    outer: Values,
    place: str,
    servers: Mapping[str, int],
    depth: int = 0,
) -> Iterator[Rung]:
    """Yield the limits of each block, with what it inherits from those around it."""
    if depth > _DEEPEST:
        raise ConfigError(f"blocks lie more than {_DEEPEST} deep in each other")
    own = {s["directive"]: s["args"] for s in statements if s["directive"] in outer}
    values = {**outer, **own}
    for statement in statements:
        name, args = statement["directive"], statement["args"]
        module = name.removesuffix("_pass")
        if name.endswith("_pass") and module in _MODULES and args:
            yield from _passed(module, values, place.strip(), _servers_of(args[0], servers))
        if name in _BLOCKS and "block" in statement:
            inner = f"{place} {_named(statement)}"
            yield from _walk(statement["block"], values, inner, servers, depth + 1)


def _named(block: Statement) -> str:
    """Return how a block is told apart: its server names or port, its location's pattern."""
    kind, args = block["directive"], block["args"]
    if kind == "server":
        told = {s["directive"]: s["args"] for s in block["block"]}
        names = told.get("server_name") or told.get("listen", [""])[:1]
        return " ".join(names)
    return "" if kind == "http" else " ".join([kind, *args])


def _servers_of(target: str, servers: Mapping[str, int]) -> int:
    host = target.partition("://")[2] or target
    return max(1, servers.get(re.split(r"[/:]", host, maxsplit=1)[0], 1))


def _passed(module: str, values: Values, place: str, servers: int) -> Iterator[Rung]:
    def limit(directive: str) -> float:
        return seconds((values[directive] or [""])[0])

    def rung(kind: str, directive: str, name: str = "", attempts: int = 1) -> Rung:
        where = f"nginx {directive}"
        return Rung(kind, limit(directive), name=name, where=where, attempts=attempts)

    read = f"{module}_read_timeout"
    yield rung("gateway", read, place, _tries(module, values, servers, limit(read)))
    yield rung("gateway_connect", f"{module}_connect_timeout")
    yield rung("gateway_send", f"{module}_send_timeout")
    yield rung("client_body", "client_body_timeout")
    yield rung("keepalive", "keepalive_timeout")


def _tries(module: str, values: Values, servers: int, read_s: float) -> int:
    """Return how many servers are asked in turn when none answers in time."""
    if "timeout" not in values[f"{module}_next_upstream"]:
        return 1
    text = (values[f"{module}_next_upstream_tries"] or ["0"])[0]
    if not re.fullmatch("[0-9]{1,9}", text):
        raise ConfigError(f"{text[:80]!r} is no number of tries")
    tries = min(int(text) or servers, servers)
    longest_s = seconds((values[f"{module}_next_upstream_timeout"] or ["0"])[0])
    # After that time no further server is asked; the one that is being asked may go on.
    return tries if longest_s == 0 or read_s == 0 else min(tries, -int(-longest_s // read_s))

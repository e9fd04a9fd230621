"""Peers: what kind of thing a call went to, by semantic conventions old and new, or by a stack.

Kinds: llm, broker, db, cache, http, client (whose own request it is); empty where nothing tells.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from why504 import names
from why504.model import Attributes, AttributeValue, Evidence, Site, Span

LIBRARIES: Final = (
    ("broker", re.compile(r"""["/](pika|aio_pika|aiormq|kombu)/""")),
    ("llm", re.compile(r"""["/](groq|openai|anthropic|langchain\w*|litellm|mistralai|cohere)/""")),
    ("db", re.compile(r"""["/](psycopg\w*|asyncpg|sqlalchemy|sqlite3|pymysql)/""")),
    ("cache", re.compile(r"""["/](redis|valkey|aiomcache|pymemcache)/""")),
    (
        "http",
        re.compile(r"""["/](httpx|requests|urllib3?|aiohttp|httpcore)/|["/]http/client\.py"""),
    ),
)
"""Libraries by which a stack tells what it waits for; the first that matches counts."""
RETRYING: Final = re.compile(r"""in _?sleep_for_retry|["/](tenacity|backoff|retrying|stamina)/""")
"""A stack that sleeps before it tries again."""

CLIENT: Final = "client"
_READS_A_BODY: Final = re.compile(
    r"""["/]starlette/requests\.py", line \d+, in Request\.stream$"""
    r"""|["/]django/core/handlers/asgi\.py", line \d+, in ASGIHandler\.read_body$""",
    re.MULTILINE,
)
"""What awaits the next piece of a request's body."""

_LLM_HOST: Final = re.compile(
    r"(^|\.)(api\.(groq|openai|anthropic|mistral|cohere|deepseek)\.(com|ai)|openrouter\.ai"
    r"|api\.together\.xyz|generativelanguage\.googleapis\.com|openai\.azure\.com"
    r"|bedrock-runtime\.[\w-]+\.amazonaws\.com)$"
)
_LLM_PATH: Final = re.compile(
    r"/(chat/completions|v1/completions|v1/messages|v1/responses)$|:(stream)?generateContent$",
    re.IGNORECASE,
)
"""Paths of the APIs that proxies and models of one's own speak too, whatever their address."""
_LLM_PROVIDER: Final = re.compile(
    r"groq|openai|anthropic|mistral|cohere|gemini|vertex|bedrock|llm", re.IGNORECASE
)
_CACHES: Final = frozenset({"redis", "valkey", "memcached"})
_ADDRESSES: Final = (names.SERVER_ADDRESS, "net.peer.name", "peer.service", "http.host")
_URLS: Final = ("url.full", "http.url")
_STATUSES: Final = (names.HTTP_STATUS, "http.status_code")
TOO_MANY_REQUESTS: Final = 429
_SERVER_ERROR: Final = 500


def peer_of(attributes: Attributes) -> str:
    """Return the kind of peer that a span's attributes tell."""
    if names.GEN_AI_PROVIDER in attributes or names.GEN_AI_OPERATION in attributes:
        return "llm"
    if "gen_ai.system" in attributes:
        return "llm"
    if names.MESSAGING_SYSTEM in attributes:
        return "broker"
    system = attributes.get(names.DB_SYSTEM) or attributes.get("db.system")
    if system:
        return "cache" if system in _CACHES else "db"
    address = address_of(attributes)
    if _LLM_HOST.search(address) or (address and _LLM_PATH.search(_path_of(attributes))):
        return "llm"
    return "http" if address or "rpc.system" in attributes else ""


def peer_named(name: str) -> str:
    """Return the kind of a peer that is known by its name only: `groq` is an LLM."""
    return "llm" if _LLM_PROVIDER.search(name) else "http"


def address_of(attributes: Attributes) -> str:
    """Return the host that a span called, empty if it does not tell."""
    told = _first(attributes, _ADDRESSES)
    if told:
        return str(told)
    url = _first(attributes, _URLS)
    try:
        return urlsplit(str(url)).hostname or "" if url else ""
    except ValueError:
        return ""


def _path_of(attributes: Attributes) -> str:
    path = attributes.get(names.URL_PATH) or attributes.get("http.target")
    url = path or _first(attributes, _URLS) or ""
    return str(url).partition("?")[0]


def status_of(attributes: Attributes) -> int | None:
    """Return the HTTP status of an attempt; a client's error may tell it by its name only."""
    told = _first(attributes, _STATUSES)
    if isinstance(told, int):
        return told
    error = str(attributes.get(names.ERROR_TYPE, ""))
    if error.isdigit():
        return int(error)
    return TOO_MANY_REQUESTS if "RateLimit" in error or "TooManyRequests" in error else None


def failed(span: Span) -> bool:
    """Return whether an attempt was one that its caller may try again."""
    status = status_of(span.attributes)
    if status is None:
        return span.status == "error"
    return status == TOO_MANY_REQUESTS or status >= _SERVER_ERROR


def peer_on(stack: str, site: Site | None) -> str:
    """Return the kind of peer by the libraries that the user's code called, by its stack.

    Args:
        stack: innermost frame first.
        site: the user's innermost frame; what is outside of it (the web framework) is ignored.
    """
    text = inside(stack, site)
    return next((peer for peer, mark in LIBRARIES if mark.search(text)), "")


def awaits_body(stack: str, site: Site | None) -> bool:
    """Return whether a request waits for its client to send more of its body, by its stack."""
    return _READS_A_BODY.search(inside(stack, site)) is not None


def inside(stack: str, site: Site | None) -> str:
    """Return the frames of a stack that the user's own innermost frame called."""
    inner: list[str] = []
    for line in stack.replace("\\", "/").splitlines():
        if site is not None and f'{site.file}", line {site.line},' in line:
            break
        inner.append(line)
    return "\n".join(inner)


def call_name(span: Span) -> str:
    """Return a call for people: `LLM groq llama-3`, `database SELECT users`, `GET api.mem0.ai`."""
    attributes = span.attributes
    peer = peer_of(attributes)
    address = address_of(attributes)
    if peer == "llm":
        provider = attributes.get(names.GEN_AI_PROVIDER) or attributes.get("gen_ai.system", "")
        model = attributes.get(names.GEN_AI_MODEL, "")
        return " ".join(str(part) for part in ("LLM", provider or address, model) if part)
    if peer == "broker":
        place = f"{address}:{attributes.get(names.SERVER_PORT, '')}" if address else ""
        return f"broker {attributes.get(names.MESSAGING_SYSTEM, '')} {place}".strip()
    if peer == "db":
        return f"database {span.name}"
    if peer == "cache":
        system = attributes.get(names.DB_SYSTEM) or attributes.get("db.system")
        return f"{system} {span.name} {address}".strip()
    return f"{span.name} {address}".strip()


def with_nested_calls(evidence: Evidence) -> list[Span]:
    """Return the spans, each HTTP request inside an LLM call marked as a part of that call."""
    spans = {(span.trace_id, span.span_id): span for span in evidence.spans}
    for key, span in spans.items():
        if span.kind != "client" or peer_of(span.attributes) != "http":
            continue
        outer = spans.get((span.trace_id, span.parent_id or ""))
        if outer is not None and (told := _gen_ai(outer.attributes)):
            spans[key] = replace(span, attributes={**told, **span.attributes})
    return list(spans.values())


def _gen_ai(attributes: Attributes) -> Mapping[str, AttributeValue]:
    kept = (names.GEN_AI_PROVIDER, names.GEN_AI_OPERATION, names.GEN_AI_MODEL, "gen_ai.system")
    return {name: attributes[name] for name in kept if name in attributes}


def _first(attributes: Attributes, wanted: tuple[str, ...]) -> AttributeValue | None:
    for name in wanted:
        if name in attributes:
            return attributes[name]
    return None

"""Every span, attribute and metric name that why504 adds to OpenTelemetry's own.

OpenTelemetry's semantic conventions (1.44) come first: `http.*`, `db.*`, `code.*`, `thread.*`.
What they lack carries the prefix `why504.`. Described in otel/schema/ (a test keeps both equal).
"""

from __future__ import annotations

from typing import Final

# --- records: waits, holds, stalls and snapshots travel as ordinary spans -------------------------
KIND: Final = "why504.kind"
"""`wait`, `hold`, `stall`, `snapshot` or `vitals`; absent on every span that is not ours."""
WAIT: Final = "wait"
HOLD: Final = "hold"
STALL: Final = "stall"
SNAPSHOT: Final = "snapshot"
VITALS: Final = "vitals"
"""What a process used and lacked from the span's start to its end; resource `process:<pid>`."""
RESTART: Final = "restart"
"""The moment at which why504 ended a process that hung; resource `process:<pid>`."""

RESOURCE: Final = "why504.resource"
"""What is waited for or held: `db.pool:main`, `loop:<pid>`, `db.lock:<relation>#<root pid>`."""
OUTCOME: Final = "why504.outcome"
"""Wait: acquired, timeout, cancelled, open. Hold: released, detached, open. Stall: ended, open.

`restarted` is what why504 ended with its process."""
RESTARTED: Final = "restarted"
OPEN: Final = "open"
KEEP: Final = "why504.keep"
"""True on every record: tail samplers must keep it whatever they drop."""

SNAPSHOT_OF: Final = "why504.snapshot.of"
"""Span id (16 hex) of the span or record that was still open when this was sent."""
SNAPSHOT_SEQUENCE: Final = "why504.snapshot.sequence"
"""1, 2, 3 ... for one open span: the reader keeps the greatest."""
SNAPSHOT_PARENT: Final = "why504.snapshot.parent"
"""Span id of the open span's own parent; empty for a root."""
SNAPSHOT_KIND: Final = "why504.snapshot.kind"
"""Kind of the open span: server, client, internal, producer or consumer."""
INFLIGHT_AGE_S: Final = "why504.inflight.age_seconds"
WAITING_ON: Final = "why504.waiting.on"
"""Resource that the request was waiting for when the snapshot was taken."""

THREADPOOL: Final = "threadpool"
"""Resource: the threads of anyio's default limiter, in which sync endpoints run.

With `:<name>` behind it those of an executor (`threads`)."""
POOL_CAPACITY: Final = "why504.pool.capacity"
POOL_IN_USE: Final = "why504.pool.in_use"
POOL_WAITING: Final = "why504.pool.waiting"
BACKEND_PID: Final = "why504.hold.backend_pid"
"""PostgreSQL backend of a connection: joins pool holds to locks."""

STALL_SAMPLES: Final = "why504.stall.samples"
STALL_PROGRESSING: Final = "why504.stall.progressing"
"""False while every sample shows the same frames (stuck), True once they differ."""
STALL_CPU_S: Final = "why504.stall.cpu_seconds"
"""CPU time of the whole process since the stall began: near its length for CPU-bound work."""
STALL_GIL_KEPT: Final = "why504.stall.gil_kept"
"""True where the line kept the GIL, so that no thread of Python could run, the probe's neither."""

STALL_SHARE: Final = "why504.stall.share"
"""Of many short stalls told as one: share of the time in which the loop was taken, lately."""

RESTART_WHY: Final = "why504.restart.why"
"""Of a restart, for people: what hung, for how long, at which line."""

THREAD_CPU_SHARE: Final = "why504.thread.cpu_share"
"""Cores that the worker thread of an open request used since it was first told there."""
THREAD_WANTED_SHARE: Final = "why504.thread.wanted_share"
"""Share of that time in which the thread ran or waited for a core: 0 is blocked in a call."""

CPU_USED_S: Final = "why504.process.cpu_seconds"
"""Vitals: CPU time of all threads, user and system, within the interval."""
CPU_DELAY_S: Final = "why504.process.run_delay_seconds"
"""Vitals: time in which the thread that lacked a core most could run and had none (schedstat)."""
CPU_THROTTLED_S: Final = "why504.cgroup.throttled_seconds"
"""Vitals: time in which the control group had used up its quota."""
CPU_LIMIT: Final = "why504.cgroup.cpu_limit_cores"
"""Vitals: cores that the control group may use; absent without a quota."""
GC_CPU_S: Final = "why504.gc.cpu_seconds"
"""Vitals: CPU time of Python's garbage collector within the interval."""
MEMORY_RSS: Final = "why504.process.memory_rss_bytes"
"""Vitals: resident memory at the end of the interval."""
MEMORY_LIMIT: Final = "why504.process.memory_limit_bytes"
"""Vitals: what the process may use: the control group's limit, else the machine's memory."""
MAJOR_FAULTS: Final = "why504.process.major_faults"
"""Vitals: pages that had to come from disk within the interval."""

BACKOFF_STATUS: Final = "why504.backoff.http_status_code"
"""Wait on `backoff:<peer>`: status of the attempt before it, 429 for a rate limit."""
RETRY_AFTER_S: Final = "why504.backoff.retry_after_seconds"
"""What the peer asked to wait (`Retry-After`), on the attempt's span and on the wait after it."""
CLIENT_TIMEOUT_S: Final = "why504.client.timeout_seconds"
"""Limit of an outgoing call as its client has it; absent when it has none."""
CLIENT_UNLIMITED: Final = "why504.client.unlimited"
"""True on an outgoing call whose client is known to wait without a limit."""
BROKER_CONNECTION_BLOCKED: Final = "why504.broker.connection_blocked"
"""On the span of publishing: reason that the broker gave with `connection.blocked`."""
LLM_FALLBACK: Final = "why504.llm.fallback"
"""True on the span of an LLM call that was answered by a fallback, without the model."""

REQUEST_ENDED: Final = "why504.hold.request_ended"
"""True on an open hold of a trace that does nothing any more: it is kept for nobody."""
HOLD_AT: Final = "why504.hold.at"
"""On an open hold: the user's line at which its holder is now, as `code.stacktrace` has it."""

LOCK_SESSION: Final = "why504.lock.session"
"""Who holds a lock, for people: application name, user, state and age of the transaction.

Of a broker the alarm that blocks it."""

LOCKS_WATCHED: Final = "watch locks"
"""Name of the span that says: from its start to its end, PostgreSQL was asked for lock waits."""

BROKER_TROUBLE: Final = "why504.broker.trouble"
"""Hold on `broker:<node>`: `memory` or `disk`, alarms of that node; `silence`, no answer."""
BROKER_BLOCKED: Final = "why504.broker.blocked_connections"
"""Of such a hold: connections that tried to publish and are not read from, at the worst moment."""
BROKER_BLOCKING: Final = "why504.broker.blocking_connections"
"""Of such a hold: connections that would be blocked once they published, at that moment."""
BROKER_QUEUES: Final = "why504.broker.queues"
"""Deepest queues, at most ten: `orders of /: 12 ready, 3 unacknowledged, 2 consumers`."""
BROKER_SILENT: Final = "silence"
BROKER_WATCHED: Final = "watch broker"
"""Name of the span that says: from its start to its end, RabbitMQ was asked for its alarms."""

GATEWAY_TIMEOUT_S: Final = "why504.gateway.timeout_seconds"
GATEWAY_UPSTREAM_ADDRESS: Final = "why504.gateway.upstream_address"
GATEWAY_UPSTREAM_CONNECT_S: Final = "why504.gateway.upstream_connect_seconds"
GATEWAY_UPSTREAM_HEADER_S: Final = "why504.gateway.upstream_header_seconds"
"""Time to the application's first byte; absent when it never came: the gateway gave up itself."""
GATEWAY_UPSTREAM_STATUS: Final = "why504.gateway.upstream_status"
GATEWAY_ATTEMPTS: Final = "why504.gateway.attempts"

# --- OpenTelemetry's names that we read or write by hand -----------------------------------------
CODE_FILE: Final = "code.file.path"
CODE_LINE: Final = "code.line.number"
CODE_FUNCTION: Final = "code.function.name"
CODE_STACKTRACE: Final = "code.stacktrace"
"""Innermost frame first, one `File "...", line N, in f` a line, at most 40 lines."""
THREAD_ID: Final = "thread.id"
THREAD_NAME: Final = "thread.name"
POOL_NAME: Final = "db.client.connection.pool.name"
DB_SYSTEM: Final = "db.system.name"
DB_NAMESPACE: Final = "db.namespace"
DB_OPERATION: Final = "db.operation.name"
DB_COLLECTION: Final = "db.collection.name"
DB_QUERY: Final = "db.query.text"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
HTTP_METHOD: Final = "http.request.method"
HTTP_ROUTE: Final = "http.route"
HTTP_STATUS: Final = "http.response.status_code"
HTTP_METHOD_ORIGINAL: Final = "http.request.method_original"
URL_PATH: Final = "url.path"
DNS_NAME: Final = "dns.question.name"
URL_SCHEME: Final = "url.scheme"
WEBSOCKET: Final = "WEBSOCKET"
"""Said to people in the place of a method; OpenTelemetry's spans of websockets have none."""
PROTOCOL_VERSION: Final = "network.protocol.version"
CLIENT_ADDRESS: Final = "client.address"
CLIENT_PORT: Final = "client.port"
USER_AGENT: Final = "user_agent.original"
USER_AGENT_KIND: Final = "user_agent.synthetic.type"
ERROR_TYPE: Final = "error.type"
DB_STATUS: Final = "db.response.status_code"
GEN_AI_OPERATION: Final = "gen_ai.operation.name"
GEN_AI_PROVIDER: Final = "gen_ai.provider.name"
GEN_AI_MODEL: Final = "gen_ai.request.model"
GEN_AI_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
GEN_AI_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
GEN_AI_FIRST_CHUNK_S: Final = "gen_ai.response.time_to_first_chunk"
"""Seconds from the request to the first piece of a streamed answer."""
MESSAGING_SYSTEM: Final = "messaging.system"
REFERENCE_TYPE: Final = "opentracing.ref_type"
FOLLOWS_FROM: Final = "follows_from"
"""Of an imported span whose parent did not wait for it, says its tracer."""
SERVICE_NAME: Final = "service.name"
UNKNOWN_SERVICE: Final = "unknown_service"
SERVICE_INSTANCE: Final = "service.instance.id"
PROCESS_PID: Final = "process.pid"

GATEWAY_SERVICE: Final = "gateway"
"""`service.name` of the spans made from a gateway's access log."""

# --- metrics: Prometheus names, served by the probe's own thread ---------------------------------
METRIC_INFLIGHT: Final = "http_server_active_requests"
METRIC_INFLIGHT_OLDEST_S: Final = "why504_inflight_oldest_age_seconds"
METRIC_INFLIGHT_DROPPED: Final = "why504_inflight_dropped_total"
METRIC_LOOP_STALL_AGE_S: Final = "why504_eventloop_stall_age_seconds"
METRIC_LOOP_STALLS: Final = "why504_eventloop_stalls_total"
METRIC_LOOP_LAG_S: Final = "why504_eventloop_lag_seconds"
METRIC_POOL_COUNT: Final = "db_client_connection_count"
METRIC_POOL_MAX: Final = "db_client_connection_max"
METRIC_POOL_PENDING: Final = "db_client_connection_pending_requests"
METRIC_POOL_TIMEOUTS: Final = "db_client_connection_timeouts_total"
METRIC_POOL_ERRORS: Final = "db_client_connection_errors_total"
METRIC_POOL_OLDEST_USE_S: Final = "db_client_connection_oldest_use_age_seconds"
METRIC_POOL_WAIT_S: Final = "db_client_connection_wait_time_seconds"
METRIC_POOL_USE_S: Final = "db_client_connection_use_time_seconds"
METRIC_THREADPOOL_USED: Final = "why504_threadpool_used_tokens"
METRIC_THREADPOOL_MAX: Final = "why504_threadpool_max_tokens"
METRIC_THREADPOOL_WAITING: Final = "why504_threadpool_waiting_tasks"
METRIC_REQUEST_S: Final = "http_server_request_duration_seconds"
METRIC_PROBE_ERRORS: Final = "why504_probe_errors_total"
METRIC_LOOP_TAKEN: Final = "why504_eventloop_taken_share"
METRIC_RESTARTS: Final = "why504_restarts_total"
METRIC_MEMORY_LIMIT: Final = "why504_process_memory_limit_bytes"
# Served by the receiver, which follows the gateway's log, too.
METRIC_GATEWAY_REQUEST_S: Final = "why504_gateway_request_duration_seconds"
METRIC_GATEWAY_LATE: Final = "why504_gateway_late_lines_total"
METRIC_RECEIVED_SPANS: Final = "why504_receiver_spans_total"
METRIC_RECEIVER_REJECTED: Final = "why504_receiver_rejected_spans_total"
METRIC_RECEIVER_FAILED: Final = "why504_receiver_failed_requests_total"
# Of whoever follows the gateway's log and looks at PostgreSQL and RabbitMQ.
METRIC_WATCH_SENT: Final = "why504_watch_sent_spans_total"
METRIC_WATCH_FAILED: Final = "why504_watch_failed_requests_total"
METRIC_WATCH_DROPPED: Final = "why504_watch_dropped_spans_total"
METRIC_WATCH_QUEUED: Final = "why504_watch_queued_spans"
METRIC_WATCH_UNSENT_S: Final = "why504_watch_unsent_age_seconds"


def pool(name: str) -> str:
    """Return the resource of a connection pool: `db.pool:main`."""
    return f"db.pool:{name}"


def http_pool(host: str) -> str:
    """Return the resource of an HTTP client's connections: `http.pool:api.example.com`."""
    return f"http.pool:{host}"


def redis_pool(host: str) -> str:
    """Return the resource of a Redis client's connections: `redis.pool:cache.internal`."""
    return f"redis.pool:{host}"


def threads(executor: str) -> str:
    """Return the resource of an executor's threads: `threadpool:asyncio` of a loop's default."""
    return f"{THREADPOOL}:{executor}"


def loop(pid: int) -> str:
    """Return the resource of a process's event loop: `loop:4242`."""
    return f"loop:{pid}"


def process(pid: int) -> str:
    """Return the resource that vitals tell of: `process:4242`."""
    return f"process:{pid}"


def backoff(peer: str) -> str:
    """Return what a client waits for between two attempts: `backoff:groq`."""
    return f"backoff:{peer}"


def db_lock(relation: str, root_pid: int) -> str:
    """Return the resource of a database lock, one for each session at the head of the queue."""
    return f"db.lock:{relation}#{root_pid}"


def lock(name: str) -> str:
    """Return the resource of a lock that the user named: `lock:model`."""
    return f"lock:{name}"


def limiter(name: str) -> str:
    """Return the resource of what the user named and several may have: `limiter:gpu`."""
    return f"limiter:{name}"


def broker(node: str) -> str:
    """Return the resource that an alarm of a broker's node takes from all who publish."""
    return f"broker:{node}"

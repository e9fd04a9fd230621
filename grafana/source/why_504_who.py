"""The part of Why 504 that tells who waits for what inside the processes."""

from __future__ import annotations

from typing import Final

from grafana.source.panels import Query, Section, graph

WHO: Final = Section(
    "Who waits for what?",
    (
        graph(
            "Is the oldest request past the gateway's limit?", "s",
            Query("topk(12, max by (instance) (why504_inflight_oldest_age_seconds{<service>}))",
                  "{{instance}}"),
            Query("vector($gateway_timeout_s)", "the gateway gives up"),
            normal="Far below the limit of the gateway (a box on top of the page).",
            todo="Above it: nobody waits for the answer any more, and the work goes on. Give "
            "requests a deadline below the gateway's: `why504 doctor` shows the ladder.",
            alert="OldestInFlightRequest",
        ),
        graph(
            "Does a call block the event loop?", "s",
            Query("topk(12, max by (instance) (why504_eventloop_stall_age_seconds{<service>}))",
                  "{{instance}}"),
            normal="0 s.",
            todo="A slope that rises with the clock is one call that does not return.",
            alert="EventLoopBlocked",
        ),
        graph(
            "Does the event loop run late?", "s",
            Query("service:why504_eventloop_lag_seconds:p99_5m{<service>}", "p99 of the lag"),
            Query("sum(rate(why504_eventloop_stalls_total{<service>}[$__rate_interval]))",
                  "stalls a second"),
            normal="Below 0.05 s.",
            todo="Late but not blocked: computing on the loop, or too little processor.",
            alert="EventLoopLag",
        ),
        graph(
            "Who waits for a connection?", "short",
            Query("topk(12, sum by (pool) (db_client_connection_pending_requests{<service>}))",
                  "waiting for {{pool}}"),
            Query('topk(12, sum by (pool) (db_client_connection_count{state="used",<service>}))',
                  "in use of {{pool}}"),
            normal="Nobody waits.",
            todo="Waiting and all in use: open *Pools and locks*. Waiting and few in use: the "
            "database does not take connections.",
            leads_to="why504-database",
        ),
        graph(
            "Are all worker threads taken?", "short",
            Query("max(why504_threadpool_waiting_tasks{<service>})", "waiting"),
            Query("max(why504_threadpool_used_tokens{<service>})", "in use"),
            Query("max(why504_threadpool_max_tokens{<service>})", "there are"),
            normal="Nobody waits: threads run synchronous endpoints and dependencies.",
            todo="Something blocks in threads: `why504 ps` shows the line of each.",
            alert="WorkerThreadsExhausted",
        ),
        graph(
            "Does memory run out?", "bytes",
            Query('topk(12, process_resident_memory_bytes{job="service",<service>})',
                  "{{instance}}"),
            Query("max(why504_process_memory_limit_bytes{<service>})", "they may use"),
            normal="Level, below half of the limit (MemoryLeak foretells it).",
            todo="Rising for hours: a leak. Restarting gives time; what grows is in the heap.",
        ),
        graph(
            "Do processes die?", "short",
            Query('topk(12, changes(process_start_time_seconds{job="service",<service>}[15m]))',
                  "starts of {{instance}}"),
            Query('max(increase(why504_restarts_total{<service>}[15m]))',
                  "hung, ended by why504"),
            normal="0 starts within 15 minutes, but for a deployment.",
            todo="Read the last lines of its log: killed for memory, or an exception at start.",
            alert="ServiceCrashLoop", width=12,
        ),
        graph(
            "Which of them answer?", "short",
            Query('topk(12, min by (instance) (up{job="service",<service>}))', "{{instance}}"),
            normal="1 each.",
            todo="One at 0: the instance is gone, or its metrics port is closed. All: the network.",
            alert="InstanceDown", width=12,
        ),
    ),
)  # fmt: skip

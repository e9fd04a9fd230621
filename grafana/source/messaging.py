"""Broker and outbox: does the broker take messages, what waits, and does the worker keep up."""

from __future__ import annotations

from typing import Final

from grafana.source.panels import Board, Kind, Query, Section, graph, stat, table

_INTERVAL: Final = "[$__rate_interval]"


def _quantiles(metric: str, *shares: float) -> tuple[Query, ...]:
    return tuple(
        Query(
            f"histogram_quantile({share}, sum by (le) (rate({metric}_bucket{{<family>}}"
            f"{_INTERVAL})))",
            f"p{share * 100:g}",
        )
        for share in shares
    )


VERDICT: Final = Section(
    "Does the broker take messages?",
    (
        stat(
            "Is the publisher connected?", "bool_yes_no",
            "min(messaging_publisher_connected{<family>})",
            normal="Yes.",
            todo="Requests do not notice: messages wait in the outbox. Start RabbitMQ, or look at "
            "what is between.",
            alert="RabbitMQDown",
        ),
        stat(
            "Does the broker block it?", "bool_yes_no",
            "max(messaging_publisher_blocked{<family>})",
            normal="No.",
            todo="A memory or disk alarm of RabbitMQ: `rabbitmqctl status` says which. Consume, "
            "or give it room.",
            alert="RabbitMQBlocked",
        ),
        stat(
            "How old is what was not sent?", "s",
            "max(service_outbox_oldest_age_seconds{<family>})",
            normal="Below a second.",
            todo="The relay does not get rid of messages: connection, alarm, or it does not run.",
            alert="OutboxBacklog",
        ),
        stat(
            "How many messages wait in the outbox?", "short",
            "max(service_outbox_pending_messages{<family>})",
            normal="A few.",
            todo="Nothing is lost: they are in PostgreSQL, and sent once the broker takes them.",
        ),
        stat(
            "How many wait in the deepest queue?", "short",
            "max(messaging_queue_messages{<family>})",
            normal="Below 100.",
            todo="The worker does not keep up, or stands still: look at how long it takes.",
            alert="QueueBacklog",
        ),
        stat(
            "How old are these figures?", "s",
            "max(service_backlog_sample_age_seconds{<family>})",
            normal="A few seconds.",
            todo="Rising: PostgreSQL or RabbitMQ does not answer the relay; the figures before it "
            "stand still.",
        ),
    ),
)  # fmt: skip

SENDING: Final = Section(
    "From the service to the broker",
    (
        graph(
            "What did the broker say to messages?", "ops",
            Query("topk(12, sum by (outcome) "
                  f"(rate(messaging_client_sent_messages_total{{<family>}}{_INTERVAL})))",
                  "{{outcome}}"),
            normal="All confirmed.",
            todo="unconfirmed, nacked: sent again by themselves. returned: no queue is bound.",
            kind=Kind.STACK,
        ),
        graph(
            "How long until it confirms?", "s",
            Query("service:messaging_client_operation_duration_seconds:p99_5m{<family>}",
                  "p99 {{service_name}}"),
            normal="Milliseconds.",
            todo="RabbitMQ's disk, or too many queues that are mirrored.",
            alert="PublishConfirmSlow",
        ),
        graph(
            "For how long do messages wait to be sent?", "s",
            Query("topk(12, max by (service_name) (service_outbox_oldest_age_seconds{<family>}))",
                  "{{service_name}}"),
            normal="Below a second.",
            todo="A slope: nothing is sent at all. Saw teeth: slowly.",
            alert="OutboxBacklog",
        ),
        graph(
            "Is the connection there, and open?", "short",
            Query("topk(12, min by (service_name) (messaging_publisher_connected{<family>}))",
                  "connected {{service_name}}"),
            Query("topk(12, max by (service_name) (messaging_publisher_blocked{<family>}))",
                  "blocked {{service_name}}"),
            normal="connected 1, blocked 0.",
            todo="connected jumps: the network, or RabbitMQ restarts.",
        ),
        graph(
            "How deep is each queue?", "short",
            Query("topk(12, max by (messaging_destination_name) "
                  "(messaging_queue_messages{<family>}))",
                  "{{messaging_destination_name}}"),
            normal="Near 0; `.dead` always 0.",
            todo="Dead letters are conversations that failed again and again: read one.",
            alert="QueueBacklog",
        ),
        graph(
            "How many wait in the outbox?", "short",
            Query("topk(12, max by (service_name) (service_outbox_pending_messages{<family>}))",
                  "{{service_name}}"),
            normal="A few.",
            todo="It falls again by itself once the broker is back.",
        ),
    ),
)  # fmt: skip

WORKING: Final = Section(
    "From the broker to its effect",
    (
        graph(
            "What became of messages?", "ops",
            Query("topk(12, sum by (outcome) "
                  f"(rate(messaging_client_consumed_messages_total{{<family>}}{_INTERVAL})))",
                  "{{outcome}}"),
            normal="done, now and then duplicate.",
            todo="requeued: something is unavailable. set_aside: not readable, a dead letter.",
            kind=Kind.STACK,
        ),
        graph(
            "How old is a message when the worker has it?", "s",
            *_quantiles("messaging_consumer_lag_seconds", 0.5, 0.95),
            normal="Below a second.",
            todo="The worker is behind, as long as this says.",
        ),
        graph(
            "How long does it take for one?", "s",
            *_quantiles("messaging_process_duration_seconds", 0.5, 0.95),
            normal="As long as the LLM takes.",
            todo="Open *LLM*: it is most of it.",
            leads_to="why504-llm",
        ),
        graph(
            "How many are under way?", "short",
            Query("topk(12, max by (instance) (messaging_process_active{<family>}))",
                  "{{instance}}"),
            Query("topk(12, min by (instance) (messaging_consumer_connected{<family>}))",
                  "connected {{instance}}"),
            normal="Some; connected 1.",
            todo="Always as many as may be: more workers. 0 with a deep queue: it hangs.",
        ),
        graph(
            "What comes again, or is tried again?", "ops",
            Query(f"sum(rate(messaging_client_redelivered_messages_total{{<family>}}{_INTERVAL}))",
                  "came again"),
            Query(f"sum(rate(messaging_process_retries_total{{<family>}}{_INTERVAL}))",
                  "tried again in place"),
            normal="0.",
            todo="Workers die in the middle, or what they need is away. Effects come once anyway.",
        ),
        graph(
            "Is the worker's connection blocked?", "short",
            Query("topk(12, max by (instance) (messaging_consumer_blocked{<family>}))",
                  "{{instance}}"),
            normal="0.",
            todo="The same alarm as above.",
        ),
        table(
            "Which alarms of RabbitMQ blocked whom?", Kind.SPANS,
            '{ span.why504.kind = "hold" && span.why504.resource =~ "broker:.*" }'
            " | select(span.why504.resource)",
            normal="None. Told by `why504 receive --rabbitmq`.",
            todo="Open the trace: the alarm, the node, and who was kept from publishing.",
            width=12,
        ),
        table(
            "Which calls of a broker took long?", Kind.SPANS,
            '{ span.messaging.system = "rabbitmq" && resource.service.name =~ "$family.*"'
            " && duration > 1s } | select(span.messaging.system, span.server.address)",
            normal="None.",
            todo="Inside a request it must not be at all: write to the outbox.",
            width=12,
        ),
    ),
)  # fmt: skip

BOARD: Final = Board(
    uid="why504-messaging",
    title="Broker and outbox",
    question="Does the broker take messages, what waits, and does the worker keep up?",
    sections=(VERDICT, SENDING, WORKING),
)

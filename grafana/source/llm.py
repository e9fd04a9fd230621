"""LLM: does it answer, does it refuse, what did fallbacks hide, what does it cost."""

from __future__ import annotations

from typing import Final

from grafana.source.panels import Board, Box, Kind, Query, Section, graph, stat, table

_CALL: Final = "gen_ai_client_operation_duration_seconds"
_BREAKER: Final = {"0": "closed", "1": "half-open", "2": "open"}
_TOKENS: Final = "sum by (gen_ai_request_model) (rate(gen_ai_client_token_usage_sum{%s}[%s]))"


def _tokens(kind: str, span: str) -> str:
    return _TOKENS % (f'gen_ai_token_type="{kind}",<family>', span)


def _usd_per_hour(span: str) -> str:
    """Return the price of an hour at the rate of `span`, by model."""
    return (
        f"({_tokens('input', span)} * $usd_per_million_in"
        f" + {_tokens('output', span)} * $usd_per_million_out) * 3600 / 1e6"
    )


VERDICT: Final = Section(
    "Does the LLM answer?",
    (
        stat(
            "Is a circuit breaker open?", "short",
            "max(llm_breaker_state{<family>} or memory_breaker_state{<family>})",
            normal="closed.",
            todo="Calls fail at once and answers are fallbacks, until one try a minute succeeds. "
            "Look at the provider's status page.",
            alert="CircuitBreakerOpen", words=_BREAKER,
        ),
        stat(
            "How often does it refuse (429)?", "short",
            "sum(increase(llm_rate_limited_total{<family>}[5m]))",
            normal="0 within five minutes.",
            todo="The quota is used up: fewer calls at once, a larger quota, another model.",
            alert="LLMRateLimited",
        ),
        stat(
            "How many answers were fallbacks?", "short",
            "sum(increase(llm_fallbacks_total{<family>}[10m]))",
            normal="0 within ten minutes.",
            todo="Users got a neutral answer and did not see an error. Why: error types, below.",
            alert="LLMFallbackUsed",
        ),
        stat(
            "How long does a call take?", "s",
            f"histogram_quantile(0.95, sum by (le) (rate({_CALL}_bucket{{<family>}}[5m])))",
            normal="p95 below a few seconds, its attempts and pauses included.",
            todo="The limit of an attempt is 15 s. Slow with 429: it waits between attempts.",
        ),
        stat(
            "How many calls wait for a place?", "short",
            "sum(llm_bulkhead_waiting{<family>})",
            normal="0.",
            todo="More calls at once than the service allows itself: the LLM is slow.",
        ),
        stat(
            "What does an hour cost?", "currencyUSD", f"sum({_usd_per_hour('1h')})",
            normal="What the budget says, by the prices in the boxes on top: set yours.",
            todo="Look at which model and which kind of tokens grew.",
        ),
    ),
)  # fmt: skip

HOW: Final = Section(
    "How does it answer?",
    (
        graph(
            "How do calls end?", "ops",
            Query("topk(12, sum by (error_type) "
                  f"(rate({_CALL}_count{{<family>}}[$__rate_interval])))",
                  "{{error_type}}"),
            normal="Without a name: answered.",
            todo="RateLimitError: 429. APITimeoutError: slow. Open: the circuit breaker.",
            kind=Kind.STACK,
        ),
        graph(
            "How long does a call take?", "s",
            *(
                Query(f"histogram_quantile({share}, sum by (le) "
                      f"(rate({_CALL}_bucket{{<family>}}[$__rate_interval])))",
                      f"p{share * 100:g}", exemplars=share > 0.9)
                for share in (0.5, 0.95, 0.99)
            ),
            normal="A second or two. Dots are calls: a click opens the trace.",
            todo="All slow: the provider. p99 alone: retries.",
        ),
        graph(
            "Does it refuse, and do we try again?", "ops",
            Query("sum(rate(llm_rate_limited_total{<family>}[$__rate_interval]))", "429"),
            Query("sum(rate(llm_retries_total{<family>}[$__rate_interval]))", "tried again"),
            normal="0.",
            todo="Pauses of 2, 4, 8 s, or as Retry-After says, within 40 s in all.",
        ),
        graph(
            "Which questions are answered by the fallback?", "short",
            Query("topk(12, sum by (question) (increase(llm_fallbacks_total{<family>}[10m])))",
                  "{{question}}"),
            normal="0 within ten minutes.",
            todo="Emotion is taken as neutral, questions as 0; scores stay as they were.",
        ),
        graph(
            "How many calls at once?", "short",
            Query("sum(llm_in_flight{<family>})", "under way"),
            Query("sum(llm_bulkhead_waiting{<family>})", "waiting for a place"),
            normal="Nobody waits.",
            todo="Slow answers fill the places; the rest of the service is protected from them.",
        ),
        graph(
            "What do the circuit breakers do?", "short",
            Query("max by (provider) (llm_breaker_state{<family>})", "{{provider}}"),
            Query("max by (provider) (memory_breaker_state{<family>})", "{{provider}}"),
            normal="0: closed.",
            todo="2 is open. Back and forth: the provider works now and then.",
            alert="CircuitBreakerOpen",
        ),
    ),
)  # fmt: skip

COST: Final = Section(
    "What does it cost?",
    (
        graph(
            "How many tokens a minute?", "short",
            Query("topk(12, sum by (gen_ai_token_type) "
                  "(rate(gen_ai_client_token_usage_sum{<family>}[$__rate_interval])) * 60)",
                  "{{gen_ai_token_type}}"),
            normal="In step with the requests.",
            todo="More without more calls: prompts grew. Look at a long one in Langfuse.",
            kind=Kind.STACK,
        ),
        graph(
            "How many tokens has a call?", "short",
            Query("topk(12, sum by (gen_ai_token_type) "
                  "(rate(gen_ai_client_token_usage_sum{<family>}[$__rate_interval]))"
                  " / sum by (gen_ai_token_type) "
                  "(rate(gen_ai_client_token_usage_count{<family>}[$__rate_interval])))",
                  "{{gen_ai_token_type}}"),
            normal="Level.",
            todo="Rising: conversations get longer, or a prompt was changed.",
        ),
        graph(
            "What does an hour cost, by model?", "currencyUSD",
            Query(f"topk(12, {_usd_per_hour('$__rate_interval')})", "{{gen_ai_request_model}}"),
            normal="By the prices in the boxes on top.",
            todo="Another model for questions that are easy.",
        ),
    ),
)  # fmt: skip

MEMORY: Final = Section(
    "The memory (Mem0), and single calls",
    (
        graph(
            "How long does the memory take?", "s",
            Query("topk(12, histogram_quantile(0.95, sum by (operation, le) "
                  "(rate(memory_client_operation_duration_seconds_bucket{<family>}"
                  "[$__rate_interval]))))",
                  "p95 {{operation}}"),
            normal="Below a second; its limit is 5 s.",
            todo="Answers come without what is remembered; nothing else waits.",
        ),
        graph(
            "Does the memory fail?", "ops",
            Query("topk(12, sum by (operation) "
                  "(rate(memory_failures_total{<family>}[$__rate_interval])))",
                  "{{operation}}"),
            normal="0.",
            todo="Five in a row open its circuit breaker.",
        ),
        graph(
            "How often did a breaker change?", "short",
            *(
                Query("topk(12, sum by (provider, state) "
                      f"(increase({who}_breaker_transitions_total{{<family>}}[10m])))",
                      "{{provider}} {{state}}")
                for who in ("llm", "memory")
            ),
            normal="0 within ten minutes.",
            todo="Each `open` was five failures in a row.",
        ),
        table(
            "Which calls took long?", Kind.SPANS,
            '{ span.gen_ai.operation.name = "chat" && resource.service.name =~ "$family.*"'
            " && duration > 5s }"
            " | select(span.gen_ai.request.model, span.gen_ai.usage.input_tokens,"
            " span.gen_ai.usage.output_tokens)",
            normal="None.",
            todo="The trace says whether it waited for its place, for the LLM, or between "
            "attempts. Prompts are in Langfuse alone, under the same trace id.",
        ),
    ),
)  # fmt: skip

BOARD: Final = Board(
    uid="why504-llm",
    title="LLM",
    question="Does the LLM answer, what did fallbacks hide, and what does it cost?",
    sections=(VERDICT, HOW, COST, MEMORY),
    boxes=(
        Box("usd_per_million_in", "USD per million tokens in", "0.59", "By your contract."),
        Box("usd_per_million_out", "USD per million tokens out", "0.79", "By your contract."),
        Box("langfuse_url", "Langfuse", "http://localhost:3001", "Where the link on top leads."),
    ),
    links=(("Langfuse: prompts and answers", "${langfuse_url}"),),
)  # fmt: skip

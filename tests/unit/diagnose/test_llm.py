"""LLM calls counted out of spans: outcomes, retries, pauses, fallbacks, tokens, times."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import pytest
from evidence_by_hand import APP, Scene, at, hexid

from why504 import names
from why504.diagnose.llm import LlmUse, llm_use
from why504.diagnose.llm_calls import calls_of
from why504.model import Evidence, Sample, Span, Wait, Window

GROQ = {
    names.GEN_AI_OPERATION: "chat",
    names.GEN_AI_PROVIDER: "groq",
    names.GEN_AI_MODEL: "llama-3",
}
POST = {
    names.HTTP_METHOD: "POST",
    names.SERVER_ADDRESS: "api.groq.com",
    names.URL_PATH: "/openai/v1/chat/completions",
}
PROBE = {names.THREAD_ID: 7}


def chat(scene: Scene, who: str, start_s: float, end_s: float | None, **told) -> None:
    attributes = {**GROQ, **told.pop("also", {})}
    scene.span(who, f"chat{start_s}", told.pop("of", "app"), start_s, end_s, kind="client",
               name="chat llama-3", **attributes)  # fmt: skip
    if status := told.get("status"):
        scene.spans[-1] = replace(scene.spans[-1], status=status)


def post(scene: Scene, who: str, of: str, start_s: float, end_s: float | None, status=200, **also):
    told = {names.HTTP_STATUS: status} if end_s is not None and status else {}
    scene.span(who, f"post{start_s}", of, start_s, end_s, kind="client", name="POST",
               **POST, **PROBE, **told, **also)  # fmt: skip
    if status >= 400:
        scene.spans[-1] = replace(scene.spans[-1], status="error")


def used(scene: Scene, **changes) -> LlmUse:
    return llm_use(replace(scene.evidence(), **changes))


def outcomes(use: LlmUse) -> dict[str, int]:
    return {name: number for name, number in use.whole.outcomes.items() if number}


def test_without_calls_everything_is_zero_and_nothing_is_guessed():
    scene = Scene(10)
    scene.app("calm", 0, 1)
    scene.span("calm", "db", "app", 0.1, 0.2, kind="client", **{names.DB_SYSTEM: "postgresql"})
    scene.span("calm", "mail", "app", 0.3, 0.4, kind="client",
               **{names.HTTP_METHOD: "POST", names.SERVER_ADDRESS: "mail.example"})  # fmt: skip

    use = used(scene)

    assert (use.whole.calls, use.whole.median_s, use.whole.first_s) == (0, None, None)
    assert (use.models, use.routes, use.pauses, use.slowest) == ([], [], [], [])


def test_a_call_is_its_own_span_with_the_http_requests_inside_it():
    scene = Scene(10)
    scene.app("a", 0, 4, route="/score")
    chat(scene, "a", 1, 3, also={names.GEN_AI_INPUT_TOKENS: 100, names.GEN_AI_OUTPUT_TOKENS: 5})
    post(scene, "a", "chat1", 1.1, 2.9, **GROQ, **{names.CLIENT_TIMEOUT_S: 15.0})

    use = used(scene)

    figures = use.whole
    assert (figures.calls, figures.attempts, figures.retries) == (1, 1, 0)
    assert (figures.input_tokens, figures.output_tokens, figures.tokens_told) == (100, 5, 1)
    assert (figures.unbounded, figures.limits_told) == (0, 1)
    assert figures.median_s == figures.p99_s == 2.0
    assert [(g.provider, g.model) for g in use.models] == [("groq", "llama-3")]
    assert [g.route for g in use.routes] == ["POST /score"]


def test_a_call_refused_twice_tells_its_retries_and_what_it_was_asked_to_wait():
    scene = Scene(40)
    scene.app("a", 0, 30)
    chat(scene, "a", 1, 20)
    post(scene, "a", "chat1", 1, 2, 429, **{names.RETRY_AFTER_S: 10.0})
    post(scene, "a", "chat1", 5, 6, 429, **{names.RETRY_AFTER_S: 4.0})
    post(scene, "a", "chat1", 12, 20)

    use = used(scene)

    assert outcomes(use) == {"answered": 1}
    assert (use.whole.attempts, use.whole.refused, use.whole.retries) == (3, 2, 2)
    (pauses,) = use.pauses
    assert (pauses.asked, pauses.asked_s, pauses.asked_most_s) == (2, 4.0, 10.0)
    assert (pauses.waited_s, pauses.waited_most_s) == (3.0, 6.0)
    assert (pauses.early, pauses.not_retried, pauses.refused) == (1, 0, 2)


def test_http_requests_alone_are_one_call_if_each_began_after_the_one_before_had_failed():
    scene = Scene(40)
    scene.app("a", 0, 30)
    for start_s, status in ((1, 429), (4, 503), (8, 200)):
        post(scene, "a", "app", start_s, start_s + 1, status)
    post(scene, "a", "app", 12, 13)

    use = used(scene)

    assert (use.whole.calls, use.whole.attempts, use.whole.retries) == (2, 4, 2)
    assert outcomes(use) == {"answered": 2}
    assert [(g.provider, g.model) for g in use.models] == [("api.groq.com", "")]


def test_two_calls_at_once_that_both_try_again_stay_two():
    scene = Scene(40)
    scene.app("a", 0, 30)
    for start_s, status in ((1, 429), (1.1, 429), (4, 200), (4.1, 200)):
        post(scene, "a", "app", start_s, start_s + 1, status)

    assert (used(scene).whole.calls, used(scene).whole.retries) == (2, 2)


def test_who_pauses_after_a_refusal_while_its_request_goes_on_is_open():
    scene = Scene(30)
    scene.app("a", 0, None)
    post(scene, "a", "app", 1, 2, 429, **{names.RETRY_AFTER_S: 20.0})

    use = used(scene)

    assert outcomes(use) == {"open": 1}
    assert (use.pauses[0].not_retried, use.pauses[0].early) == (1, 0)
    assert use.pauses[0].waited_s == pytest.approx(28.0)
    assert use.whole.unbounded == use.whole.limits_told == 1


def test_the_gateways_patience_is_no_pause_of_a_client():
    scene = Scene(90)
    scene.gateway("a", 0, 60)
    post(scene, "a", "gw", 1, 2, 429)

    assert (used(scene).pauses, outcomes(used(scene))) == ([], {"refused": 1})


@pytest.mark.parametrize(
    ("also", "outcome", "reason"),
    [
        ({names.ERROR_TYPE: "RateLimitError"}, "refused", "429"),
        ({names.ERROR_TYPE: "TimeoutError"}, "given_up", "TimeoutError"),
        ({names.ERROR_TYPE: "CancelledError"}, "given_up", "CancelledError"),
        ({names.ERROR_TYPE: "BreakerOpen"}, "not_sent", "BreakerOpen"),
        ({names.ERROR_TYPE: "unreadable_answer"}, "failed", "unreadable_answer"),
        ({names.HTTP_STATUS: 503}, "failed", "503"),
        ({}, "failed", "error"),
    ],
)
def test_a_call_that_failed_tells_how(also, outcome: str, reason: str):
    scene = Scene(10)
    chat(scene, "a", 1, 2, status="error", also=also)

    use = used(scene)

    assert (outcomes(use), use.reasons) == ({outcome: 1}, [(reason, 1)])


def test_a_call_that_was_not_sent_has_no_attempt_and_no_length():
    scene = Scene(10)
    chat(scene, "a", 1, 1.001, status="error", also={names.ERROR_TYPE: "BreakerOpen"})

    assert (used(scene).whole.attempts, used(scene).whole.median_s) == (0, None)


def test_a_fallback_is_counted_and_is_no_answer():
    scene = Scene(10)
    chat(scene, "a", 1, 2, also={names.LLM_FALLBACK: True})
    chat(scene, "b", 1, 2, also={names.LLM_FALLBACK: "true"})

    use = used(scene)

    assert use.whole.fallbacks == 1
    assert outcomes(use) == {"answered": 1, "failed": 1}


def test_whether_a_client_had_a_limit_is_not_guessed_where_nobody_told():
    scene = Scene(10)
    chat(scene, "a", 1, 2)
    scene.span("b", "post", "app", 1, 2, kind="client", name="POST", **POST)

    assert (used(scene).whole.calls, used(scene).whole.limits_told) == (2, 0)


def test_an_agent_is_no_call_and_its_tools_are_none():
    scene = Scene(10)
    agent = {names.GEN_AI_OPERATION: "invoke_agent", names.GEN_AI_PROVIDER: "groq"}
    scene.span("a", "agent", "app", 0, 9, **agent)
    chat(scene, "a", 1, 2, of="agent")
    chat(scene, "a", 5, 6, of="agent")
    weather = {names.HTTP_METHOD: "GET", names.SERVER_ADDRESS: "weather.example"}
    scene.span("a", "tool", "agent", 3, 4, kind="client", **agent, **weather)

    assert (used(scene).whole.calls, used(scene).whole.attempts) == (2, 2)


def test_a_span_of_a_framework_around_that_of_the_client_is_the_same_call():
    scene = Scene(10)
    chat(scene, "a", 1, 4)
    inside = {names.GEN_AI_INPUT_TOKENS: 40, names.GEN_AI_FIRST_CHUNK_S: 0.25}
    chat(scene, "a", 1.5, 3.5, of="chat1", also=inside)
    post(scene, "a", "chat1.5", 1.6, 3)

    figures = used(scene).whole

    assert (figures.calls, figures.attempts, figures.input_tokens) == (1, 1, 40)
    assert (figures.first_s, figures.median_s) == (0.25, 3.0)


def test_what_a_proxy_asks_on_behalf_of_an_attempt_is_a_part_of_it():
    scene = Scene(10)
    scene.app("a", 0, 9)
    post(scene, "a", "app", 1, 8)
    scene.span("a", "proxy", "post1", 1.1, 7.9, kind="server", instance="proxy-1",
               **{names.HTTP_METHOD: "POST", names.HTTP_ROUTE: "/chat/completions"})  # fmt: skip
    chat(scene, "a", 2, 7, of="proxy", also={names.GEN_AI_INPUT_TOKENS: 9})
    post(scene, "a", "chat2", 2, 3, 429)
    post(scene, "a", "chat2", 4, 7)

    use = used(scene)

    assert (use.whole.calls, use.whole.attempts, use.whole.input_tokens) == (1, 1, 9)
    assert [(g.provider, g.model) for g in use.models] == [("api.groq.com", "llama-3")]
    assert [g.route for g in use.routes] == ["POST /v1/x"]


def pause(start_s: float, end_s: float | None, who: str = "a", **told) -> Wait:
    return Wait(
        hexid(who, 32), hexid(f"pause{start_s}", 16), hexid(f"{who}/app", 16), "backoff:groq",
        at(start_s), None if end_s is None else at(end_s), at(end_s or 30), "svc", APP,
        "acquired" if end_s else "open", {names.BACKOFF_STATUS: 429, **told},
    )  # fmt: skip


def test_pauses_that_a_probe_tells_count_where_no_attempt_does():
    use = used(Scene(30), waits=[pause(1, 6, **{names.RETRY_AFTER_S: 8.0}), pause(10, None)])

    assert (use.whole.calls, use.whole.retries, use.whole.refused) == (0, 1, 2)
    (pauses,) = use.pauses
    assert (pauses.provider, pauses.pauses, pauses.early, pauses.not_retried) == ("groq", 2, 1, 1)


def test_a_pause_told_twice_is_one():
    scene = Scene(30)
    chat(scene, "a", 1, 9)
    post(scene, "a", "chat1", 1, 2, 429)
    post(scene, "a", "chat1", 7, 9)

    use = used(scene, waits=[pause(2.1, 6.9)])

    assert (use.whole.retries, [one.pauses for one in use.pauses]) == (1, [1])


def test_of_a_sample_each_call_counts_for_as_many_as_its_trace_stands_for():
    scene = Scene(100)
    chat(scene, "many", 1, 2, also={names.GEN_AI_INPUT_TOKENS: 10})
    chat(scene, "one", 3, 50, status="error", also={names.ERROR_TYPE: "Timeout"})

    use = used(scene, sample=Sample({hexid("many", 32): 198.6}, {}, 100))

    assert (use.whole.calls, use.whole.input_tokens, use.sampled) == (200, 1986, True)
    assert (use.whole.median_s, use.whole.p99_s) == (1.0, 1.0)
    assert use.begun["answered"][0] == pytest.approx(198.6)


def test_figures_are_of_the_focus_and_buckets_of_all():
    scene = Scene(100)
    chat(scene, "before", 1, 2)
    chat(scene, "during", 51, 52)

    use = llm_use(scene.evidence(), Window(at(50), at(60)))

    assert use.whole.calls == 1
    assert sum(use.begun["answered"]) == 2
    assert use.bucket_ns == 2 * 10**9
    assert [n for n, calls in enumerate(use.begun["answered"]) if calls] == [0, 25]


@pytest.mark.parametrize(("length_s", "buckets"), [(1, 1), (60, 60), (61, 31), (30 * 86_400, 60),
                                                   (40 * 365 * 86_400, 60)])  # fmt: skip
def test_there_are_at_most_sixty_buckets_however_long_it_was(length_s: float, buckets: int):
    use = llm_use(Evidence(Window(at(0), at(length_s))))

    assert len(use.begun["open"]) == buckets


def test_calls_of_clocks_that_are_off_are_counted_and_fall_into_no_bucket():
    scene = Scene(10)
    chat(scene, "backwards", 5, 4)
    chat(scene, "long ago", -1e6, 5)

    use = used(scene)

    assert use.whole.calls == 2
    assert sum(use.begun["answered"]) == 1
    assert min(use.whole.spread_s) == 0.0


@pytest.mark.parametrize("told", [True, -5, math.nan, math.inf, 1e300, "12", [1], 10**30])
def test_what_is_no_number_of_tokens_is_not_counted(told):
    scene = Scene(10)
    also = {names.GEN_AI_INPUT_TOKENS: told, names.GEN_AI_FIRST_CHUNK_S: told}
    chat(scene, "a", 1, 2, also=also)

    figures = used(scene).whole

    assert (figures.calls, figures.input_tokens, figures.first_s) == (1, 0, None)


def test_parents_in_a_circle_and_parents_without_end_are_survived():
    scene = Scene(10)
    scene.span("a", "x", "y", 0, 9)
    scene.span("a", "y", "x", 0, 9)
    chat(scene, "a", 1, 2, of="x")
    scene.span("a", "self", "self", 3, 4, kind="client", **GROQ)
    for n in range(2_000):
        scene.span("b", f"deep{n}", f"deep{n - 1}", 0, 9)
    chat(scene, "b", 1, 2, of="deep1999")

    assert used(scene).whole.calls == 3


def test_what_is_called_round_each_other_is_not_lost_in_an_endless_loop():
    scene = Scene(10)
    scene.span("a", "x", "y", 0, 9, kind="client", **GROQ)
    scene.span("a", "y", "x", 0, 9, kind="client", **GROQ)

    assert used(scene).whole.calls == 0


def test_thousands_of_models_routes_and_reasons_are_bounded():
    scene = Scene(10)
    for n in range(3_000):
        scene.app(f"r{n}", 0, 5, route=f"/r{n}")
        error = {names.GEN_AI_MODEL: f"m{n}", names.ERROR_TYPE: f"E{n}" * 1_000}
        chat(scene, f"r{n}", 1, 2, status="error", also=error)

    use = used(scene)

    assert use.whole.calls == 3_000
    assert (len(use.models), len(use.routes), len(use.slowest)) == (50, 50, 50)
    assert len(use.reasons) == 12
    assert max(len(reason) for reason, _ in use.reasons) <= 80


def test_prompts_and_completions_are_in_nothing_that_comes_back():
    scene = Scene(10)
    chat(scene, "a", 1, 2, also={"gen_ai.prompt": "SECRET", "gen_ai.input.messages": "SECRET"})
    post(scene, "a", "chat1", 1, 2, **{"gen_ai.completion": "SECRET"})

    assert "SECRET" not in repr(used(scene))


def test_forty_thousand_spans_are_counted_within_seconds():
    spans = []
    for n in range(10_000):
        who = f"{n:032x}"
        ids = [f"{n * 4 + k:016x}" for k in range(4)]
        rows = (
            (ids[0], None, "server", {names.HTTP_METHOD: "POST", names.HTTP_ROUTE: "/x"}),
            (ids[1], ids[0], "client", {names.DB_SYSTEM: "postgresql"}),
            (ids[2], ids[0], "client", GROQ),
            (ids[3], ids[2], "client", {**GROQ, **POST, names.HTTP_STATUS: 200}),
        )
        for own, parent, kind, attributes in rows:
            spans.append(Span(who, own, parent, "s", kind, at(n / 100), at(n / 100 + 1),
                              at(n / 100 + 1), "svc", APP, attributes=attributes))  # fmt: skip
    evidence = Evidence(Window(at(0), at(300)), spans)

    began_s = time.process_time()
    use = llm_use(evidence)
    took_s = time.process_time() - began_s

    assert (use.whole.calls, use.whole.attempts) == (10_000, 10_000)
    assert took_s < 4.0  # measured: 0.4 s of an idle core


def test_many_failed_attempts_of_one_caller_take_no_square_of_their_number():
    scene = Scene(10)
    for n in range(8_000):
        post(scene, "a", "app", n / 1e4, 5 + n / 1e4, 503)

    began_s = time.process_time()
    calls = calls_of(scene.evidence())

    assert len(calls) == 8_000
    assert time.process_time() - began_s < 2.0

from dataclasses import replace

from dashboards.draw.bars import Bar, bars
from dashboards.language import Say
from tests.unit.dashboards import explorer_examples as told
from why504.model import Evidence, Victim, Window

SAY = Say()


def drawn(n: int = 1, **changes: object) -> list[Bar]:
    return bars(told.victim(n, **changes), told.pool_trace(n), told.holder_trace(), SAY)


def lanes(rows: list[Bar]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for bar in rows:
        if bar.kind == "lane":
            found[bar.label] = []
        else:
            found[[*found][-1]].append(bar.label)
    return found


def test_a_504_is_told_in_four_lanes_from_the_gateway_to_the_holder():
    held_by = f"Held by: {told.victim(1).held_by}"

    assert lanes(drawn()) == {
        "Gateway": ["POST /v1/activities/suggest · 60.0 s"],
        "Application": [
            "POST /v1/activities/suggest · 64.0 s, still open",
            "▶ blocked here: waiting for db.pool:main · 59.8 s, still open",
        ],
        "Database": ["SELECT prompt_template · 3.0 s"],
        held_by: [
            "POST /v1/conversations/end · 67.5 s, still open",
            "has db.pool:main, taken at db/session.py:31 · 67.5 s, still open",
            "▶ time lost here: publish conversation.ended · 67.2 s, still open",
        ],
    }


def test_all_lanes_share_the_clock_that_starts_when_the_gateway_got_the_request():
    times = {bar.label.split(" · ")[0]: (bar.start_s, bar.end_s) for bar in drawn(2)}

    assert times["POST /v1/conversations/end"] == (-3.5, 64.0)
    assert times["▶ blocked here: waiting for db.pool:main"] == (4.2, 64.0)
    assert times["SELECT prompt_template"] == (1.0, 4.0)


def test_a_request_that_never_reached_the_application_says_so():
    victim = told.loop_victim(31)
    store, _ = told.both_hangs()

    rows = bars(victim, store.trace(victim.trace_id), told.loop_trace(), SAY)

    assert [bar.label for bar in rows if bar.kind == "note"] == ["the request never got here"]
    stall = next(bar for bar in rows if bar.kind == "stall")
    assert stall.label == (
        "▶ time lost here: blocks the event loop at llm/groq_client.py:22 · 74.8 s, still open"
    )


def test_a_pause_after_the_span_that_it_is_told_by_is_drawn_until_the_gateway_gave_up():
    victim = told.victim(
        1,
        blocked_in="a pause before the next attempt at groq that followed 429",
        blocking_span_id=told.span_id(102),
        holder_trace_id=None,
    )
    rows = bars(victim, told.pool_trace(1), None, SAY)

    (pause,) = [bar for bar in rows if bar.mark]
    assert pause.label == (
        "▶ blocked here: a pause before the next attempt at groq that followed 429 · 56.0 s"
    )
    assert (pause.kind, round(pause.start_s, 3), pause.end_s) == ("wait", 4.0, 60.0)


def test_a_504_whose_trace_is_not_stored_still_shows_when_the_gateway_gave_up():
    rows = bars(told.victim(1), Evidence(Window(0, 1)), Evidence(Window(0, 1)), SAY)

    assert [(bar.kind, bar.end_s) for bar in rows if bar.kind == "gateway"] == [("gateway", 60.0)]
    assert [bar.label for bar in rows if bar.kind == "note"] == [
        "no span of it is stored",
        "nothing is stored of the holder's trace",
    ]


def test_nothing_is_drawn_below_where_nobody_held_anything():
    rows = bars(told.victim(1, holder_trace_id=None), told.pool_trace(1), None, SAY)

    assert [bar.label for bar in rows if bar.kind == "lane"] == [
        "Gateway",
        "Application",
        "Database",
    ]


def test_what_the_holder_did_before_or_after_the_request_is_left_out():
    labels = [bar.label for bar in drawn()]

    assert not [label for label in labels if "INSERT event" in label]


def many_spans(count: int) -> tuple[Victim, Evidence]:
    victim = told.victim(1)
    spans = [
        told.app_span(victim.trace_id, 500 + n, 101, f"call {n}", (2, 2 + n / 100, 2 + n / 100))
        for n in range(count)
    ]
    own = told.pool_trace(1)
    return victim, replace(own, spans=(*own.spans, *spans))


def test_a_lane_shows_40_rows_the_longest_and_the_blocking_one():
    victim, own = many_spans(1000)

    rows = bars(victim, own, None, SAY)

    labels = [bar.label for bar in rows]
    assert len(rows) < 60
    assert "… and 962 shorter ones" in labels
    assert any(label.startswith("▶ blocked here") for label in labels)
    assert any(label.startswith("call 999 ") for label in labels)


def test_parents_in_a_circle_are_each_drawn_once():
    victim = told.victim(1)
    spans = [
        told.app_span(victim.trace_id, 1, 2, "first", (1, 2, 2)),
        told.app_span(victim.trace_id, 2, 1, "second", (1, 2, 2)),
        told.app_span(victim.trace_id, 3, 3, "own parent", (1, 2, 2)),
    ]

    rows = bars(victim, Evidence(Window(0, 1), spans), None, SAY)

    names = [bar.label.split(" · ")[0] for bar in rows if bar.kind == "application"]
    assert sorted(names) == ["first", "own parent", "second"]


def test_children_stand_below_their_parents_and_depth_is_bounded():
    victim = told.victim(1)
    spans = [
        told.app_span(victim.trace_id, n + 1, n, f"depth {n}", (1, 2, 2)) for n in range(1, 31)
    ]

    drawn = bars(victim, Evidence(Window(0, 1), spans), None, SAY)
    rows = [bar for bar in drawn if bar.kind == "application"]

    assert [bar.label.split(" · ")[0] for bar in rows] == [f"depth {n}" for n in range(1, 31)]
    assert max(bar.depth for bar in rows) == 8


def test_hostile_names_are_bounded_and_plain():
    victim, own = many_spans(1)
    planted = replace(own.spans[-1], name="\u202e" + "<script>" * 20_000)

    rows = bars(victim, replace(own, spans=(planted,)), None, SAY)

    label = next(bar.label for bar in rows if "script" in bar.label)
    assert label.startswith("<U+202E><script>")
    assert len(label) < 250

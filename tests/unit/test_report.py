import io
import json
from dataclasses import replace

from evidence_by_hand import Scene, site
from rich.console import Console

from why504 import report
from why504.diagnose import explain


def printed(renderable) -> str:
    console = Console(file=io.StringIO(), width=140)
    console.print(renderable)
    return console.file.getvalue()


def incident(route="/v1/x", stack=""):
    scene = Scene(until_s=20)
    scene.gateway("culprit", 0, 5)
    scene.app("culprit", 0.001, None, route)
    scene.stall("culprit", 0.01, None, site(48), stack=stack)
    scene.gateway("unseen", 1, 6)
    return explain(scene.evidence())[0]


def test_the_report_says_cause_line_chain_and_what_to_do():
    text = printed(report.render(incident()))

    assert "B1" in text
    assert "Blocking call on the event loop" in text
    assert "service/publisher.py:48" in text
    assert "1 of them the application never saw" in text
    assert "2 timed out, 2 traced to where their time went, 0 not" in text
    assert "Await an asynchronous client" in text


def test_what_rounds_to_nothing_is_left_out():
    told = incident()
    blame = replace(told.blames[0], share=1.0)
    nothing = replace(blame, share=0.004, leaf=replace(blame.leaf, what="noise"))

    text = printed(report.render(replace(told, blames=[blame, nothing])))

    assert "100%" in text
    assert "noise" not in text


def test_text_from_telemetry_can_neither_style_nor_command_the_terminal():
    text = printed(report.render(incident(route="/[bold red]x[/] \x1b[2J\u202eevil")))

    assert "[bold red]x[/]" in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_long_text_is_cut():
    assert len(report.plain("x" * 10_000)) == 2_001


def test_an_incident_is_plain_data_for_machines():
    document = json.loads(json.dumps(report.as_json(incident())))

    assert document["finding"]["cause"] == "B1"
    assert document["finding"]["site"] == "service/publisher.py:48"
    assert [victim["explained"] for victim in document["victims"]] == [True, True]
    assert abs(document["blame_in_s"] - document["blame_out_s"]) < 1e-6


def test_the_picture_stands_alone():
    picture = report.as_svg(incident())

    assert "publisher.py:48" in picture
    assert "@font-face" not in picture
    assert "url(http" not in picture


def test_what_is_stuck_is_listed_oldest_first():
    answer = {
        "pid": 42,
        "service": "svc",
        "requests": [
            {"age_s": 1.5, "route": "GET /young", "state": "running", "trace_id": "a" * 32},
            {"age_s": 41.0, "route": "POST /old", "state": "waiting for db.pool:main 40.9 s"},
        ],
        "loops": [{"stalled_s": 12.0, "site": "service/llm.py:31"}],
    }

    text = printed(report.render_stuck(answer))

    assert text.index("POST /old") < text.index("GET /young")
    assert "event loop stands still for 12.0 s at service/llm.py:31" in text


def test_a_quiet_window_blames_nothing():
    assert "Nothing is blamed" in printed(report.render_nothing(12))
    told = printed(report.render_nothing(12, stood_still=True))
    assert "Nothing is blamed" not in told
    assert "no all-clear" in told


def test_what_helps_where_nobody_was_heard_of_is_told_below():
    assert "Look outside." in printed(report.render_nothing(12, advice=["Look outside."]))

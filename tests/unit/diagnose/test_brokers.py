"""What RabbitMQ told of itself stands beside an answer and never makes it."""

from __future__ import annotations

from evidence_by_hand import Scene, at, hexid, site

from why504 import names
from why504.diagnose import explain
from why504.model import Finding, Incident, Span

RABBITMQ = {names.MESSAGING_SYSTEM: "rabbitmq"}
ALARM = "RabbitMQ node rabbit@x raised a memory alarm"


def publishing(**told) -> Scene:
    """Ten requests that publish from second 10 on, until the gateway gives up."""
    scene = Scene(until_s=40)
    for n in range(10):
        start_s = 10 + n * 0.2
        scene.gateway(f"v{n}", start_s, start_s + 4)
        scene.app(f"v{n}", start_s, None)
        scene.span(
            f"v{n}",
            "call",
            "app",
            start_s,
            None,
            kind="client",
            site=site(48),
            **(told or RABBITMQ),
        )
    return scene


def trouble(scene: Scene, start_s: float, end_s: float | None, kind="memory", **counts) -> None:
    scene.hold(
        "alarm", start_s, end_s, names.broker("rabbit@x" if kind != "silence" else "mq:15672"),
        part="none", instance="rabbitmq@mq:15672", **{names.BROKER_TROUBLE: kind}, **counts,
    )  # fmt: skip


def watched(scene: Scene, start_s: float, end_s: float, *queues: str) -> None:
    told = {names.BROKER_QUEUES: list(queues)} if queues else {}
    scene.spans.append(
        Span(
            hexid(f"watch/{start_s}", 32), hexid(f"watch/{start_s}", 16), None,
            names.BROKER_WATCHED, "internal", at(start_s), at(end_s), at(end_s), "rabbitmq",
            "rabbitmq@mq:15672", attributes={**RABBITMQ, **told},
        )
    )  # fmt: skip


def clock(time_ns: int) -> str:
    seconds = time_ns // 1_000_000_000 % 86_400
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def only(scene: Scene) -> Incident:
    (incident,) = explain(scene.evidence())
    return incident


def about_rabbitmq(finding: Finding) -> list[str]:
    said = (*finding.evidence_for, *finding.evidence_against)
    return [line for line in said if "RabbitMQ" in line]


def test_an_alarm_is_evidence_with_its_times_and_the_connections_it_blocked():
    scene = publishing()
    watched(scene, 5, 30)
    trouble(scene, 8, 20, **{names.BROKER_BLOCKED: 14, names.BROKER_BLOCKING: 3})

    finding = only(scene).finding

    begin, end = (clock(at(s)) for s in (8, 20))
    said = f"{ALARM} from {begin} to {end} UTC; 14 connections blocked, 3 more once they publish"
    assert finding.cause == "F1"
    assert said in finding.evidence_for
    assert said in finding.chain[-1].evidence


def test_an_alarm_that_is_still_up_has_no_end():
    scene = publishing()
    trouble(scene, 8, None)

    assert f"{ALARM} from {clock(at(8))} on UTC" in only(scene).finding.evidence_for


def test_a_stall_inside_the_client_library_gets_the_alarm_too():
    scene = Scene(until_s=40)
    scene.app("blocker", 9, None)
    stack = 'File "/venv/pika/adapters/blocking_connection.py", line 5, in process_data_events\n'
    scene.stall("blocker", 9.5, 16, site(77), stack=stack)
    for n in range(10):
        scene.gateway(f"v{n}", 10 + n * 0.2, 14 + n * 0.2)
        scene.app(f"v{n}", 10 + n * 0.2, None)
    trouble(scene, 8, 20)

    incident = only(scene)

    assert (incident.finding.cause, incident.finding.mechanism) == ("F1", "loop")
    assert any(line.startswith(ALARM) for line in incident.finding.chain[-1].evidence)


def test_the_cause_has_its_name_with_and_without_what_rabbitmq_told():
    unasked, alarmed, well = publishing(), publishing(), publishing()
    trouble(alarmed, 8, 20)
    watched(well, 5, 30)

    findings = [only(scene).finding for scene in (unasked, alarmed, well)]

    assert len({(f.cause, f.mechanism, f.sentence, f.confidence, f.site) for f in findings}) == 1
    assert findings[0].cause == "F1"


def test_alarms_before_and_after_the_incident_are_not_its_evidence():
    scene = publishing()
    watched(scene, 5, 30)
    trouble(scene, 1, 9)
    trouble(scene, 25, 30)

    assert not any(ALARM in line for line in about_rabbitmq(only(scene).finding))


def test_silence_of_the_management_api_is_evidence_and_counts_as_asked():
    scene = publishing()
    trouble(scene, 8, 30, "silence")

    incident = only(scene)

    assert about_rabbitmq(incident.finding) == [
        "RabbitMQ's management API at mq:15672 did not answer "
        f"from {clock(at(8))} to {clock(at(30))} UTC"
    ]
    assert not any("nobody asked RabbitMQ" in line for line in incident.caveats)


def test_a_broker_that_was_well_speaks_for_the_way_to_it():
    scene = publishing()
    watched(scene, 5, 30)

    incident = only(scene)

    assert "look at the way to it" in about_rabbitmq(incident.finding)[0]
    assert about_rabbitmq(incident.finding)[0] in incident.finding.evidence_against
    assert not any("nobody asked RabbitMQ" in line for line in incident.caveats)


def test_an_alarm_is_told_with_the_deepest_queue():
    scene = publishing()
    watched(scene, 5, 7, "stale of /: 1 ready, 0 unacknowledged, 0 consumers")
    watched(scene, 9, 11, "orders of /: 1200 ready, 0 unacknowledged, 0 consumers", "b of /: 1")
    watched(scene, 11, 13)
    watched(scene, 30, 32, "later of /: 9 ready, 0 unacknowledged, 0 consumers")
    trouble(scene, 8, 20)

    said = f"deepest queue at {clock(at(11))} UTC: orders of /: 1200 ready, 0 unacknowledged, "
    assert said + "0 consumers" in only(scene).finding.evidence_for


def test_nobody_asked_is_said_when_calls_to_the_broker_matter():
    assert (
        "nobody asked RabbitMQ for alarms (why504 receive --rabbitmq URL)"
        in only(publishing()).caveats
    )


def test_asked_for_less_than_half_of_the_time_is_not_asked():
    scene = publishing()
    watched(scene, 5, 11)

    assert any("nobody asked RabbitMQ" in line for line in only(scene).caveats)
    assert about_rabbitmq(only(scene).finding) == []


def test_calls_to_a_broker_beside_an_incident_of_something_else_are_no_reason_to_ask():
    scene = publishing(**{names.SERVER_ADDRESS: "api.mem0.ai"})
    scene.app("relay", 9, None)
    scene.span("relay", "publish", "app", 9, None, kind="producer", **RABBITMQ)
    trouble(scene, 8, 20)

    incident = only(scene)

    assert incident.finding.cause == "D1"
    assert about_rabbitmq(incident.finding) == []
    assert not any("RabbitMQ" in line for line in incident.caveats)


def test_an_alarm_of_rabbitmq_is_no_evidence_for_another_broker():
    scene = publishing(**{names.MESSAGING_SYSTEM: "kafka"})
    trouble(scene, 8, 20)

    incident = only(scene)

    assert incident.finding.cause == "F1"
    assert not any(ALARM in line for line in incident.finding.evidence_for)
    assert not any("RabbitMQ" in line for line in incident.caveats)


def test_an_alarm_takes_no_blame_from_who_has_it():
    scene = publishing()
    before = only(scene)
    trouble(scene, 8, 20)

    after = only(scene)

    assert after.blames == before.blames
    assert after.blame_out_s == before.blame_out_s

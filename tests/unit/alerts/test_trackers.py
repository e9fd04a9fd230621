"""Each tracker's documented API: created once, found again, commented once; and what may pass."""

from __future__ import annotations

import logging
import traceback
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alerts_by_hand import alert, at
from tickets_by_hand import Desk, Killed, standin

from lab.standins.tickets import Issue
from why504.alerts.tickets import rest
from why504.alerts.tickets.files import Folder
from why504.alerts.tickets.github import GitHub
from why504.alerts.tickets.gitlab import GitLab
from why504.alerts.tickets.jira import Jira
from why504.alerts.tickets.port import Note, Tickets
from why504.alerts.tickets.ticketing import Ticketing
from why504.cli.ticketing import tickets_of
from why504.config import AlertSettings
from why504.errors import ConfigError, TicketBusy, TicketRefused

SECRET = "s3cr3t-t0ken"
REMOTE = ["github", "gitlab", "jira"]
PROJECTS = {
    "github": "acme/shop.api",
    "gitlab": "acme/back-end/shop",
    "jira": "OPS",
}
NOTE = Note("why504:0123456789abcdef", "P1 · LatencyP99High · shop", ["firing: a `b`"], at(0))
COMMENT = Note(f"{NOTE.mark}/00ff", NOTE.title, ["over, lasted 4 s"], at(0))


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Any, str]]:
    with standin() as one:
        yield one


@pytest.fixture
def state(served) -> Any:
    """The stand-in's state, as good as new."""
    state = served[0]
    state.behaviour = type(state.behaviour)()
    state.issues.clear()
    state.asked.clear()
    return state


def tracker_at(kind: str, url: str, folder: Path, token: str = SECRET) -> Tickets:
    made = {
        "files": lambda: Folder(folder / "tickets"),
        "github": lambda: GitHub(f"{url}/api/v3", PROJECTS["github"], token),
        "gitlab": lambda: GitLab(url, PROJECTS["gitlab"], token),
        "jira": lambda: Jira(url, PROJECTS["jira"], "router@example.com", token),
    }
    return made[kind]()


@pytest.fixture(params=REMOTE)
def kind(request) -> str:
    return request.param


@pytest.fixture
def tracker(kind, state, served, tmp_path) -> Tickets:
    return tracker_at(kind, served[1], tmp_path)


def test_a_ticket_is_there_once_however_often_it_is_opened(tracker, kind, state):
    told = [tracker.open(NOTE) for _ in range(3)]

    (issue,) = state.issues
    assert len(set(told)) == 1
    assert (issue.tracker, issue.project, issue.title) == (kind, PROJECTS[kind], NOTE.title)
    assert "firing: a `b`" in str(issue.body)
    assert "why504" in issue.labels
    assert told[0].url.startswith("http://127.0.0.1:")


def test_a_comment_is_there_once_however_often_it_is_made(tracker, state):
    ticket = tracker.open(NOTE)
    for _ in range(3):
        tracker.comment(ticket.ref, COMMENT)
    tracker.comment(ticket.ref, Note(f"{NOTE.mark}/01", "", ["more"], at(0)))

    assert len(state.issues[0].comments) == 2
    assert "over, lasted 4 s" in str(state.issues[0].comments[0]["body"])


def test_it_is_found_among_many(tracker, kind, state):
    for n in range(250):
        mark = f"why504:{n:016x}"
        body = {"type": "doc", "content": []} if kind == "jira" else f"<!-- {mark} -->\n"
        labels = [mark.replace(":", "-")]
        told = Issue(kind, PROJECTS[kind], n + 1, "t", body, labels, at(0) / 1e9, [])
        state.issues.append(told)

    assert tracker.open(Note(f"why504:{7:016x}", "t", ["x"], at(0))).ref in ("8", "OPS-8")
    assert len(state.issues) == 250


def test_an_answer_that_is_cut_off_is_found_by_the_next_call(tracker, state):
    state.behaviour.cut = True
    with pytest.raises(TicketBusy, match="answered 500"):
        tracker.open(NOTE)
    state.behaviour.cut = False
    ticket = tracker.open(NOTE)
    state.behaviour.cut = True
    with pytest.raises(TicketBusy):
        tracker.comment(ticket.ref, COMMENT)
    state.behaviour.cut = False
    tracker.comment(ticket.ref, COMMENT)

    (issue,) = state.issues
    assert len(issue.comments) == 1


@pytest.mark.parametrize("status", [301, 401, 403, 404, 429, 500, 503])
def test_what_may_pass_is_worth_another_try(tracker, state, status):
    state.behaviour.status = status

    with pytest.raises(TicketBusy, match=f"127.0.0.1 answered {status}") as raised:
        tracker.open(NOTE)
    assert raised.value.after_s == (0.0 if status >= 500 else 60.0)


def test_it_says_when_to_ask_again(tracker, state):
    state.behaviour.status, state.behaviour.retry_after_s = 429, 120

    with pytest.raises(TicketBusy) as raised:
        tracker.open(NOTE)
    assert raised.value.after_s == 120.0


def test_a_text_that_the_tracker_does_not_take_is_refused(tracker):
    with pytest.raises(TicketRefused, match=r"4(00|22)"):
        tracker.open(Note(NOTE.mark, "t" * 300, ["x"], at(0)))


def test_a_ticket_that_is_gone_is_not_commented_for_ever(tracker, state):
    ticket = tracker.open(NOTE)
    state.issues.clear()

    with pytest.raises(TicketRefused, match="404"):
        tracker.comment(ticket.ref, COMMENT)


def test_a_tracker_that_says_nothing_is_given_up(tracker, state, monkeypatch):
    monkeypatch.setattr(rest, "TIMEOUT_S", 0.2)
    state.behaviour.delay_s = 1.0

    with pytest.raises(TicketBusy, match="ReadTimeout"):
        tracker.open(NOTE)


def test_killed_between_the_ticket_and_our_knowledge_of_it(tracker, state, tmp_path, monkeypatch):
    desk = Desk(tmp_path, tracker)
    desk.take(alert(severity="p1"))

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(type(desk.ticketing._book), "opened", killed)
        with pytest.raises(Killed):
            desk.run(5)
    assert len(state.issues) == 1

    desk.restart()
    desk.run(tracker.settles_s + 5)
    (issue,) = state.issues
    assert desk.counted("opened") == 1
    assert issue.title == "P1 · Gateway504Ratio · shop"


def test_an_incident_from_its_begin_to_its_end(tracker, state, tmp_path):
    desk = Desk(tmp_path, tracker)
    desk.take(alert(severity="p1"))
    desk.run(70)
    desk.take(alert())
    desk.run(70)
    desk.take(alert(severity="p1", end_s=100), alert(end_s=100))
    desk.run(200)

    (issue,) = state.issues
    said = [str(comment["body"]) for comment in issue.comments]
    assert len(said) == 2
    assert "firing: P0 Gateway504Ratio" in said[0]
    assert "over, lasted 100 s" in said[1]


def test_a_jira_whose_search_is_late_is_not_asked_too_early(state, served, tmp_path):
    tracker = tracker_at("jira", served[1], tmp_path)
    desk = Desk(tmp_path, tracker)
    state.behaviour.searchable_after_s = 60.0
    state.behaviour.cut = True
    desk.take(alert(severity="p1"))
    desk.run(5)
    state.behaviour.cut = False
    desk.run(290)
    assert len(state.issues) == 1
    # What it would find out sooner; time in the stand-in does not pass.
    state.behaviour.searchable_after_s = 0.0
    desk.run(60)

    assert len(state.issues) == 1
    assert desk.counted("opened") == 1


def test_github_without_push_access_has_no_labels_and_one_ticket(state, served, tmp_path):
    tracker = tracker_at("github", served[1], tmp_path)
    state.behaviour.pushes = False
    for _ in range(2):
        tracker.open(NOTE)

    (issue,) = state.issues
    assert issue.labels == []


def test_a_pull_request_is_no_ticket(state, served, tmp_path):
    tracker = tracker_at("github", served[1], tmp_path)
    pull = Issue(
        "github", PROJECTS["github"], 1, "t", f"<!-- {NOTE.mark} -->", ["pull"], at(0) / 1e9, []
    )
    state.issues.append(pull)

    assert tracker.open(NOTE).ref == "2"


@pytest.mark.parametrize("status", [None, 401, 500])
def test_no_error_log_or_repr_has_the_token(kind, state, served, tmp_path, status, caplog):
    caplog.set_level(logging.DEBUG)
    state.behaviour.status, state.behaviour.repeats_token = status, True
    settings = AlertSettings(tickets_token=SECRET)
    told = [repr(settings), str(settings)]
    for url in (served[1], "http://127.0.0.1:1"):
        tracker = tracker_at(kind, url, tmp_path)
        told += [repr(tracker), repr(vars(tracker)), repr(vars(tracker._api))]
        for note in (NOTE, Note(NOTE.mark + "0", "t" * 300, ["x"], at(0))):
            try:
                tracker.open(note)
            except (TicketBusy, TicketRefused) as error:
                told += [repr(error), "".join(traceback.format_exception(error))]
    told += [record.getMessage() for record in caplog.records]

    assert len(told) > 12
    basic = b64encode(f"router@example.com:{SECRET}".encode()).decode()
    assert not any(SECRET in text or basic in text for text in told)


def test_the_ledger_does_not_have_the_token(tracker, state, tmp_path):
    state.behaviour.status, state.behaviour.repeats_token = 422, True
    desk = Desk(tmp_path, tracker)
    desk.take(alert(severity="p1"))
    desk.run(5)

    assert isinstance(desk.ticketing, Ticketing)
    assert not any(SECRET.encode() in path.read_bytes() for path in tmp_path.glob("alerts*"))


def test_a_folder_has_a_file_a_ticket(tmp_path):
    folder = Folder(tmp_path / "tickets")
    folder.open(NOTE)
    ticket = folder.open(NOTE)
    for _ in range(2):
        folder.comment(ticket.ref, COMMENT)

    (file,) = (tmp_path / "tickets").iterdir()
    assert file.name == "0123456789abcdef.md"
    assert file.read_text("utf-8") == (
        "# P1 · LatencyP99High · shop\n\n<!-- why504:0123456789abcdef -->\n\n"
        "```\nfiring: a `b`\n```\n\n"
        "<!-- why504:0123456789abcdef/00ff -->\n\n```\nover, lasted 4 s\n```\n"
    )


def test_what_people_write_into_a_file_stays(tmp_path):
    folder = Folder(tmp_path)
    ticket = folder.open(NOTE)
    file = tmp_path / ticket.ref
    file.write_bytes(file.read_bytes() + b"\r\nmine: \xff\xfe\r\n")
    folder.comment(ticket.ref, COMMENT)
    folder.open(NOTE)

    assert b"\r\nmine: \xff\xfe\r\n" in file.read_bytes()
    assert b"over, lasted 4 s" in file.read_bytes()


def test_a_file_that_was_deleted_is_not_made_again(tmp_path):
    folder = Folder(tmp_path)
    ticket = folder.open(NOTE)
    (tmp_path / ticket.ref).unlink()

    with pytest.raises(TicketRefused, match="gone"):
        folder.comment(ticket.ref, COMMENT)


def test_a_disk_that_refuses_is_for_later(tmp_path):
    (tmp_path / "tickets").write_text("a file")

    with pytest.raises(TicketBusy):
        Folder(tmp_path / "tickets").open(NOTE)


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("files:/var/lib/why504", "files:/var/lib/why504"),
        ("github:acme/.github", "https://api.github.com/acme/.github"),
        ("github:git.acme.example/acme/shop", "https://git.acme.example/api/v3/acme/shop"),
        ("gitlab:gitlab.com/acme/back/shop", "https://gitlab.com/acme/back/shop"),
        ("jira:acme.atlassian.net/OPS", "https://acme.atlassian.net/OPS"),
        ("gitlab:127.0.0.1:8084/acme/shop", "https://127.0.0.1:8084/acme/shop"),
    ],
)
def test_settings_name_a_tracker(told, name):
    env = {
        "WHY504_ALERTS_TICKETS": told, "WHY504_ALERTS_TICKETS_TOKEN": SECRET,
        "WHY504_ALERTS_TICKETS_USER": "router@example.com",
    }  # fmt: skip

    assert tickets_of(AlertSettings.from_env(env)).name == name


@pytest.mark.parametrize(
    "told",
    ["github", "github:acme", "github:acme/../x", "github:http://git.example/acme/shop", "files:",
     "gitlab:acme", "gitlab:gitlab.com/acme", "jira:acme.atlassian.net", "jira:h/ops", "trello:x",
     "jira:acme.atlassian.net/OPS\" OR 1", "github:acme/shop?x", "gitlab:host@evil/acme/shop"],
)  # fmt: skip
def test_settings_say_what_a_tracker_looks_like(told):
    with pytest.raises(ConfigError, match="github:<owner>/<repository>"):
        AlertSettings.from_env({"WHY504_ALERTS_TICKETS": told})


def test_settings_say_what_is_missing_for_tickets(tmp_path):
    def settings(**more: str) -> AlertSettings:
        return AlertSettings(tickets="jira:acme.atlassian.net/OPS", **more)

    with pytest.raises(ConfigError, match="WHY504_ALERTS_TICKETS_TOKEN_FILE"):
        tickets_of(settings())
    with pytest.raises(ConfigError, match="can't be read"):
        tickets_of(settings(tickets_token_file=str(tmp_path / "none")))
    with pytest.raises(ConfigError, match="WHY504_ALERTS_TICKETS_USER"):
        tickets_of(settings(tickets_token=SECRET))
    with pytest.raises(ConfigError, match="signs") as raised:
        tickets_of(settings(tickets_token=f"{SECRET} ü"))
    assert SECRET not in str(raised.value)


def test_a_token_may_be_in_a_file(tmp_path):
    (tmp_path / "token").write_text(f"{SECRET}\n", encoding="utf-8")

    assert AlertSettings(tickets_token_file=str(tmp_path / "token")).tickets_secret() == SECRET


def test_buttons_may_lead_to_the_tracker():
    hosts = {
        told: AlertSettings(tickets=told).hosts()
        for told in ("github:a/b", "gitlab:git.example:8443/a/b", "files:x", "")
    }

    assert list(hosts.values()) == [{"github.com"}, {"git.example"}, set(), set()]


def test_a_tracker_elsewhere_is_asked_over_https_alone():
    with pytest.raises(ConfigError, match="https"):
        GitLab("http://gitlab.example", "a/b", SECRET)

"""A stand-in for trackers: `python -m lab.standins.tickets --port 8084`.

Speaks as much of three APIs as tickets need, by their documentation: GitHub's REST API 2022-11-28
under /api/v3 as a GitHub Enterprise Server has it (Issues, Issue comments), GitLab's v4 (Issues,
Notes) and Jira Cloud's v3 (Issues, Issue comments, Issue search by JQL, which learns late; texts in
the Atlassian Document Format). `/_control` changes its behaviour, `/_seen` tells what is there.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from pydantic import Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lab.standins.control import Behaviour, control, serve, waited
from lab.standins.ticketbodies import (
    GitHubComment,
    GitHubIssue,
    GitLabIssue,
    GitLabNote,
    JiraComment,
    JiraIssue,
    Refused,
    check,
)

GITHUB, GITLAB, JIRA = "github", "gitlab", "jira"
_JQL: Final = re.compile(r'project = "(\w+)" AND labels = "([\w-]+)" ORDER BY created ASC')


class TrackerBehaviour(Behaviour):
    """What a tracker does with each request."""

    cut: bool = False
    """What is to be created is, and no answer tells so."""
    retry_after_s: int | None = None
    """Told with every error."""
    repeats_token: bool = False
    """Errors tell who asked, as no tracker should."""
    searchable_after_s: float = Field(default=0.0, ge=0)
    """Jira's search learns of an issue so late."""
    pushes: bool = True
    """Whoever may not push has no labels on GitHub."""


class Issue(NamedTuple):
    """One issue of any tracker."""

    tracker: str
    project: str
    number: int
    title: str
    body: Any
    labels: list[str]
    at: float
    comments: list[dict[str, Any]]
    """Each with `body` and `at`."""


def build_app() -> Starlette:
    """Return the stand-in as an ASGI application."""
    github = "/api/v3/repos/{project:path}/issues"
    gitlab = "/api/v4/projects/{project:path}/issues"
    jira = "/rest/api/3"
    both = ["GET", "POST"]
    app = Starlette(
        routes=[
            Route(f"{github}/{{number:int}}/comments", answered(github_comments), methods=both),
            Route(github, answered(github_issues), methods=both),
            Route(f"{gitlab}/{{number:int}}/notes", answered(gitlab_notes), methods=both),
            Route(gitlab, answered(gitlab_issues), methods=both),
            Route(f"{jira}/search/jql", answered(jira_search), methods=["GET"]),
            Route(f"{jira}/issue", answered(jira_issue), methods=["POST"]),
            Route(f"{jira}/issue/{{key}}/comment", answered(jira_comments), methods=both),
            Route("/_control", control, methods=["GET", "PUT"]),
            Route("/_seen", seen, methods=["GET"]),
        ]
    )
    app.state.behaviour = TrackerBehaviour()
    app.state.now = time.time
    app.state.issues = []
    app.state.asked = []
    return app


def answered(answer: Callable[[Request], Awaitable[Any]]) -> Callable[[Request], Any]:
    """Return an endpoint that behaves as it is told to, and writes errors in its API's form."""

    async def endpoint(request: Request) -> Response:
        behaviour: TrackerBehaviour = request.app.state.behaviour
        request.app.state.asked.append(f"{request.method} {request.url.path}")
        await waited(behaviour)
        try:
            if behaviour.status:
                raise Refused(behaviour.status, "told to fail")
            _admit(request)
            told = await answer(request)
        except Refused as error:
            return _error(request, error.status, str(error))
        except ValueError as error:
            invalid = 422 if request.url.path.startswith("/api/v3") else 400
            return _error(request, invalid, str(error))
        if request.method == "GET":
            return JSONResponse(told)
        if behaviour.cut:
            raise ConnectionResetError("told to cut the connection")
        return JSONResponse(told, status_code=201)

    return endpoint


def _admit(request: Request) -> None:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    wanted = "basic" if request.url.path.startswith("/rest/") else "bearer"
    if kind.lower() != wanted or not token:
        raise Refused(401, "Bad credentials")


async def github_issues(request: Request) -> Any:
    """`GET` lists what was updated since, pull requests included; `POST` creates one."""
    if request.headers.get("x-github-api-version", "2022-11-28") != "2022-11-28":
        raise Refused(400, "unsupported version")
    project = request.path_params["project"]
    if request.method == "POST":
        told = GitHubIssue.model_validate_json(await request.body())
        labels = told.labels if request.app.state.behaviour.pushes else []
        return _github(request, _create(request, GITHUB, project, told.title, told.body, labels))
    since = _seconds(request, "since")
    listed = [one for one in _of(request, GITHUB, project) if _updated(one) >= since]
    if request.query_params.get("state") != "all" or request.query_params.get("sort") != "created":
        raise Refused(422, "only open ones are listed by default")
    return [_github(request, one) for one in _page(request, listed[::-1], 30)]


async def github_comments(request: Request) -> Any:
    """`GET` lists those since, by ascending id; `POST` adds one."""
    issue = _issue(request, GITHUB, request.path_params["project"], request.path_params["number"])
    if request.method == "POST":
        told = GitHubComment.model_validate_json(await request.body())
        return _comment(request, issue, told.body)
    since = _seconds(request, "since")
    return _page(request, [one for one in issue.comments if one["at"] >= since], 30)


def _github(request: Request, issue: Issue) -> dict[str, Any]:
    url = f"{request.base_url}{issue.project}/issues/{issue.number}"
    told = {"number": issue.number, "html_url": url, "title": issue.title, "body": issue.body}
    is_pull = "pull" in issue.labels
    return {**told, "labels": issue.labels, **({"pull_request": {}} if is_pull else {})}


async def gitlab_issues(request: Request) -> Any:
    """`GET` lists what was created after, the newest first; `POST` creates one."""
    project = _gitlab_project(request)
    if request.method == "POST":
        told = GitLabIssue.model_validate_json(await request.body())
        labels = [label for label in told.labels.split(",") if label]
        made = _create(request, GITLAB, project, told.title, told.description, labels)
        return _gitlab(request, made)
    after = _seconds(request, "created_after")
    listed = [one for one in _of(request, GITLAB, project) if one.at >= after]
    return [_gitlab(request, one) for one in _page(request, listed[::-1], 20)]


async def gitlab_notes(request: Request) -> Any:
    """`GET` lists comments, the newest first; `POST` adds one."""
    issue = _issue(request, GITLAB, _gitlab_project(request), request.path_params["number"])
    if request.method == "POST":
        return _comment(request, issue, GitLabNote.model_validate_json(await request.body()).body)
    return _page(request, issue.comments[::-1], 20)


def _gitlab_project(request: Request) -> str:
    project: str = request.path_params["project"]
    if project.replace("/", "%2F") not in request.scope["raw_path"].decode():
        raise Refused(404, "404 Not Found")  # a path has to be encoded
    return project


def _gitlab(request: Request, issue: Issue) -> dict[str, Any]:
    url = f"{request.base_url}{issue.project}/-/issues/{issue.number}"
    return {"iid": issue.number, "web_url": url, "title": issue.title, "description": issue.body}


async def jira_search(request: Request) -> Any:
    """`GET /rest/api/3/search/jql`: without `fields` it tells ids alone."""
    match = _JQL.fullmatch(request.query_params.get("jql", ""))
    if not match:
        raise Refused(400, "Error in the JQL Query")
    project, label = match.groups()
    by = request.app.state.now() - request.app.state.behaviour.searchable_after_s
    found = [one for one in _of(request, JIRA, project) if label in one.labels and one.at <= by]
    shown = ("id", "key") if request.query_params.get("fields") else ("id",)
    issues = [{name: _jira(one)[name] for name in shown} for one in found]
    return {"issues": issues[: int(request.query_params.get("maxResults", 50))], "isLast": True}


async def jira_issue(request: Request) -> Any:
    """`POST /rest/api/3/issue`."""
    told = JiraIssue.model_validate_json(await request.body()).fields
    check(told.description)
    if any(" " in label for label in told.labels):
        raise Refused(400, "The label can't contain spaces.")
    project, labels = told.project["key"], told.labels
    return _jira(_create(request, JIRA, project, told.summary, told.description, labels))


async def jira_comments(request: Request) -> Any:
    """`GET` lists comments, the newest first; `POST` adds one."""
    project, _, number = request.path_params["key"].partition("-")
    issue = _issue(request, JIRA, project, int(number))
    if request.method == "POST":
        told = JiraComment.model_validate_json(await request.body())
        check(told.body)
        return _comment(request, issue, told.body)
    if request.query_params.get("orderBy") != "-created":
        raise Refused(400, "not known here: another order")
    return {"comments": issue.comments[::-1][: int(request.query_params["maxResults"])]}


def _jira(issue: Issue) -> dict[str, str]:
    return {"id": str(10_000 + issue.number), "key": f"{issue.project}-{issue.number}"}


def _of(request: Request, tracker: str, project: str) -> list[Issue]:
    issues: list[Issue] = request.app.state.issues
    return [one for one in issues if (one.tracker, one.project) == (tracker, project)]


def _issue(request: Request, tracker: str, project: str, number: int) -> Issue:
    for one in _of(request, tracker, project):
        if one.number == number:
            return one
    raise Refused(404, "Not Found")


def _create(
    request: Request, tracker: str, project: str, title: str, body: Any, labels: list[str]
) -> Issue:
    number = len(_of(request, tracker, project)) + 1
    issue = Issue(tracker, project, number, title, body, labels, request.app.state.now(), [])
    request.app.state.issues.append(issue)
    return issue


def _comment(request: Request, issue: Issue, body: Any) -> dict[str, Any]:
    comment = {"id": len(issue.comments) + 1, "body": body, "at": request.app.state.now()}
    issue.comments.append(comment)
    return comment


def _updated(issue: Issue) -> float:
    return max(issue.at, *(float(comment["at"]) for comment in issue.comments), 0.0)


def _seconds(request: Request, name: str) -> float:
    told = request.query_params.get(name)
    if told is None:
        return 0.0
    return datetime.strptime(told, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()


def _page(request: Request, listed: list[Any], usual: int) -> list[Any]:
    size = min(100, int(request.query_params.get("per_page", usual)))
    start = (int(request.query_params.get("page", 1)) - 1) * size
    return listed[start : start + size]


def _error(request: Request, status: int, reason: str) -> Response:
    behaviour: TrackerBehaviour = request.app.state.behaviour
    if behaviour.repeats_token:
        reason += f" for {request.headers.get('authorization')}"
    headers = {}
    if behaviour.retry_after_s is not None:
        headers["retry-after"] = str(behaviour.retry_after_s)
    if request.url.path.startswith("/rest/"):
        return JSONResponse({"errorMessages": [reason], "errors": {}}, status, headers)
    return JSONResponse({"message": reason}, status, headers)


async def seen(request: Request) -> Response:
    """`GET /_seen`: all issues with their comments, and what was asked."""
    state = request.app.state
    issues = [one._asdict() for one in state.issues]
    return JSONResponse({"issues": issues, "asked": state.asked})


if __name__ == "__main__":
    serve(build_app(), __doc__)

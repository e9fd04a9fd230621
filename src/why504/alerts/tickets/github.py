"""Issues of a repository on GitHub, or on a GitHub Enterprise Server.

Source: GitHub's REST API 2022-11-28, "Issues" and "Issue comments". A token needs write access to
issues; without push access GitHub drops the label, so nothing is looked for by label.
"""

from __future__ import annotations

from typing import Any, Final

from why504.alerts.tickets.markdown import bears, markdown
from why504.alerts.tickets.port import LABEL, Note, Ticket
from why504.alerts.tickets.rest import GONE, TIMEOUT_S, Api, earlier

_HEADERS: Final = {
    "accept": "application/vnd.github+json", "x-github-api-version": "2022-11-28",
}  # fmt: skip


class GitHub:
    """One repository."""

    settles_s = TIMEOUT_S + 5.0

    def __init__(self, url: str, repository: str, token: str) -> None:
        """Take where the API is (`https://api.github.com`), and `<owner>/<repository>`."""
        self.name = f"{url}/{repository}"
        self._api = Api(url, f"Bearer {token}", _HEADERS)
        self._issues = f"/repos/{repository}/issues"

    def open(self, note: Note) -> Ticket:
        """Return an issue; see `Tickets.open`."""
        told = self._known(note) or self._api.post(
            self._issues, {"title": note.title, "body": markdown(note), "labels": [LABEL]}
        )
        return Ticket(str(int(told["number"])), str(told["html_url"]))

    def comment(self, ref: str, note: Note) -> None:
        """Comment on an issue; see `Tickets.comment`."""
        path = f"{self._issues}/{ref}/comments"
        there = self._api.pages(path, refused=GONE, since=earlier(note.since_ns))
        if not any(bears(one["body"], note) for one in there):
            self._api.post(path, {"body": markdown(note)}, GONE)

    def _known(self, note: Note) -> Any:
        # Not the search: it learns of an issue later than this list does.
        listed = self._api.pages(
            self._issues,
            state="all",
            sort="created",
            direction="desc",
            since=earlier(note.since_ns),
        )
        known = [one for one in listed if "pull_request" not in one and bears(one["body"], note)]
        return known[-1] if known else None

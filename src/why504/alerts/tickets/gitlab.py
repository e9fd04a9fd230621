"""Issues of a project on GitLab, .com or one's own.

Source: GitLab's REST API v4, "Issues" and "Notes". A token needs the scope `api`; GitLab drops the
label of a guest, so nothing is looked for by label.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from why504.alerts.tickets.markdown import bears, markdown
from why504.alerts.tickets.port import LABEL, Note, Ticket
from why504.alerts.tickets.rest import GONE, TIMEOUT_S, Api, earlier


class GitLab:
    """One project."""

    settles_s = TIMEOUT_S + 5.0

    def __init__(self, url: str, project: str, token: str) -> None:
        """Take where GitLab is (`https://gitlab.com`), and `<group>/<project>`."""
        self.name = f"{url}/{project}"
        self._api = Api(f"{url}/api/v4", f"Bearer {token}")
        self._issues = f"/projects/{quote(project, safe='')}/issues"

    def open(self, note: Note) -> Ticket:
        """Return an issue; see `Tickets.open`."""
        told = self._known(note) or self._api.post(
            self._issues, {"title": note.title, "description": markdown(note), "labels": LABEL}
        )
        return Ticket(str(int(told["iid"])), str(told["web_url"]))

    def comment(self, ref: str, note: Note) -> None:
        """Comment on an issue; see `Tickets.comment`."""
        path = f"{self._issues}/{ref}/notes"
        there = self._api.pages(path, refused=GONE, sort="desc", order_by="created_at")
        if not any(bears(one["body"], note) for one in there):
            self._api.post(path, {"body": markdown(note)}, GONE)

    def _known(self, note: Note) -> Any:
        listed = self._api.pages(
            self._issues, scope="all", state="all", created_after=earlier(note.since_ns)
        )
        known = [one for one in listed if bears(one["description"], note)]
        return known[-1] if known else None

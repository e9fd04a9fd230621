"""Issues of a project in Jira Cloud, of type Task.

Source: Jira Cloud's REST API v3, "Issues", "Issue comments", "Issue search", and the Atlassian
Document Format, whose text nodes are read as they are. The search learns of an issue late ("from a
few seconds to minutes", "Search and reconcile"), so a repeated call waits.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any, Final
from urllib.parse import quote

from why504.alerts.tickets.port import LABEL, Note, Ticket
from why504.alerts.tickets.rest import GONE, Api

_API: Final = "/rest/api/3"
_NEWEST: Final = 100
"""So many comments are looked at for one that is there already."""


class Jira:
    """One project. The field Labels has to be on the project's screen for new issues."""

    settles_s = 300.0

    def __init__(self, url: str, project: str, user: str, token: str) -> None:
        """Take where Jira is (`https://x.atlassian.net`), a key, and the token's owner."""
        self.name = f"{url}/{project}"
        basic = b64encode(f"{user}:{token}".encode()).decode()
        self._url = url
        self._api = Api(url, f"Basic {basic}")
        self._project = project

    def open(self, note: Note) -> Ticket:
        """Return an issue; see `Tickets.open`."""
        label = note.mark.replace(":", "-")
        fields = {
            "project": {"key": self._project},
            "issuetype": {"name": "Task"},
            "summary": note.title,
            "description": document(note),
            "labels": [LABEL, label],
        }
        told = self._known(label) or self._api.post(f"{_API}/issue", {"fields": fields})
        key = str(told["key"])
        return Ticket(key, f"{self._url}/browse/{quote(key, safe='')}")

    def comment(self, ref: str, note: Note) -> None:
        """Comment on an issue; see `Tickets.comment`."""
        path = f"{_API}/issue/{quote(ref, safe='')}/comment"
        there = self._api.get(path, refused=GONE, orderBy="-created", maxResults=_NEWEST)
        if not any(_bears(one["body"], note) for one in there["comments"]):
            self._api.post(path, {"body": document(note)}, GONE)

    def _known(self, label: str) -> Any:
        jql = f'project = "{self._project}" AND labels = "{label}" ORDER BY created ASC'
        told = self._api.get(f"{_API}/search/jql", jql=jql, fields="summary", maxResults=1)
        return next(iter(told["issues"]), None)


def document(note: Note) -> dict[str, Any]:
    """Return a note in the Atlassian Document Format: its text, and its mark below."""
    text = {"type": "codeBlock", "content": [_text("\n".join(note.lines))]}
    mark = {"type": "paragraph", "content": [_text(note.mark)]}
    return {"type": "doc", "version": 1, "content": [text, mark]}


def _bears(body: dict[str, Any], note: Note) -> bool:
    """Return whether one paragraph is this note's mark; a stranger's text is in no paragraph."""
    return any(
        node["type"] == "paragraph"
        and [part.get("text") for part in node.get("content", [])] == [note.mark]
        for node in body["content"]
    )


def _text(told: str) -> dict[str, str]:
    return {"type": "text", "text": told}

"""What trackers take, by the same documentation as lab/standins/tickets.py; more is refused."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

_NODES: Final = {"doc": {"codeBlock", "paragraph"}, "codeBlock": {"text"}, "paragraph": {"text"}}
"""What of the Atlassian Document Format is known here, and what may be in it."""


class Refused(Exception):
    """A request that the documentation says is an error."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class GitHubIssue(BaseModel):
    """`POST /repos/{owner}/{repo}/issues`."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field(min_length=1, max_length=256)
    body: str = Field(default="", max_length=65_536)
    labels: list[str] = Field(default_factory=list)


class GitHubComment(BaseModel):
    """`POST /repos/{owner}/{repo}/issues/{number}/comments`."""

    model_config = ConfigDict(extra="forbid")

    body: str = Field(min_length=1, max_length=65_536)


class GitLabIssue(BaseModel):
    """`POST /projects/{id}/issues`."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field(min_length=1, max_length=255)
    description: str = Field(default="", max_length=1_048_576)
    labels: str = ""


class GitLabNote(BaseModel):
    """`POST /projects/{id}/issues/{iid}/notes`."""

    model_config = ConfigDict(extra="forbid")

    body: str = Field(min_length=1, max_length=1_000_000)


class JiraFields(BaseModel):
    """Fields of an issue that are on the screen for new ones."""

    model_config = ConfigDict(extra="forbid")

    project: dict[str, str]
    issuetype: dict[str, str]
    summary: str = Field(min_length=1, max_length=255, pattern=r"^[^\r\n]*$")
    description: dict[str, Any]
    labels: list[str] = Field(default_factory=list)


class JiraIssue(BaseModel):
    """`POST /rest/api/3/issue`."""

    model_config = ConfigDict(extra="forbid")

    fields: JiraFields


class JiraComment(BaseModel):
    """`POST /rest/api/3/issue/{key}/comment`."""

    model_config = ConfigDict(extra="forbid")

    body: dict[str, Any]


def check(node: dict[str, Any], inside: str = "") -> None:
    """See to it that a document is of the Atlassian Document Format.

    Raises:
        Refused: it is not, or has what is not known here.
    """
    kind = node.get("type", "")
    if kind == "text" and inside:
        if set(node) != {"type", "text"} or not node["text"] or not isinstance(node["text"], str):
            raise Refused(400, "INVALID_INPUT")
        return
    whole = {"type", "content", "version"} if kind == "doc" else {"type", "content"}
    if set(node) != whole or kind not in (_NODES[inside] if inside else {"doc"}):
        raise Refused(400, "INVALID_INPUT")
    for one in node["content"]:
        if one.get("type") not in _NODES[kind]:
            raise Refused(400, "INVALID_INPUT")
        check(one, kind)

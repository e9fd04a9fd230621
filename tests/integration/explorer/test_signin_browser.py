"""Who may look at an explorer that others can reach, with a provider that signs people in."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from lab.stack.ports import free_port
from lab.stack.process import Program, start
from lab.stack.ready import answers
from lab.standins.oidc import CLIENT, CLIENT_SECRET
from tests.integration.explorer import stored_hangs

pytestmark = [pytest.mark.browser, pytest.mark.slow]

EXPLORER = Path(__file__).parents[3] / "dashboards" / "explorer.py"
EVIDENCE = "/v1/conversations/end"
READY_S = 60.0
DRAWN_MS = 30_000
SECRETS = """
[auth]
redirect_uri = "http://127.0.0.1:{port}/oauth2callback"
cookie_secret = "0123456789abcdef0123456789abcdef"
client_id = "{client}"
client_secret = "{secret}"
server_metadata_url = "http://127.0.0.1:{provider}/.well-known/openid-configuration"
"""


@dataclass(frozen=True)
class Exposed:
    """An explorer that listens on all addresses, and the provider that it asks."""

    url: str
    provider: str

    def signs_in(self, **who: object) -> None:
        """Say who signs in next, and what is wrong with it."""
        told = json.dumps({"email_verified": True, "forged": False, **who}).encode()
        asked = urllib.request.Request(f"{self.provider}/_control", told, method="PUT")
        urllib.request.urlopen(asked, timeout=5).close()


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exposed]:
    """Both programs, in a folder that has the explorer's secrets."""
    folder = tmp_path_factory.mktemp("signin")
    stored_hangs.write(folder / "store", stored_hangs.pool_hang())
    port, provider = free_port(), free_port()
    secrets = SECRETS.format(port=port, provider=provider, client=CLIENT, secret=CLIENT_SECRET)
    (folder / ".streamlit").mkdir()
    (folder / ".streamlit" / "secrets.toml").write_text(secrets)
    standin = [sys.executable, "-m", "lab.standins.oidc", "--port", str(provider)]
    argv = [sys.executable, "-m", "streamlit", "run", str(EXPLORER), "--server.port", str(port)]
    argv += ["--server.address", "0.0.0.0", "--", "--store", str(folder / "store")]
    allowed = {"WHY504_EXPLORER_ALLOW": "dev@example.com, @example.org"}
    with ExitStack() as running:
        for program, address in (
            (
                Program(standin, "provider", folder, {"PYTHONPATH": str(EXPLORER.parents[1])}),
                f"{provider}/keys",
            ),
            (Program(argv, "explorer", folder, allowed), f"{port}/_stcore/health"),
        ):
            ready = answers(f"http://127.0.0.1:{address}")
            running.callback(start(program, ready=ready, timeout_s=READY_S).stop)
        yield Exposed(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{provider}")


@dataclass
class Visitor:
    """One browser without cookies, and everything that it was told."""

    page: Page
    told: list[bytes] = field(default_factory=list)

    def saw_evidence(self) -> bool:
        return any(EVIDENCE.encode() in frame for frame in self.told)

    def sign_in(self, url: str, wanted: str = "incidents") -> None:
        self.page.goto(f"{url}/{wanted}", wait_until="domcontentloaded")
        self.page.get_by_role("button", name="Sign in").click(timeout=DRAWN_MS)

    def reads(self, words: str) -> None:
        self.page.get_by_text(words).first.wait_for(timeout=DRAWN_MS)


@pytest.fixture
def visitor(chromium: Browser) -> Iterator[Visitor]:
    context = chromium.new_context()
    visitor = Visitor(context.new_page())

    def heard(frame: str | bytes) -> None:
        visitor.told.append(frame if isinstance(frame, bytes) else frame.encode())

    visitor.page.on("websocket", lambda socket: socket.on("framereceived", heard))
    yield visitor
    context.close()


def test_a_card_leads_through_the_sign_in_to_its_incident(exposed: Exposed, visitor: Visitor):
    exposed.signs_in(email="dev@example.com")

    visitor.sign_in(exposed.url, "?incident=gone")

    visitor.page.wait_for_url(lambda at: "/incident?" in at and "incident=gone" in at)
    visitor.reads("dev@example.com")
    visitor.reads("The incident in this address is not in the store")


def test_whoever_is_listed_signs_in_and_looks_until_they_sign_out(
    exposed: Exposed, visitor: Visitor
):
    exposed.signs_in(email="Dev@Example.com")
    visitor.sign_in(exposed.url)
    visitor.reads("Dev@Example.com")
    visitor.page.goto(f"{exposed.url}/incidents", wait_until="domcontentloaded")
    visitor.reads(EVIDENCE)
    assert visitor.saw_evidence()

    visitor.page.get_by_role("button", name="Sign out").click()
    visitor.page.get_by_role("button", name="Sign in").wait_for(timeout=DRAWN_MS)
    visitor.told.clear()
    visitor.page.goto(f"{exposed.url}/incidents", wait_until="domcontentloaded")

    visitor.page.get_by_role("button", name="Sign in").wait_for(timeout=DRAWN_MS)
    assert not visitor.saw_evidence()


@pytest.mark.parametrize(
    ("who", "reason"),
    [
        ({"email": "mallory@evil.example"}, "not among those who may look"),
        ({"email": "dev@example.org", "email_verified": False}, "has not verified"),
    ],
)
def test_whoever_is_not_listed_is_told_so_and_nothing_else(
    exposed: Exposed, visitor: Visitor, who: dict[str, object], reason: str
):
    exposed.signs_in(**who)
    visitor.sign_in(exposed.url)

    visitor.reads(reason)
    visitor.page.goto(f"{exposed.url}/incident?incident=1", wait_until="domcontentloaded")
    visitor.reads(reason)
    assert not visitor.saw_evidence()


def test_a_token_that_the_provider_did_not_sign_is_no_sign_in(exposed: Exposed, visitor: Visitor):
    exposed.signs_in(email="dev@example.com", forged=True)
    visitor.sign_in(exposed.url)
    visitor.page.wait_for_url(f"{exposed.url}/incidents", timeout=DRAWN_MS)

    visitor.page.get_by_role("button", name="Sign in").wait_for(timeout=DRAWN_MS)
    assert not visitor.saw_evidence()

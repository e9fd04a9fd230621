"""The webhook's address is a secret, and each answer of Google Chat means one thing."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Iterator

import pytest
import uvicorn

from lab.stack.ports import free_port
from lab.standins.googlechat import build_app
from why504.alerts.rooms.chat import Address, GoogleChat
from why504.config import AlertSettings
from why504.errors import ChatBusy, ChatForbidden, ChatRefused, ConfigError

SECRET = "s3cr3t-t0ken"
LOCAL = ("127.0.0.1",)


@pytest.fixture(scope="module")
def chat() -> Iterator[tuple[object, str]]:
    app = build_app()
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
    yield app.state, f"http://127.0.0.1:{port}/v1/spaces/A/messages?key=k&token={SECRET}"
    server.should_exit = True
    thread.join(5)


@pytest.fixture
def room(chat) -> Iterator[GoogleChat]:
    state, url = chat
    state.behaviour = type(state.behaviour)(apart_s=0.0)
    state.messages.clear()
    with GoogleChat(Address(url, LOCAL)) as room:
        yield room


def test_a_message_is_there_once_however_often_it_is_sent(chat, room):
    for _ in range(3):
        room.send('{"text": "hello", "thread": {"threadKey": "t"}}', "id-1")

    (message,) = chat[0].messages
    assert message["thread"]["name"] == "spaces/A/threads/t"


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_what_may_pass_is_worth_another_try(chat, room, status):
    chat[0].behaviour.status = status

    with pytest.raises(ChatBusy, match=str(status)) as raised:
        room.send('{"text": "hello"}', f"id-{status}")
    # What a revoked webhook is answered, and may be nothing.
    assert isinstance(raised.value, ChatForbidden) == (status in (401, 403, 404))


def test_a_message_that_google_does_not_understand_is_refused(room):
    with pytest.raises(ChatRefused, match="INVALID_ARGUMENT"):
        room.send('{"cards": []}', "id-2")


def test_a_message_too_soon_is_for_later(chat, room):
    chat[0].behaviour.apart_s = 5.0
    chat[0].last_s.clear()
    room.send('{"text": "1"}', "id-3")

    with pytest.raises(ChatBusy, match="RESOURCE_EXHAUSTED"):
        room.send('{"text": "2"}', "id-4")


def test_an_answer_that_is_cut_off_may_be_sent_again_and_is_there_once(chat, room):
    chat[0].behaviour.cut = True
    with pytest.raises(ChatBusy):
        room.send('{"text": "cut"}', "id-5")

    chat[0].behaviour.cut = False
    room.send('{"text": "cut"}', "id-5")
    assert len(chat[0].messages) == 1


def test_mishaps_befall_their_share_of_the_messages_and_the_same_ones_again(chat, room):
    def befallen(name: str) -> list[bool]:
        chat[0].asked = 0
        return [fails(f"{name}-{number}") for number in range(40)]

    def fails(request_id: str) -> bool:
        try:
            room.send('{"text": "hello"}', request_id)
        except ChatBusy:
            return True
        return False

    chat[0].behaviour.mishaps = {"cut": 0.3, "503": 0.2}
    first = befallen("a")

    assert 10 < sum(first) < 30
    assert befallen("b") == first
    assert len(chat[0].messages) > 80 - 2 * sum(first)  # those that were cut off are there


def test_no_error_log_or_repr_has_the_secret(chat, room, caplog):
    caplog.set_level(logging.DEBUG)
    address = Address(chat[1], LOCAL)
    chat[0].behaviour.status = 500
    settings = AlertSettings(
        webhook=chat[1], second_webhook=chat[1], canary_webhook=chat[1], ping_url=chat[1]
    )
    told = [repr(address), str(address), repr(vars(room)), repr(settings)]
    for url in (chat[1], f"http://127.0.0.1:1/?token={SECRET}"):
        with GoogleChat(Address(url, LOCAL)) as one:
            try:
                one.send("{}", "id-6")
            except ChatBusy as error:
                told += [str(error), "".join(traceback.format_exception(error))]
    told += [
        record.getMessage() for record in caplog.records if not record.name.startswith("uvicorn")
    ]

    assert len(told) > 7
    assert not any(SECRET in text for text in told)


@pytest.mark.parametrize(
    "url",
    ["http://chat.googleapis.com/v1/spaces/A/messages?token=s", "https://evil.example/?token=s",
     "ftp://chat.googleapis.com/", "http://127.0.0.1/?token=s", "://", ""],
)  # fmt: skip
def test_an_address_that_is_not_google_chats_is_refused_without_repeating_it(url):
    with pytest.raises(ConfigError) as raised:
        Address(url)

    assert "token" not in str(raised.value)


def test_settings_say_what_is_missing(tmp_path):
    with pytest.raises(ConfigError, match="WHY504_ALERTS_WEBHOOK_FILE"):
        AlertSettings.from_env({}).secret()
    with pytest.raises(ConfigError, match="can't be read"):
        AlertSettings.from_env({"WHY504_ALERTS_WEBHOOK_FILE": str(tmp_path / "none")}).secret()
    with pytest.raises(ConfigError, match="en, vi"):
        AlertSettings.from_env({"WHY504_ALERTS_LANGUAGE": "fr"})
    with pytest.raises(ConfigError, match="MENTION"):
        AlertSettings.from_env({"WHY504_ALERTS_MENTION": "users/all> <x"})


def test_a_secret_may_be_in_a_file(tmp_path):
    names = {name: f"WHY504_ALERTS_{name}WEBHOOK_FILE" for name in ("", "SECOND_", "CANARY_")}
    for name in names:
        (tmp_path / name.lower()).mkdir(exist_ok=True)
        (tmp_path / name.lower() / "hook").write_text(f"https://chat/{name}\n", encoding="utf-8")
    env = {names[name]: str(tmp_path / name.lower() / "hook") for name in names}
    settings = AlertSettings.from_env(env)

    told = [settings.secret(), settings.second_secret(), settings.canary_secret()]
    assert told == ["https://chat/", "https://chat/SECOND_", "https://chat/CANARY_"]


def test_a_file_that_should_have_a_secret_and_has_none_is_no_setting_that_is_missing(tmp_path):
    (tmp_path / "hook").write_text("\n", encoding="utf-8")
    settings = AlertSettings.from_env({"WHY504_ALERTS_SECOND_WEBHOOK_FILE": str(tmp_path / "hook")})

    with pytest.raises(ConfigError, match="WHY504_ALERTS_SECOND_WEBHOOK_FILE"):
        settings.second_secret()
    assert settings.canary_secret() == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [("PUBLIC_URL", "http://a.example"), ("PUBLIC_URL", "https://u:p@a.example"),
     ("PUBLIC_URL", "https://a.example/?x=1"), ("PUBLIC_URL", "a.example"),
     ("ESCALATE_AFTER_S", "0"), ("ESCALATE_AFTER_S", "soon")],
)  # fmt: skip
def test_a_setting_that_makes_no_sense_is_said_so(name, value):
    with pytest.raises(ConfigError, match=name):
        AlertSettings.from_env({f"WHY504_ALERTS_{name}": value})


def test_buttons_may_lead_to_the_router_itself():
    settings = AlertSettings(public_url="https://alerts.example.com:8443/why504")

    assert settings.hosts() == {"alerts.example.com"}

import pytest

from why504.errors import ConfigError
from why504.watch.rabbitmq import place_of


@pytest.mark.parametrize(
    ("url", "base_url", "user", "password"),
    [
        ("http://mq:8080", "http://mq:8080", "guest", "guest"),
        ("http://mq", "http://mq:15672", "guest", "guest"),
        ("https://ops@mq.example/", "https://mq.example:443", "ops", "guest"),
        ("http://ops:p%40ss@[::1]:15672", "http://[::1]:15672", "ops", "p@ss"),
    ],
)
def test_an_address_says_whom_to_ask_and_as_whom(url, base_url, user, password):
    place = place_of(url)

    assert (place.base_url, place.user, place.password) == (base_url, user, password)


def test_the_password_may_come_from_elsewhere():
    assert place_of("http://ops@mq", "secret").password == "secret"
    assert place_of("http://ops:own@mq", "secret").password == "own"


def test_a_password_is_not_part_of_what_is_printed_of_a_place():
    assert "secret" not in repr(place_of("http://ops:secret@mq"))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mq:15672",
        "amqp://ops:secret@mq:5672/%2F",
        "http://",
        "http://ops:secret@mq:port",
        "http://ops:secret@mq:99999",
        "http://ops:secret@[mq",
    ],
)
def test_what_is_no_address_is_refused_without_repeating_its_password(url):
    with pytest.raises(ConfigError, match="http://user@host:15672") as refused:
        place_of(url)

    assert "secret" not in str(refused.value)
    assert refused.value.__suppress_context__

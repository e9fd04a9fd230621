from __future__ import annotations

import time

import pytest

from service.infrastructure.llm.redaction import SECRETS, redact

PLANTED = {
    "Write to ann.lee+work@mail.example.co.uk, please": "Write to [email], please",
    "mình là nguyễn@ví-dụ.vn nhé": "mình là [email] nhé",
    "call 0912 345 678 now": "call [phone] now",
    "gọi 0912.345.678 nhé": "gọi [phone] nhé",
    "(0243) 825 1234": "([phone]",
    "số 0084912345678": "số [phone]",
    "+84 (0)91-234-5678!": "[phone]!",
    "my number is +49 30 901820-0.": "my number is [phone].",
    "ring 415-555-0132 today": "ring [phone] today",
    "card 4111 1111 1111 1111, cvv": "card [card], cvv",
    "4111111111111111": "[card]",
    "5500-0000-0000-0004 12": "[card] 12",
    "pay to DE89 3704 0044 0532 0130 00 from mine": "pay to [iban] from mine",
    "gb82west12345698765432": "[iban]",
    "key gsk_aB3dE5fG7hI9jK1lM3nO5": "key [api key]",
    "use sk-proj-abcdefghij0123456789": "use [api key]",
    "AKIAIOSFODNN7EXAMPLE": "[api key]",
    "token ghp_abcdefghijklmnopqrstuvwxyz0123456789": "token [api key]",
    "Authorization: Bearer abcdefghijklmnop.qrst": "Authorization: [bearer]",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmN": "[jwt]",
    "postgresql://ann:hunter2@db.example.org:5432/x ok": "[url with credentials] ok",
    "my password is hunter2!": "my [secret]",
    'config: "api_key": "abc"': 'config: "[secret]',
    "mật khẩu là matkhau123 đó": "[secret] đó",
    "from 192.168.7.31.": "from [ip].",
    "from 2001:db8::8a2e:370:7334 it came": "from [ip] it came",
    "căn cước 079123456789": "căn cước [id number]",
    "ssn 123-45-6789": "ssn [id number]",
    "see data:image/png;base64,iVBORw0KGgo= here": "see [data] here",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----\nbye": (
        "[private key]\nbye"
    ),
    "-----BEGIN PRIVATE KEY-----\nMIIE cut off": "[private key]",
}
INNOCENT = (
    "I am 34 and we met on 2024-10-12 at 18:30:15, for 1,250.50 dollars.",
    "Order 1234567890123456 was late.",
    "Version 3.11.7 or 10.4, ratio 16:9, room 101, since 12.03.2021.",
    "sk- is a prefix, @ is a sign, the secret of joy, pass me the key",
    "It is a basic need. My token of love.",
    "Con gái mình 7 tuổi, học lớp 2 ở 123 Lê Lợi.",
    "300.400.500.600 is no address",
    "",
)


@pytest.mark.parametrize(("text", "told"), PLANTED.items(), ids=range(len(PLANTED)))
def test_a_secret_is_replaced_by_its_kind_and_the_rest_is_left(text, told):
    assert redact(text) == told


@pytest.mark.parametrize("text", INNOCENT)
def test_what_only_resembles_a_secret_is_left(text):
    assert redact(text) == text


@pytest.mark.parametrize("text", PLANTED)
def test_what_was_redacted_stays_as_it_is(text):
    assert redact(redact(text)) == redact(text)


def test_every_kind_of_secret_has_an_example():
    assert {secret.name for secret in SECRETS} == {
        secret.name for secret in SECRETS if any(f"[{secret.name}]" in t for t in PLANTED.values())
    }


@pytest.mark.parametrize(
    "piece",
    [
        *("1 ", "1234567890", "a", "a.", "a:", ":", "a@", "AB12 ", "sk-", "http://a@", "+1(((("),
        *("-----BEGIN PRIVATE KEY-----", "eyJaaaaaaaaa", "password ", "data:a/;base64,", "f:f:"),
    ],
)
def test_no_text_makes_it_slow(piece):
    text = (piece * 24_000)[:24_000]

    started_s = time.process_time()
    redact(text)

    assert time.process_time() - started_s < 1

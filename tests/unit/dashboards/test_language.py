"""Every word is there in both languages, with the same holes."""

from __future__ import annotations

import importlib
import pkgutil
import re
import string
from collections.abc import Iterator
from typing import Any

import pytest

from dashboards import words
from dashboards.language import ENGLISH, VIETNAMESE, Said, Say, chosen

MARKS = set("ăâđêôơưàáạảãằắặẳẵầấậẩẫèéẹẻẽềếệểễìíịỉĩòóọỏõồốộổỗờớợởỡùúụủũừứựửữỳýỵỷỹ")


def said() -> Iterator[tuple[str, Said]]:
    for module in pkgutil.iter_modules(words.__path__):
        told = vars(importlib.import_module(f"dashboards.words.{module.name}"))
        for name, value in told.items():
            yield from _in(f"{module.name}.{name}", value)


def _in(name: str, value: Any) -> Iterator[tuple[str, Said]]:
    if isinstance(value, Said):
        yield name, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _in(f"{name}[{key}]", inner)
    elif isinstance(value, tuple | list):
        for number, inner in enumerate(value):
            yield from _in(f"{name}[{number}]", inner)


ALL = dict(said())


def holes(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_there_are_words():
    assert len(ALL) > 100


@pytest.mark.parametrize("name", ALL)
def test_both_languages_say_something_with_the_same_holes(name: str):
    english, vietnamese = ALL[name]

    assert english.strip()
    assert vietnamese.strip()
    assert holes(english) == holes(vietnamese)
    assert not MARKS & set(english.lower())


def test_vietnamese_is_vietnamese():
    bare = {name: re.sub(r"[{][^}]*[}]|[^\w ]", "", text.en) for name, text in ALL.items()}
    long = [text for name, text in ALL.items() if len(bare[name].split()) > 3]

    assert [text for text in long if not MARKS & set(text.vi.lower())] == []


@pytest.mark.parametrize(
    ("asked", "locale", "language"),
    [
        ("", "vi-VN", VIETNAMESE),
        ("", "vi", VIETNAMESE),
        ("", "en-US", ENGLISH),
        ("", "fr-FR", ENGLISH),
        ("", "", ENGLISH),
        ("en", "vi-VN", ENGLISH),
        ("vi", "en-US", VIETNAMESE),
        ("<script>", "en-US", ENGLISH),
    ],
)
def test_the_address_goes_before_the_browser(asked: str, locale: str, language: str):
    assert chosen(asked, locale) == language


def test_holes_are_filled_as_they_are():
    assert Say()(Said("{who} waits", "{who} chờ"), who="{x} <b>") == "{x} <b> waits"
    assert Say(VIETNAMESE)(Said("100 %", "100 % {")) == "100 % {"

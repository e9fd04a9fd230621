from __future__ import annotations

from lab.standins.roompage import page


def message(text: str, thread: str = "t", *widgets: dict) -> dict:
    card = {"card": {"header": {"title": "🔴 P0", "subtitle": "shop"},
                     "sections": [{"widgets": list(widgets)}]}}  # fmt: skip
    return {"text": text, "thread": {"name": thread}, "cardsV2": [card], "at": 0.0}


def test_a_mention_is_drawn_and_all_else_in_a_message_is_text():
    shown = page([message("<users/all> P0 <script>alert(1)</script>")])

    assert '<span class="mention">@users/all</span>' in shown
    assert "<script>" not in shown


def test_a_card_s_text_shows_its_breaks_and_what_was_escaped_as_it_was_written():
    shown = page([message("", "t", {"textParagraph": {"text": "a<br>b &lt;b&gt; <img src=x>"}})])

    assert "a<br>b &lt;b&gt; &lt;img src=x&gt;" in shown


def test_replies_are_with_what_they_reply_to():
    shown = page([message("first", "a"), message("other", "b"), message("reply", "a")])

    assert shown.index("first") < shown.index("reply") < shown.index("other")


def test_buttons_lead_where_they_say():
    link = {"text": "Runbook", "onClick": {"openLink": {"url": 'https://x/?a="b&c'}}}

    shown = page([message("", "t", {"buttonList": {"buttons": [link]}})])

    assert 'href="https://x/?a=&quot;b&amp;c">Runbook</a>' in shown

"""What cards say, in English and in Vietnamese: a table, so that a language is one column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ENGLISH: Final = "en"
VIETNAMESE: Final = "vi"

WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "resolved": {ENGLISH: "resolved", VIETNAMESE: "đã hết"},
    "firing": {ENGLISH: "firing", VIETNAMESE: "đang xảy ra"},
    "since": {ENGLISH: "Since", VIETNAMESE: "Từ lúc"},
    "lasted": {ENGLISH: "Lasted", VIETNAMESE: "Kéo dài"},
    "route": {ENGLISH: "Route", VIETNAMESE: "Đường dẫn"},
    "cause": {ENGLISH: "Cause", VIETNAMESE: "Nguyên nhân"},
    "timed_out": {
        ENGLISH: "{number} requests timed out",
        VIETNAMESE: "{number} yêu cầu đã quá thời gian",
    },
    "over": {
        ENGLISH: "over, lasted {seconds} s",
        VIETNAMESE: "đã kết thúc, kéo dài {seconds} s",
    },
    "marks": {ENGLISH: "Fingerprints", VIETNAMESE: "Mã cảnh báo"},
    "more": {ENGLISH: "and {number} more", VIETNAMESE: "và {number} mục nữa"},
    "storm": {
        ENGLISH: "{alerts} alerts in {incidents} services",
        VIETNAMESE: "{alerts} cảnh báo ở {incidents} dịch vụ",
    },
    "missed": {
        ENGLISH: "{alerts} alerts came and went while this room could not be reached",
        VIETNAMESE: "{alerts} cảnh báo đã đến và đi khi không gửi được vào phòng này",
    },
    "digest": {
        ENGLISH: "P2 digest: {alerts} alerts in the last hour",
        VIETNAMESE: "Tổng hợp P2: {alerts} cảnh báo trong giờ qua",
    },
    "open_incident": {ENGLISH: "Open the incident", VIETNAMESE: "Mở sự cố"},
    "acknowledge": {ENGLISH: "Acknowledge", VIETNAMESE: "Xác nhận"},
    "acknowledged_by": {ENGLISH: "Acknowledged by {name}", VIETNAMESE: "{name} đã xác nhận"},
    "not_acknowledged": {ENGLISH: "Not acknowledged yet", VIETNAMESE: "Chưa ai xác nhận"},
    "somebody": {ENGLISH: "somebody", VIETNAMESE: "ai đó"},
    "incidents": {ENGLISH: "{number} incidents", VIETNAMESE: "{number} sự cố"},
    "elsewhere": {
        ENGLISH: "the first room did not get this within a minute",
        VIETNAMESE: "phòng chính không nhận được tin này trong một phút",
    },
    "unanswered": {
        ENGLISH: "nobody acknowledged this for {seconds} s",
        VIETNAMESE: "{seconds} s rồi chưa ai xác nhận",
    },
    "canary": {
        ENGLISH: "why504: this webhook works, {hour} UTC",
        VIETNAMESE: "why504: webhook này hoạt động, {hour} UTC",
    },
    "your_name": {ENGLISH: "Your name (optional)", VIETNAMESE: "Tên của bạn (không bắt buộc)"},
    "link_over": {
        ENGLISH: "This link is wrong, or older than 7 days. Open the newest card of the incident"
        " in the room: its button leads here by a link that works.",
        VIETNAMESE: "Liên kết này sai hoặc đã quá 7 ngày. Hãy mở thẻ mới nhất của sự cố trong"
        " phòng: nút ở đó có liên kết dùng được.",
    },
    "not_kept": {
        ENGLISH: "That could not be kept. Try again in a minute.",
        VIETNAMESE: "Không lưu được. Hãy thử lại sau một phút.",
    },
    "dashboard": {ENGLISH: "Dashboard", VIETNAMESE: "Bảng theo dõi"},
    "runbook": {ENGLISH: "Runbook", VIETNAMESE: "Hướng dẫn xử lý"},
    "ticket": {ENGLISH: "Ticket", VIETNAMESE: "Phiếu việc"},
    "silence": {ENGLISH: "Silence", VIETNAMESE: "Tắt cảnh báo"},
}
"""Key -> language -> phrase; fields in braces are filled in."""


def word(key: str, language: str, **fields: object) -> str:
    """Return a phrase in a language that `WORDS` has."""
    return WORDS[key][language].format(**fields)

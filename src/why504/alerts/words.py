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
    "over": {
        ENGLISH: "over, lasted {seconds} s",
        VIETNAMESE: "đã kết thúc, kéo dài {seconds} s",
    },
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
    "dashboard": {ENGLISH: "Dashboard", VIETNAMESE: "Bảng theo dõi"},
    "runbook": {ENGLISH: "Runbook", VIETNAMESE: "Hướng dẫn xử lý"},
    "ticket": {ENGLISH: "Ticket", VIETNAMESE: "Phiếu việc"},
    "silence": {ENGLISH: "Silence", VIETNAMESE: "Tắt cảnh báo"},
}
"""Key -> language -> phrase; fields in braces are filled in."""


def word(key: str, language: str, **fields: object) -> str:
    """Return a phrase in a language that `WORDS` has."""
    return WORDS[key][language].format(**fields)

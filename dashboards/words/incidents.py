"""Words of the list of incidents."""

from __future__ import annotations

from typing import Final

from dashboards.language import Said

FOUND = Said(
    "Bursts of requests that were given up on, latest first. Times are {zone}.",
    "Các đợt yêu cầu bị bỏ dở, mới nhất trước. Giờ theo {zone}.",
)
WHEN = Said("When", "Khi nào")
CAUSE = Said("Cause", "Nguyên nhân")
ROUTE = Said("Route contains", "Đường dẫn có chứa")
STATUS = Said("Status", "Tình trạng")
LEVEL = Said("Alert", "Mức cảnh báo")
ANY = Said("any", "tất cả")
PERIODS: Final = {
    "all": Said("all that is stored", "tất cả đã lưu"),
    "1h": Said("last hour", "một giờ qua"),
    "24h": Said("last 24 hours", "24 giờ qua"),
    "7d": Said("last 7 days", "7 ngày qua"),
}
STATUSES: Final = {
    "any": ANY,
    "on": Said("going on", "đang diễn ra"),
    "over": Said("over", "đã kết thúc"),
}
NONE_LEFT = Said(
    "No incident matches these filters. Widen them, or open this page anew.",
    "Không có sự cố nào khớp bộ lọc. Hãy nới rộng bộ lọc, hoặc mở lại trang.",
)
OPEN = Said("Open", "Mở")
FACTS = Said("{count:,} × 504 in {length} · {routes}", "{count:,} × 504 trong {length} · {routes}")
PEOPLE = Said(" · {people:,} users", " · {people:,} người dùng")
CONFIDENCE = Said("confidence {share}", "độ tin cậy {share}")
UNKNOWN = Said("cause not known", "chưa rõ nguyên nhân")
MORE = Said(
    "The latest {shown} of {count}. Narrow the filters to see others.",
    "{shown} sự cố mới nhất trong {count}. Hãy thu hẹp bộ lọc để xem các sự cố khác.",
)
CHART = Said(
    "Incidents over time: each bar is one, from its first to its last 504, as high as it had 504s",
    "Sự cố theo thời gian: mỗi thanh là một sự cố, từ lỗi 504 đầu tiên đến cuối cùng, cao theo số "
    "lỗi 504",
)
COUNT = Said("504s", "số lỗi 504")
BEGAN = Said("began", "bắt đầu")
LASTED = Said("lasted", "kéo dài")

"""Words of the tables: of incidents and of 504s."""

from __future__ import annotations

from typing import Final

from dashboards.language import Said

VICTIMS: Final = {
    "time": Said("Time", "Thời gian"),
    "route": Said("Route", "Đường dẫn"),
    "blocked_in": Said("Blocked in", "Bị chặn tại"),
    "held_by": Said("Held by", "Bên giữ"),
    "leaf": Said("Comes down to", "Rốt cuộc là"),
    "reached": Said("Reached the app", "Đã đến ứng dụng"),
    "after": Said("Gave up after", "Bỏ cuộc sau"),
    "trace": Said("Trace", "Trace"),
}
NOBODY = Said("nobody seen", "không thấy ai")
YES = Said("yes", "có")
NO = Said("no", "không")
LOST = Said("{length} lost", "mất {length}")
MORE = Said("… and {number} more", "… và {number} mục nữa")
MORE_ROUTES = Said("{routes} and {number} more", "{routes} và {number} đường dẫn khác")
MOSTLY = Said(
    "{number} of the 504s lost most of their time here",
    "{number} lỗi 504 mất phần lớn thời gian ở đây",
)
WHAT = Said("what", "việc")
KIND = Said("kind", "loại")
LOST_TIME = Said("lost", "bị mất")
SHARE_OF = Said("of all", "trên tổng số")

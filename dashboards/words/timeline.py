"""Words of the timeline on the incident page."""

from __future__ import annotations

from typing import Final

from dashboards.language import Said

TITLE = Said("What happened when", "Diễn biến theo thời gian")
READ = Said(
    "Shaded: the incident. Dotted ground: nobody told. Dashed line: the limit. Point at a row, or "
    "tap it, for its figures.",
    "Vùng tô màu: sự cố. Nền chấm chấm: không có dữ liệu. Đường gạch: giới hạn. Trỏ hoặc chạm vào "
    "một hàng để xem số liệu.",
)
SHADE_READ = Said(
    "The shade reaches from the start of the first request that got a 504 to the last 504. Times "
    "are those of your browser. Where nobody told of a time, it may have been anything: that is "
    "not the same as zero.",
    "Vùng tô màu kéo dài từ lúc bắt đầu của yêu cầu đầu tiên bị 504 đến lỗi 504 cuối cùng. Giờ "
    "theo trình duyệt của bạn. Khoảng không có dữ liệu có thể là bất cứ giá trị nào, khác với "
    "giá trị không.",
)
POOLS_READ = Said(
    "Connections and threads count once they were kept for over 0.1 s or somebody waited for one: "
    "a row at zero says that none was kept for long, not that none was used.",
    "Kết nối và luồng chỉ được tính khi bị giữ quá 0,1 giây hoặc có yêu cầu phải chờ: một hàng ở "
    "mức không nghĩa là không cái nào bị giữ lâu, không phải là không cái nào được dùng.",
)
OPEN_READ = Said(
    "Requests in flight: a gateway tells of a request once it is over, so of the last ones nobody "
    "knows yet.",
    "Yêu cầu đang xử lý: gateway chỉ ghi lại một yêu cầu khi nó đã kết thúc, nên chưa ai biết về "
    "những yêu cầu cuối.",
)
SAMPLED = Said(
    "There was too much to read all of it: the figures are estimates from a sample.",
    "Dữ liệu quá nhiều để đọc hết: các con số được ước lượng từ một mẫu.",
)
MEASURED = Said(
    "What {source} has is shown as it counts and measures all of it, now and then; other rows are "
    "estimates from a sample.",
    "Những gì {source} có được hiển thị theo số đếm và số đo của toàn bộ, ghi theo từng khoảng; "
    "các hàng khác được ước lượng từ một mẫu.",
)
ALT = Said(
    "Rows of figures on one time axis: 504s per second, requests and connections, blocked event "
    "loops and failed calls before, during and after the incident.",
    "Các hàng số liệu trên cùng một trục thời gian: số lỗi 504 mỗi giây, yêu cầu và kết nối, "
    "event loop bị chặn và lệnh gọi thất bại trước, trong và sau sự cố.",
)

ROWS: Final = {
    "timeouts": Said("504s per second", "Số lỗi 504 mỗi giây"),
    "open": Said("Requests in flight", "Yêu cầu đang xử lý"),
    "stalled": Said("Event loop of process {of} blocked", "Event loop của tiến trình {of} bị chặn"),
    "llm_errors": Said("Failed attempts per second at {of}", "Lần thử thất bại mỗi giây: {of}"),
    "queued": Said("Messages ready in queue {of}", "Tin nhắn chờ trong hàng đợi {of}"),
    "cpu": Said("CPU cores used ({of})", "Số lõi CPU sử dụng ({of})"),
    "memory": Said("Memory used ({of})", "Bộ nhớ sử dụng ({of})"),
}
"""Kind of a series -> title of its row."""
IN_USE: Final = {
    "db.pool": Said("Connections of pool {of} in use", "Kết nối đang dùng của pool {of}"),
    "http.pool": Said("HTTP connections to {of} in use", "Kết nối HTTP đang dùng tới {of}"),
    "redis.pool": Said("Redis connections to {of} in use", "Kết nối Redis đang dùng tới {of}"),
    "limiter": Said("Places of limiter {of} in use", "Chỗ đang dùng của giới hạn {of}"),
    "threadpool": Said("Worker threads in use {of}", "Luồng worker đang dùng {of}"),
}
WAITING: Final = {
    "db.pool": Said(
        "Requests waiting for a connection of pool {of}", "Yêu cầu chờ kết nối của pool {of}"
    ),
    "http.pool": Said("Calls waiting for a connection to {of}", "Lệnh gọi chờ kết nối tới {of}"),
    "redis.pool": Said("Commands waiting for a connection to {of}", "Lệnh chờ kết nối tới {of}"),
    "db.lock": Said("Waiting for the lock on {of}", "Đang chờ khóa trên {of}"),
    "lock": Said("Waiting for the lock {of}", "Đang chờ khóa {of}"),
    "limiter": Said("Waiting for a place of limiter {of}", "Đang chờ chỗ của giới hạn {of}"),
    "threadpool": Said(
        "Requests waiting for a worker thread {of}", "Yêu cầu chờ luồng worker {of}"
    ),
    "backoff": Said("Pausing before calling {of} again", "Tạm dừng trước khi gọi lại {of}"),
}
"""Kind of a resource -> title of its row."""
OTHER_IN_USE = Said("In use: {of}", "Đang dùng: {of}")
OTHER_WAITING = Said("Waiting for {of}", "Đang chờ {of}")
OF_LIMIT = Said("{title}, of {limit}", "{title}, trên tổng {limit}")
PEAK = Said("peak {most}", "cao nhất {most}")

FIRST_504 = Said("first 504", "lỗi 504 đầu tiên")
MOMENTS: Final = {
    "started": Said("started: {what}", "khởi động: {what}"),
    "silent": Said("last heard of: {what}", "tín hiệu cuối: {what}"),
    "alarm": Said("RabbitMQ: {what}", "RabbitMQ: {what}"),
    "alarm_over": Said("over: {what}", "đã hết: {what}"),
    "alert": Said("alert: {what}", "cảnh báo: {what}"),
}
"""Kind of a moment -> what to say of it."""

WHEN = Said("When", "Thời gian")
VALUE = Said("How much", "Giá trị")
NOT_TOLD = Said("nobody told", "không có dữ liệu")
EVENT = Said("Event", "Sự kiện")

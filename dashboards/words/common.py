"""Words that several pages share."""

from __future__ import annotations

from dashboards.language import Said

NOW = Said("Now", "Hiện tại")
INCIDENTS = Said("Incidents", "Sự cố")
INCIDENT = Said("Incident", "Sự cố")
REQUEST = Said("Request", "Yêu cầu")
LLM = Said("LLM", "LLM")
ALERTS = Said("Alerts", "Cảnh báo")
DOCTOR = Said("Timeouts", "Thời hạn chờ")

NO_STORE = Said(
    "No store was named. Start with `--store FOLDER`, or set `WHY504_STORE`.",
    "Chưa chỉ ra kho dữ liệu. Hãy chạy với `--store THƯ_MỤC`, hoặc đặt `WHY504_STORE`.",
)
NOTHING = Said(
    "No request was given up on, as far as this store knows. Nothing to explain.",
    "Theo kho dữ liệu này, không có yêu cầu nào bị bỏ dở. Không có gì để giải thích.",
)
TRY_THE_DEMO = Said(
    "To see a real hang explained, run this in the project's folder and then reload the page:",
    "Để xem một lần treo thật được giải thích, hãy chạy lệnh này trong thư mục dự án rồi tải lại "
    "trang:",
)
STORE = Said("Store: {folder}", "Kho dữ liệu: {folder}")
CANT_READ = Said(
    "The store can't be read at the moment. Reload the page to try again.",
    "Hiện không đọc được kho dữ liệu. Hãy tải lại trang để thử lại.",
)
READING = Said("Reading the evidence …", "Đang đọc dữ liệu …")
NO_SUCH_INCIDENT = Said(
    "The incident in this address is not in the store (any more).",
    "Sự cố trong địa chỉ này không (còn) có trong kho dữ liệu.",
)
ALL_INCIDENTS = Said("All incidents", "Tất cả sự cố")
NO_SUCH_REQUEST = Said(
    "The request in this address is not among the 504s in the store.",
    "Yêu cầu trong địa chỉ này không nằm trong số các lỗi 504 của kho dữ liệu.",
)

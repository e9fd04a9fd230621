"""Words of the comparison of before and during an incident."""

from __future__ import annotations

from typing import Final

from dashboards.language import Said

TITLE = Said("What changed", "Điều gì đã thay đổi")
READ = Said(
    "What changed most comes first. Ring: before. Dot: during the incident. Diamond: after it. "
    "Each row has a scale of its own.",
    "Thay đổi nhiều nhất đứng đầu. Vòng tròn rỗng: trước sự cố. Chấm đặc: trong sự cố. Hình thoi: "
    "sau sự cố. Mỗi hàng có thang đo riêng.",
)
MORE_READ = Said(
    "Whatever overlaps the incident counts as during it: a request that hung was not there before. "
    "Slowest 1 %: 99 % of the requests took less than that. Of waiting only those count who did "
    "wait. A dash: nobody told, or of too few to say.",
    "Mọi thứ chồng lên thời gian sự cố đều tính là trong sự cố: yêu cầu bị treo không tính vào "
    "trước đó. Chậm nhất 1 %: 99 % yêu cầu nhanh hơn mức này. Thời gian chờ chỉ tính những yêu "
    "cầu thực sự phải chờ. Dấu gạch: không có dữ liệu, hoặc quá ít để kết luận.",
)
SAMPLED = Said(
    "Estimated from a sample: of the requests those that got a 504, those that held what they "
    "waited for, and some from before. Requests that never met the trouble are not among them.",
    "Ước lượng từ một mẫu gồm: các yêu cầu bị 504, các yêu cầu giữ thứ mà chúng chờ, và một số "
    "yêu cầu trước đó. Không gồm các yêu cầu không hề gặp sự cố.",
)
LENGTHS = Said(
    "Before: {before}. During: {during}. After: {after}.",
    "Trước: {before}. Trong: {during}. Sau: {after}.",
)
NOT_TOLD = Said("nobody told", "không có dữ liệu")
NO_BEFORE = Said(
    "Nothing is stored from before the incident, so there is nothing to compare it with. Once the "
    "receiver has run for some minutes before an incident, this shows what changed.",
    "Không có dữ liệu từ trước sự cố nên không có gì để so sánh. Khi bộ thu đã chạy vài phút trước "
    "sự cố, phần này sẽ cho thấy điều gì đã thay đổi.",
)
NOTHING = Said(
    "Nothing is stored of this time that could be compared.",
    "Không có dữ liệu nào của khoảng thời gian này để so sánh.",
)
AS_TABLE = Said("The same as a table", "Xem dạng bảng")
ALT = Said(
    "A row for each figure: its value before and during the incident on a scale, and how many "
    "times more or less it became. The same figures are in the table below.",
    "Mỗi số liệu một hàng: giá trị trước và trong sự cố trên thang đo, và tăng hay giảm bao nhiêu "
    "lần. Các số liệu này cũng có trong bảng bên dưới.",
)

MEASURES: Final = {
    "timeouts": Said("504s per second", "Số lỗi 504 mỗi giây"),
    "requests": Said("Requests per second", "Số yêu cầu mỗi giây"),
    "failed": Said("Requests that failed", "Yêu cầu thất bại"),
    "median": Said("Median time of {of}", "Thời gian trung vị của {of}"),
    "p99": Said("Slowest 1 % of {of}", "Chậm nhất 1 % của {of}"),
    "waited": Said("Waiting for {of}, slowest 1 %", "Chờ {of}, chậm nhất 1 %"),
    "stalled": Said(
        "Event loop of process {of} blocked, share of time",
        "Event loop của tiến trình {of} bị chặn, tỷ lệ thời gian",
    ),
    "llm": Said("Median time of calls to {of}", "Thời gian trung vị của lệnh gọi {of}"),
    "llm_calls": Said("Calls per second to {of}", "Số lệnh gọi mỗi giây đến {of}"),
    "llm_failed": Said("Failed calls to {of}", "Lệnh gọi thất bại đến {of}"),
    "cpu": Said("CPU cores used by {of}", "Số lõi CPU dùng bởi {of}"),
}
"""Measure -> what it is."""
OTHER = Said("{measure} of {of}", "{measure} của {of}")

VALUES = Said("{before} → {during}", "{before} → {during}")
VALUES_AND_AFTER = Said("{before} → {during}, then {after}", "{before} → {during}, sau đó {after}")
TIMES = Said("× {times}", "× {times}")
DIVIDED = Said("÷ {times}", "÷ {times}")
FROM_ZERO = Said("from 0", "từ 0")
TO_ZERO = Said("to 0", "về 0")
SAME = Said("same", "như cũ")

WHAT = Said("What", "Nội dung")
BEFORE = Said("Before", "Trước")
DURING = Said("During", "Trong")
AFTER = Said("After", "Sau")
CHANGE = Said("Change", "Thay đổi")

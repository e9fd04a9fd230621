"""Words of the part that plays an incident again."""

from __future__ import annotations

from typing import Final

from dashboards.language import Said

TITLE = Said("What would have helped", "Điều gì lẽ ra đã giúp được")
READ = Said(
    "The incident can be played again with something changed. Queues, locks and event loops make "
    "the waiting anew; nothing is sent to the service.",
    "Có thể phát lại sự cố với một thay đổi nào đó. Hàng đợi, khóa và vòng lặp sự kiện sẽ tạo lại "
    "thời gian chờ; không có gì được gửi tới dịch vụ.",
)
PLAY = Said("Play the incident again", "Phát lại sự cố")
PLAYING = Said("Playing the incident again …", "Đang phát lại sự cố …")
NOT_KNOWN = Said(
    "Nothing can be said of changes, because played again unchanged the incident is not the same, "
    "or too little is known of it. The reason:",
    "Không thể nói gì về các thay đổi, vì khi phát lại nguyên trạng sự cố không giống như đã xảy "
    "ra, hoặc biết quá ít về nó. Lý do:",
)
FAITHFUL = Said(
    "Played again unchanged, {same} of {requests} requests fare as they did.",
    "Khi phát lại nguyên trạng, {same} trên {requests} yêu cầu có kết quả giống như đã xảy ra.",
)
TRIED = Said("Changes that were tried", "Các thay đổi đã thử")
NONE_TRIED = Said(
    "Nothing is known that might have helped here.",
    "Không biết điều gì có thể giúp được ở đây.",
)
OUTCOME = Said(
    "{left} of {victims} would still have timed out",
    "{left} trên {victims} vẫn sẽ bị quá hạn",
)
AND_NEW = Said(", and {new} others instead", ", và thêm {new} yêu cầu khác")
IF = Said("If {change}:", "Nếu {change}:")
UNCHANGED = Said("If nothing is changed:", "Nếu không thay đổi gì:")
ALT_TRIED = Said(
    "Bars: for each change that was tried, how many requests would still have timed out.",
    "Biểu đồ thanh: với mỗi thay đổi đã thử, bao nhiêu yêu cầu vẫn sẽ bị quá hạn.",
)
ALT_OUTCOME = Said(
    "Bar: how many requests would still have timed out with the settings above.",
    "Biểu đồ thanh: bao nhiêu yêu cầu vẫn sẽ bị quá hạn với các thiết lập ở trên.",
)
LEFT = Said("still times out", "vẫn bị quá hạn")
PREVENTED = Said("prevented", "tránh được")
NEW = Said("others, which were answered in time", "yêu cầu khác, vốn được trả lời kịp")
LEGEND = Said(
    "Solid: still times out. Outlined: prevented. Striped: others that would time out instead.",
    "Đặc: vẫn bị quá hạn. Viền: tránh được. Sọc: yêu cầu khác bị quá hạn thay vào đó.",
)
OF_THE_GATEWAY = Said("the gateway", "gateway")
ASK = Said("Ask for yourself", "Tự đặt câu hỏi")
ASK_READ = Said(
    "Move anything, several at once if you like; the bar below shows what would have become of the "
    "requests that timed out. Each slider begins where nothing is changed.",
    "Hãy kéo bất kỳ thanh nào, có thể nhiều thanh cùng lúc; thanh kết quả bên dưới cho thấy các "
    "yêu cầu bị quá hạn lẽ ra sẽ ra sao. Mỗi thanh trượt bắt đầu ở vị trí không thay đổi gì.",
)
AS_IT_WAS = Said("As it was", "Trở lại như cũ")
KNOBS: Final = {
    "longest": Said(
        "takes at most so many seconds (far right: as it was)",
        "kéo dài tối đa bấy nhiêu giây (ngoài cùng bên phải: như cũ)",
    ),
    "calls": Said(
        "calls a request (far right: as it was)",
        "số lần gọi mỗi yêu cầu (ngoài cùng bên phải: như cũ)",
    ),
    "elsewhere": Said(
        "runs in a thread, not on the event loop", "chạy trong luồng riêng, không trên vòng lặp"
    ),
    "places": Said("places", "số chỗ"),
    "patience": Said("waits so many seconds", "chờ bấy nhiêu giây"),
}
"""Kind of a knob -> its label."""

"""Words of the wait-for graph."""

from __future__ import annotations

from typing import Final

from dashboards.language import Said

TITLE = Said("Who waited for whom", "Ai chờ ai")
READ = Said(
    "Each box is somebody who waited, what they waited for, who had it, or where the time was "
    "lost in the end. A line leads from who waited to what it was that they waited for; it is as "
    "wide as the lost time that it carries. Choose a box to see its evidence.",
    "Mỗi ô là một bên phải chờ, thứ được chờ, bên đang giữ thứ đó, hoặc nơi thời gian cuối cùng "
    "bị mất. Đường nối đi từ bên chờ đến thứ được chờ; đường càng rộng thì càng nhiều thời gian "
    "bị mất đi qua. Chọn một ô để xem bằng chứng của nó.",
)
ALT = Said(
    "Graph: from the requests that timed out, through what they waited for, to the root cause. "
    "The same can be read, and walked with buttons, below.",
    "Đồ thị: từ các yêu cầu bị quá hạn, qua những thứ chúng chờ, đến nguyên nhân gốc. Có thể đọc "
    "cùng nội dung và đi từng bước bằng các nút ở bên dưới.",
)
NO_SUCH_NODE = Said(
    "The box in this address is not in the graph of this incident (any more). Shown instead: where "
    "the time was lost.",
    "Ô trong địa chỉ này không (còn) có trong đồ thị của sự cố này. Thay vào đó, đây là nơi thời "
    "gian bị mất.",
)
EMPTY = Said("Nothing is known of who waited for whom.", "Không có thông tin về việc ai chờ ai.")

ROOT = Said("root cause", "nguyên nhân gốc")
VICTIMS = Said("timed out", "bị quá hạn")
RESOURCE = Said("waited for", "thứ được chờ")
HOLDERS = Said("had it", "bên đang giữ")
KINDS: Final = {
    "victims": VICTIMS,
    "resource": RESOURCE,
    "holders": HOLDERS,
    "run": Said("own code", "mã của ứng dụng"),
    "stall": Said("blocked the event loop", "chặn vòng lặp sự kiện"),
    "ext": Said("call to outside", "lời gọi ra ngoài"),
    "leak": Said("never given back", "không bao giờ trả lại"),
    "session": Said("database session", "phiên cơ sở dữ liệu"),
    "starved": Said("process could not run", "tiến trình không chạy được"),
    "backoff": Said("pause before a retry", "tạm nghỉ trước khi thử lại"),
    "unknown": Said("not known", "không rõ"),
    "cycle": Said("waited in a ring", "chờ nhau theo vòng"),
    "several": Said("lost elsewhere", "mất ở nơi khác"),
}
"""Kind of a node -> what it is called."""
EXPLAINED: Final = {
    "victims": Said(
        "Requests of one route that were given up on.",
        "Các yêu cầu của một route đã bị bỏ dở.",
    ),
    "resource": Said(
        "Something of which there is only so much: a pool of connections, a lock, the event loop. "
        "Whoever wants it waits until somebody gives it back.",
        "Thứ chỉ có số lượng giới hạn: nhóm kết nối (pool), khóa, vòng lặp sự kiện. Ai cần thì "
        "phải chờ đến khi có bên trả lại.",
    ),
    "holders": Said(
        "Requests of one route that had what others waited for. They are often stuck too: follow "
        "the line.",
        "Các yêu cầu của một route đang giữ thứ mà bên khác chờ. Chúng thường cũng bị kẹt: hãy đi "
        "tiếp theo đường nối.",
    ),
}
RESTS = Said(
    "Here the lost time comes to rest: whoever was here waited for nobody else.",
    "Thời gian bị mất dừng lại ở đây: bên ở đây không chờ ai khác nữa.",
)
LOST = Said(
    "Lost here or on the way through: {lost} · {share} of all",
    "Mất ở đây hoặc khi đi qua đây: {lost} · {share} tổng số",
)
REQUESTS = Said("Requests: {count}", "Số yêu cầu: {count}")
CARRIES = Said("{lost} · {share}", "{lost} · {share}")
RING = Said("ring: {lost}", "vòng: {lost}")
BACK = Said("back to where it came from", "quay lại nơi xuất phát")
LINE = Said("Its line of code", "Dòng mã của nó")
EVIDENCE = Said("Evidence", "Bằng chứng")
FROM = Said("Who waited for it", "Bên chờ nó")
TO = Said("What it waited for", "Nó chờ gì")
NOBODY = Said("nobody: the way begins here", "không có: đường đi bắt đầu từ đây")
NOTHING = Said("nothing: the way ends here", "không có: đường đi kết thúc ở đây")
GO_BACK = Said("← Back to {number}", "← Quay lại {number}")
GO_ON = Said("On to {number} →", "Đi tiếp {number} →")
EXAMPLES = Said("Requests in which it can be seen", "Các yêu cầu cho thấy điều này")
EXAMPLE = Said("Open request {number}", "Mở yêu cầu {number}")
EXAMPLE_HELD = Said(
    "Open a request that waited for holder {number}",
    "Mở một yêu cầu đã chờ bên giữ {number}",
)
COUNTED = Said("{count} × ", "{count} × ")
WHAT = Said("what", "nội dung")
KIND = Said("kind", "loại")
CARRIED = Said("lost time", "thời gian bị mất")

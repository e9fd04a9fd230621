"""What the engine's short words mean, for people who see them for the first time.

The words are fixed by `why504.model` (Finding.mechanism, Leaf.kind).
"""

from __future__ import annotations

from typing import Final

from dashboards.language import Said

MECHANISMS: Final = {
    "pool": Said(
        "requests queued for a database connection and none came free",
        "các yêu cầu xếp hàng chờ kết nối cơ sở dữ liệu mà không kết nối nào được trả lại",
    ),
    "loop": Said(
        "one piece of code kept the event loop busy, so no other request could move",
        "một đoạn mã chiếm vòng lặp sự kiện nên không yêu cầu nào khác chạy được",
    ),
    "lock": Said(
        "requests queued behind a lock",
        "các yêu cầu xếp hàng sau một khóa",
    ),
    "limiter": Said(
        "all worker threads, or all places of another limit, were taken",
        "mọi luồng xử lý, hoặc mọi chỗ của một giới hạn khác, đều đang bận",
    ),
    "queue": Said(
        "requests queued before they were taken up",
        "các yêu cầu xếp hàng trước khi được tiếp nhận",
    ),
    "budget": Said(
        "the gateway gave up before the application was allowed to finish",
        "gateway bỏ cuộc trước khi ứng dụng kịp hoàn thành",
    ),
    "none": Said(
        "the slow call was in the requests themselves; nothing was shared",
        "lời gọi chậm nằm ngay trong các yêu cầu; không có tài nguyên chung nào bị nghẽn",
    ),
    "unknown": Said(
        "how it reached the requests is not known",
        "chưa rõ sự cố lan đến các yêu cầu bằng cách nào",
    ),
}

LEAVES: Final = {
    "run": Said("code that was running", "mã đang chạy"),
    "stall": Said("code that blocked the event loop", "mã chặn vòng lặp sự kiện"),
    "ext": Said("a call to something outside the process", "lời gọi ra ngoài tiến trình"),
    "leak": Said(
        "a connection that was never given back", "một kết nối không bao giờ được trả lại"
    ),
    "session": Said(
        "a database session outside the application", "một phiên cơ sở dữ liệu ngoài ứng dụng"
    ),
    "starved": Said("a process that could not run", "một tiến trình không được cấp CPU"),
    "backoff": Said("a pause between two attempts", "khoảng nghỉ giữa hai lần thử"),
    "unknown": Said("not known: evidence is missing", "chưa rõ: thiếu bằng chứng"),
    "cycle": Said("holders that wait for each other", "các bên giữ chờ lẫn nhau"),
}

GLOSSARY = Said(
    """
- **504**: the gateway (nginx) waited for the application, gave up, and answered 504 itself.
- **Gave up**: the moment at which the gateway stopped waiting.
- **Blocked in**: what the request was doing when the gateway gave up.
- **Held by**: who had what the request was waiting for. A holder is often stuck too; it is not
  the cause by itself.
- **Cause**: where the lost seconds come to rest when waiting is followed from holder to holder.
- **Lost seconds**: for each 504, the time from its start until the gateway gave up.
- **Confidence**: the share of all lost seconds that leads to this cause.
- **Connection pool** (`db.pool:…`): the few database connections that all requests share.
- **Event loop** (`loop:…`): the one thread that moves every request of a process; while one piece
  of code blocks it, all of them stand still.
- **Still open**: it had not ended when the process was last heard of.
- **Trace**: all that is known of one request, under one id.
""",
    """
- **504**: gateway (nginx) đã chờ ứng dụng, bỏ cuộc và tự trả lời 504.
- **Bỏ cuộc**: thời điểm gateway ngừng chờ.
- **Bị chặn tại**: việc mà yêu cầu đang làm khi gateway bỏ cuộc.
- **Bên giữ**: yêu cầu hay phiên đang giữ thứ mà yêu cầu này chờ. Bên giữ thường cũng bị kẹt; tự nó
  chưa phải là nguyên nhân.
- **Nguyên nhân**: nơi các giây bị mất dừng lại khi lần theo từng bên giữ.
- **Giây bị mất**: với mỗi lỗi 504, thời gian từ lúc bắt đầu đến khi gateway bỏ cuộc.
- **Độ tin cậy**: phần của tổng số giây bị mất dẫn đến nguyên nhân này.
- **Pool kết nối** (`db.pool:…`): số ít kết nối cơ sở dữ liệu mà mọi yêu cầu dùng chung.
- **Vòng lặp sự kiện** (`loop:…`): luồng duy nhất đưa mọi yêu cầu của một tiến trình đi tiếp; khi
  một đoạn mã chặn nó, tất cả đều đứng yên.
- **Còn mở**: chưa kết thúc vào lần cuối nhận được tin từ tiến trình.
- **Trace**: tất cả những gì biết được về một yêu cầu, dưới một mã định danh.
""",
)

"""Words of the request page and of its waterfall."""

from __future__ import annotations

from typing import Final

from dashboards.language import Said

TITLE = Said("One request on a clock", "Một yêu cầu trên trục thời gian")
LEGEND = Said(
    "Each bar is a stretch of time. Striped: waiting. Outlined: where this request was blocked, "
    "and where its time was lost in the end. Fading to the right: still open when the process was "
    "last heard of. Point at a bar, or tap it, for its times and its line of code.",
    "Mỗi thanh là một khoảng thời gian. Sọc: đang chờ. Có viền: nơi yêu cầu này bị chặn, và nơi "
    "thời gian của nó rốt cuộc bị mất. Mờ dần về bên phải: còn mở vào lần cuối nhận được tin từ "
    "tiến trình. Trỏ hoặc chạm vào một thanh để xem thời điểm và dòng mã của nó.",
)
ALT = Said(
    "Bars on one clock: what this request did at the gateway, in the application and beyond, and "
    "below it what its holder did meanwhile; a line where the gateway gave up",
    "Các thanh trên cùng một trục thời gian: yêu cầu này làm gì tại gateway, trong ứng dụng và xa "
    "hơn, bên dưới là việc của bên giữ cùng lúc đó; một đường kẻ tại lúc gateway bỏ cuộc",
)
LANES: Final = {
    "gateway": Said("Gateway", "Gateway"),
    "application": Said("Application", "Ứng dụng"),
    "database": Said("Database", "Cơ sở dữ liệu"),
    "broker": Said("Message broker", "Hàng đợi tin nhắn"),
    "llm": Said("LLM", "LLM"),
    "peer": Said("Other services", "Dịch vụ khác"),
}
HELD_BY_LANE = Said("Held by: {who}", "Bên giữ: {who}")
TRACE_LANE = Said("trace {trace}", "trace {trace}")
BLOCKED_HERE = Said("blocked here", "bị chặn ở đây")
LOST_HERE = Said("time lost here", "thời gian mất ở đây")
NO_HOLDER = Said(
    "nothing is stored of the holder's trace", "không lưu được gì về trace của bên giữ"
)
NO_SPAN = Said("no span of it is stored", "không lưu được span nào của yêu cầu này")
NEVER_GOT_HERE = Said("the request never got here", "yêu cầu chưa bao giờ đến được đây")
SHORTER = Said("… and {number} shorter ones", "… và {number} thanh ngắn hơn")
AT = Said("at {site} in {function}", "tại {site} trong {function}")
WAITING = Said("waiting for {resource}", "đang chờ {resource}")
HAS = Said("has {resource}", "giữ {resource}")
HAS_TAKEN = Said("has {resource}, taken at {site}", "giữ {resource}, lấy tại {site}")
BLOCKS = Said("blocks the event loop", "chặn vòng lặp sự kiện")
BLOCKS_AT = Said("blocks the event loop at {site}", "chặn vòng lặp sự kiện tại {site}")
STILL_OPEN = Said(", still open", ", còn mở")
GAVE_UP = Said("gateway gave up after {after}: {status}", "gateway bỏ cuộc sau {after}: {status}")
ANSWERED = Said("answered {status} after {after}", "đã trả lời {status} sau {after}")
LAST_SEEN = Said("last heard of after {after}", "lần cuối có tin sau {after}")
AXIS = Said("seconds since the gateway got the request", "số giây từ khi gateway nhận yêu cầu")
FROM_TO = Said("{start} s to {end} s, {state}", "{start} s đến {end} s, {state}")
ENDED = Said("ended", "đã kết thúc")
OPEN = Said("still open when last heard of", "còn mở vào lần cuối có tin")
WHAT = Said("what", "việc")
WHEN = Said("when", "khi nào")
WHERE = Said("where", "ở đâu")

BLOCKED_IN = Said("Blocked in: {what}", "Bị chặn tại: {what}")
HELD_BY = Said("Held by: {who}", "Bên giữ: {who}")
NOBODY = Said("nobody was seen to hold it", "không thấy ai giữ")
COMES_DOWN_TO = Said("Comes down to: {leaf}", "Rốt cuộc là: {leaf}")
REACHED = Said("Reached the application: {answer}", "Đã đến ứng dụng: {answer}")
YES = Said("yes", "có")
NO = Said("no", "không")
TRACE = Said("Trace: {trace}", "Trace: {trace}")
BEGAN = Said("Began: {time} ({zone})", "Bắt đầu: {time} ({zone})")
OWN_STACK = Said("What this request was doing", "Yêu cầu này đang làm gì")
STACK_READ = Said(
    "The innermost frame is on top. → marks the line that blocks, · other lines of your own code.",
    "Khung trong cùng nằm trên. → đánh dấu dòng mã gây chặn, · là dòng khác trong mã của bạn.",
)
HOLDERS_STACK = Said("What its holder was doing", "Bên giữ đang làm gì")
BACK = Said("The incident", "Sự cố")
HOLDER_PAGE = Said("The holder as a request", "Xem yêu cầu của bên giữ")
IN_TEMPO = Said("Open in Tempo / Grafana", "Mở trong Tempo / Grafana")
IN_LANGFUSE = Said("Open in Langfuse", "Mở trong Langfuse")
EARLIER = Said("Earlier 504", "504 trước đó")
LATER = Said("Later 504", "504 tiếp theo")
AS_TEXT = Said("Copy as text", "Sao chép dạng văn bản")
RAW = Said("Raw spans", "Span thô")
RAW_READ = Said(
    "Everything stored of this trace. What people wrote to an LLM, and its answers, is left out.",
    "Tất cả những gì lưu được của trace này. Nội dung gửi đến LLM và câu trả lời "
    "của nó được lược bỏ.",
)
RAW_FIRST = Said("The first {shown} of {count}.", "{shown} mục đầu tiên trong {count}.")
NO_SUCH_TRACE = Said(
    "The store knows nothing of the request in this address.",
    "Kho dữ liệu không biết gì về yêu cầu trong địa chỉ này.",
)
NO_TRACE_ID = Said(
    "The trace in this address is no trace id: 32 hexadecimal digits are.",
    "Trace trong địa chỉ này không phải là mã trace: cần 32 chữ số thập lục phân.",
)
NOT_A_504 = Said(
    "This request is none of the 504s that are explained, so nothing is blamed here. Its spans:",
    "Yêu cầu này không nằm trong số các lỗi 504 được giải thích, nên ở đây không quy trách nhiệm. "
    "Các span của nó:",
)
COLUMNS: Final = {
    "start": Said("began after", "bắt đầu sau"),
    "length": Said("lasted", "kéo dài"),
    "what": Said("name", "tên"),
    "kind": Said("kind", "loại"),
    "service": Said("service", "dịch vụ"),
    "status": Said("status", "trạng thái"),
    "site": Said("line", "dòng mã"),
    "span": Said("span", "span"),
    "parent": Said("parent", "span cha"),
    "attributes": Said("attributes", "thuộc tính"),
}

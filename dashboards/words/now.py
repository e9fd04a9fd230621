"""Words of the page `now`."""

from __future__ import annotations

from typing import Final

from dashboards.language import Said

HEALTHY = Said("Healthy: nothing is stuck", "Ổn định: không có gì bị kẹt")
RECOVERING = Said(
    "It was hanging a moment ago; nothing is stuck now",
    "Vừa bị treo ít phút trước; hiện không còn gì bị kẹt",
)
SLOW = Said("Slow: some requests take too long", "Chậm: một số yêu cầu mất quá nhiều thời gian")
HUNG = Said("It hangs: requests wait and are given up", "Đang treo: yêu cầu phải chờ và bị bỏ dở")
UNHEARD = Said("No news: the service is silent", "Không có tin: dịch vụ im lặng")
NO_ALL_CLEAR = Said(
    "No news is no all-clear: look at the service itself, at its probe and at the receiver.",
    "Không có tin không có nghĩa là ổn: hãy kiểm tra chính dịch vụ, probe và bộ thu của nó.",
)
UNHEARD_FOR = Said(
    "Nobody has been heard of for {time}.", "Không nghe thấy tin từ tiến trình nào trong {time}."
)
NEVER_HEARD = Said(
    "No process of the service has been heard of in the last 15 minutes.",
    "Không nghe thấy tin từ tiến trình nào của dịch vụ trong 15 phút qua.",
)
FIGURES = Said(
    "{timeouts:,} × 504 in the last minute\n{open:,} open, {slow:,} of them slow",
    "{timeouts:,} lỗi 504 trong phút vừa qua\n{open:,} đang mở, {slow:,} trong đó chậm",
)
FIGURES_LATE = Said(
    "{timeouts:,} × 504 in the last minute\n{open:,} open, {late:,} of them for longer than the "
    "gateway waits ({limit})",
    "{timeouts:,} lỗi 504 trong phút vừa qua\n{open:,} đang mở, {late:,} trong đó lâu hơn thời "
    "gian gateway chịu chờ ({limit})",
)
AS_OF = Said("as of {time}", "lúc {time}")
AS_OF_PAUSED = Said("as of {time}, paused", "lúc {time}, đã tạm dừng")
PAUSE = Said("Pause", "Tạm dừng")
PAUSE_HELP = Said(
    "Looks again every 2 seconds until you pause it.",
    "Tự xem lại mỗi 2 giây cho đến khi bạn tạm dừng.",
)
CANT_READ = Said(
    "The store can't be read at the moment; it is tried again every 2 seconds. What is shown "
    "below is older.",
    "Hiện không đọc được kho dữ liệu; sẽ thử lại mỗi 2 giây. Những gì hiển thị bên dưới là cũ hơn.",
)

LATE = Said(
    "The trace store shows what is {lag} old; gauges, if there are any, are younger.",
    "Kho trace chỉ cho thấy những gì đã cũ {lag}; số đo, nếu có, thì mới hơn.",
)
GAUGES_OF = Said("{service}, by its gauges at {time}", "{service}, theo số đo lúc {time}")
GAUGES_OPEN = Said(
    "{count:,} in flight, the oldest for {age}", "{count:,} đang xử lý, lâu nhất {age}"
)
GAUGES_BLOCKED = Said(
    "{count:,} of {all:,} event loops blocked, for {age}",
    "{count:,} trên {all:,} vòng lặp sự kiện bị chặn, suốt {age}",
)
GAUGES_TAKEN = Said(
    "{name}: {units} in use, {waiting:,} wait", "{name}: {units} đang dùng, {waiting:,} đang chờ"
)
NO_GAUGES = Said(
    "Gauges are missing, or some of them; spans are shown all the same.",
    "Thiếu số đo hoặc một phần số đo; các span vẫn được hiển thị.",
)

BLOCKS_MOST = Said("Most wait for", "Được chờ nhiều nhất")
OLDEST = Said("Open the longest", "Mở lâu nhất")
BLOCKER_DOES = Said("{does} · open for {age}", "{does} · đã mở {age}")
BLOCKER_HAS = Said("{does} for {age}", "{does} suốt {age}")
BLOCKER_ENDED = Said(
    "{does} for {age}, though its request is over (a leak)",
    "{does} suốt {age}, dù yêu cầu đã kết thúc (rò rỉ)",
)
AT_LINE = Said("at {site}", "tại {site}")
FREES = Said("{count:,} wait behind it", "{count:,} yêu cầu đang chờ phía sau")
OPEN_IT = Said("Open this request", "Mở yêu cầu này")

CURRENT = Said("What is happening", "Điều đang xảy ra")
CURRENT_OF = Said(
    "{cause}: {sentence}\n{explained:,} of {victims:,} requests looked at · confidence {share}",
    "{cause}: {sentence}\nđã xem {explained:,} trên {victims:,} yêu cầu · độ tin cậy {share}",
)
OPEN_INCIDENT = Said("Open the incident", "Mở sự cố")

SECONDS = Said(
    "504s of the last minute, second by second", "Lỗi 504 trong phút vừa qua, theo từng giây"
)
SECONDS_AXIS = Said("seconds ago", "giây trước")
SECONDS_COUNT = Said("504s", "lỗi 504")
AGES = Said("Open requests by age", "Yêu cầu đang mở theo tuổi")
AGES_AXIS = Said("age in seconds", "tuổi, tính bằng giây")
AGES_COUNT = Said("requests", "yêu cầu")
AGES_BIN = Said("age", "tuổi")
AGES_LIMIT = Said("gateway gives up: {limit}", "gateway bỏ cuộc: {limit}")
AGES_RANGE = Said("{first} to {last}", "{first} đến {last}")
AGES_OLDER = Said("{count:,} more are older than {age}", "{count:,} yêu cầu nữa cũ hơn {age}")
AGES_UNKNOWN = Said(
    "How long the gateway waits is not known: start `why504 receive` with "
    "`--gateway-timeout-s`, or set `WHY504_GATEWAY_TIMEOUT_S` here.",
    "Không biết gateway chờ bao lâu: hãy chạy `why504 receive` với `--gateway-timeout-s`, hoặc "
    "đặt `WHY504_GATEWAY_TIMEOUT_S` ở đây.",
)
AGES_NONE = Said("No request is open.", "Không có yêu cầu nào đang mở.")

STUCK = Said("Stuck now", "Đang kẹt")
HOLDERS = Said("Who holds what", "Ai giữ gì")
RESOURCES = Said("Loops, pools, queues", "Vòng lặp, pool, hàng đợi")
UNSEEN = Said("What this view can't see", "Những gì trang này không thấy")
STUCK_READ = Said(
    "Whom most wait for comes first, then the oldest. Tick a row to open that request.",
    "Yêu cầu được chờ nhiều nhất đứng đầu, rồi đến yêu cầu cũ nhất. Đánh dấu một dòng để mở "
    "yêu cầu đó.",
)
FIRST_OF = Said("The first {shown:,} of {count:,}.", "{shown:,} đầu tiên trong {count:,}.")
NOTHING_OPEN = Said(
    "Nothing is open that any probe tells of.", "Không có gì đang mở theo các probe."
)
NOTHING_HELD = Said(
    "Nobody is known to hold anything that others could wait for.",
    "Không thấy ai giữ thứ gì mà người khác có thể phải chờ.",
)
HOLDERS_READ = Said(
    "A holder has what others wait for. It is often stuck too: then follow what it does.",
    "Bên giữ có thứ mà bên khác đang chờ. Nó thường cũng bị kẹt: hãy lần theo việc nó đang làm.",
)

COLUMNS: Final = {
    "frees": Said("Would free", "Sẽ giải phóng"),
    "age": Said("Age", "Tuổi"),
    "status": Said("504?", "504?"),
    "route": Said("Route", "Tuyến"),
    "does": Said("Does now", "Đang làm"),
    "waits_for": Said("Waits for", "Chờ"),
    "held_by": Said("Held by", "Bị giữ bởi"),
    "line": Said("Line", "Dòng mã"),
    "process": Said("Process", "Tiến trình"),
}
"""Headings of the table of what is stuck, in the order of its columns."""
COLUMN_HELP: Final = {
    "frees": Said(
        "So many requests wait, directly or through others, for something that this one has.",
        "Số yêu cầu đang chờ, trực tiếp hoặc qua yêu cầu khác, thứ mà yêu cầu này giữ.",
    ),
    "age": Said(
        "For how long it is open, until its process was last heard of.",
        "Đã mở bao lâu, tính đến lần cuối nghe tin từ tiến trình của nó.",
    ),
    "does": Said("What it does at this moment.", "Việc nó đang làm lúc này."),
    "line": Said("The line of its code that it is at.", "Dòng mã mà nó đang dừng ở đó."),
    "waits_for": Said(
        "A connection pool (db.pool), an event loop (loop), a lock (db.lock) …",
        "Một pool kết nối (db.pool), vòng lặp sự kiện (loop), khóa (db.lock) …",
    ),
    "held_by": Said(
        "Who has what it waits for; of several, who has had it longest.",
        "Bên đang giữ thứ nó chờ; nếu có nhiều, là bên giữ lâu nhất.",
    ),
    "status": Said(
        "What the gateway has answered already while this still runs.",
        "Điều gateway đã trả lời trong khi yêu cầu này vẫn chạy.",
    ),
}
NOT_YET = Said("not yet", "chưa")
HELD_BY = Said("{route} for {age}{site}", "{route} suốt {age}{site}")
HELD_BY_ENDED = Said(
    "{route} for {age}{site}, its request is over", "{route} suốt {age}{site}, yêu cầu đã kết thúc"
)

HOLDER_HAS = Said("has {resource} for {age}", "giữ {resource} suốt {age}")
HOLDER_TOOK = Said("taken at {site}", "lấy tại {site}")
HOLDER_BLOCKS = Said("blocks {resource} for {age}", "chặn {resource} suốt {age}")
HOLDER_BLOCKS_AT = Said("in the line {site}", "ở dòng {site}")
HOLDER_DOES = Said("now: {does}", "hiện tại: {does}")
HOLDER_ENDED = Said(
    "its request is over: never given back", "yêu cầu đã kết thúc: không bao giờ trả lại"
)
HOLDER_WAITERS = Said("{count:,} wait: {routes}", "{count:,} đang chờ: {routes}")
HOLDER_NOBODY = Said("nobody waits for it", "không ai chờ nó")
HOLDER_ROUTE = Said("{count:,} × {route} (up to {age})", "{count:,} × {route} (tới {age})")
MORE_HOLDERS = Said("{count:,} more hold this too", "{count:,} bên nữa cũng giữ thứ này")
MORE_ROUTES = Said("and {count:,} more routes", "và {count:,} tuyến nữa")

GAUGE_POOL = Said("{used:,} of {capacity:,} in use", "{used:,} trên {capacity:,} đang dùng")
GAUGE_HELD = Said("{used:,} in use, size not told", "{used:,} đang dùng, không rõ kích thước")
GAUGE_LOOP = Said("blocked for {age}", "bị chặn {age}")
GAUGE_LOCK = Said("held for {age}", "bị giữ {age}")
GAUGE_FREE = Said("nobody seen to hold it", "không thấy ai giữ")
GAUGE_WAIT = Said("{count:,} wait, longest {age}", "{count:,} đang chờ, lâu nhất {age}")
GAUGE_QUIET = Said("nobody waits", "không ai chờ")
GAUGES_READ = Said(
    "Solid: how much of it is taken. Striped: who waits, compared with the longest queue here. A "
    "pool is told once somebody waits or has had it for long.",
    "Đặc: phần đã bị chiếm. Kẻ sọc: số đang chờ, so với hàng đợi dài nhất ở đây. Một pool được "
    "báo khi có ai đó chờ hoặc giữ lâu.",
)
GAUGES_NONE = Said(
    "No loop is blocked, no pool or lock is waited for.",
    "Không vòng lặp nào bị chặn, không ai chờ pool hay khóa nào.",
)
GAUGE_WHAT = Said("resource", "tài nguyên")
GAUGE_TAKEN = Said("taken", "đã chiếm")
GAUGE_WAITING = Said("waiting", "đang chờ")

SILENT = Said(
    "Not heard of for a minute; what was open in them is not told here: {names}",
    "Không có tin suốt một phút; những gì đang mở trong đó không được kể ở đây: {names}",
)
DROPPED = Said(
    "{count:,} spans and records had to be dropped: more came than this view may keep.",
    "Đã phải bỏ {count:,} span và bản ghi: số nhận được nhiều hơn mức trang này được giữ.",
)
REFUSED = Said(
    "{count:,} spans and records were told with a time that can't be: check the clocks.",
    "{count:,} span và bản ghi có thời điểm không thể có: hãy kiểm tra đồng hồ.",
)
MORE_NAMES = Said("and {count:,} more", "và {count:,} nữa")

EMPTY = Said(
    "Nothing has been received yet. Start the receiver on this store and point the service at it:",
    "Chưa nhận được gì. Hãy chạy bộ thu trên kho dữ liệu này và trỏ dịch vụ tới nó:",
)
OLD = Said(
    "Nothing has been heard of since {time} ({ago} ago).",
    "Không có tin gì kể từ {time} (cách đây {ago}).",
)
OLD_INCIDENT = Said("The latest incident was:", "Sự cố gần nhất là:")
OLD_NO_INCIDENT = Said(
    "There was no incident in what is stored.", "Không có sự cố nào trong dữ liệu đã lưu."
)
OLD_WHAT_TO_DO = Said(
    "If this is a demo that has ended, all is well: open its incident. If it is a service that "
    "should run, check that the receiver runs and writes to this store.",
    "Nếu đây là bản demo đã kết thúc thì không sao: hãy mở sự cố của nó. Nếu là dịch vụ lẽ ra "
    "đang chạy, hãy kiểm tra bộ thu có đang chạy và ghi vào kho dữ liệu này không.",
)

ALT_SECONDS = Said(
    "Bar chart: 504s of each of the last sixty seconds.",
    "Biểu đồ cột: số lỗi 504 trong từng giây của sáu mươi giây qua.",
)
ALT_AGES = Said(
    "Histogram: open requests by age, with the gateway's limit as a line.",
    "Biểu đồ tần suất: yêu cầu đang mở theo tuổi, giới hạn của gateway là một đường thẳng.",
)
ALT_GAUGES = Said(
    "One bar a resource: how much of it is taken, and how many wait.",
    "Mỗi tài nguyên một thanh: đã bị chiếm bao nhiêu và bao nhiêu đang chờ.",
)

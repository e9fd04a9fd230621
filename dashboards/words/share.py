"""Words of the post-mortem, and of the part of the incident page that hands it out."""

from __future__ import annotations

from dashboards.language import Said

# --- the page ------------------------------------------------------------------------------------

HAND_ON = Said("Hand it on", "Chia sẻ")
HAND_ON_READ = Said(
    "The whole incident as one file, for a wiki, a ticket or a printer. It needs nothing else, and "
    "shows no prompts. Building it takes a few seconds.",
    "Toàn bộ sự cố trong một tệp, dùng cho wiki, ticket hoặc để in. Tệp không cần gì thêm và không "
    "chứa prompt. Việc tạo tệp mất vài giây.",
)
AS_HTML = Said("Page (HTML)", "Trang (HTML)")
AS_MARKDOWN = Said("Text (Markdown)", "Văn bản (Markdown)")
AS_JSON = Said("Data (JSON)", "Dữ liệu (JSON)")
AS_HTML_READ = Said(
    "With figures; opens in any browser and prints on A4.",
    "Có hình vẽ; mở được bằng mọi trình duyệt và in vừa khổ A4.",
)
AS_MARKDOWN_READ = Said(
    "Without figures; to paste into a wiki or an issue.",
    "Không có hình vẽ; để dán vào wiki hoặc issue.",
)
AS_JSON_READ = Said("For programs.", "Dành cho chương trình.")
ADDRESS = Said("The address of this page:", "Địa chỉ của trang này:")

# --- the file: its head --------------------------------------------------------------------------

TITLE = Said("Post-mortem: {cause}, {title}", "Báo cáo sự cố: {cause}, {title}")
TITLE_UNKNOWN = Said("Post-mortem: cause not known", "Báo cáo sự cố: chưa rõ nguyên nhân")
FACT_INCIDENT = Said("Incident {id}", "Sự cố {id}")
FACT_MADE = Said("Made {when} by why504 {version}", "Tạo lúc {when} bởi why504 {version}")
FACT_COVERED = Said(
    "From telemetry between {start} and {end}", "Từ dữ liệu đo từ {start} đến {end}"
)
FACT_ZONE = Said("All times are {zone}", "Mọi thời điểm theo múi giờ {zone}")
FACT_ADDRESS = Said("In the explorer: {address}", "Trong trình khám phá sự cố: {address}")

# --- the file: its sections ----------------------------------------------------------------------

SUMMARY = Said("Summary", "Tóm tắt")
NOT_FOUND_OUT = Said(
    "The cause is not known: too much of the lost time could not be followed to anything.",
    "Chưa rõ nguyên nhân: quá nhiều thời gian bị mất không lần được đến đâu.",
)

IMPACT = Said("Impact", "Ảnh hưởng")
FIGURE = Said("Figure", "Số liệu")
VALUE = Said("Value", "Giá trị")
HIT = Said("Requests that got no answer in time", "Số yêu cầu không được trả lời kịp")
ROUTES = Said("Routes hit", "Số route bị ảnh hưởng")
PEOPLE = Said("People hit", "Số người dùng bị ảnh hưởng")
PEOPLE_NOT_TOLD = Said(
    "not told (no span has user.id)", "không được báo (không span nào có user.id)"
)
FIRST = Said("First given up on", "Bị bỏ dở lần đầu")
LAST = Said("Last given up on", "Bị bỏ dở lần cuối")
LASTED = Said(
    "From the first request's start to the last's end",
    "Từ lúc yêu cầu đầu tiên bắt đầu đến lúc yêu cầu cuối kết thúc",
)
LOST = Said("Waited in vain, all together", "Tổng thời gian chờ vô ích")
UNSEEN = Said("Never seen by the application", "Ứng dụng không hề thấy")
ROUTE = Said("Route", "Route")
REQUESTS = Said("Requests", "Số yêu cầu")
LESS = Said("less than 1 % each: not shown", "dưới 1 % mỗi mục: không hiển thị")
MORE = Said("and {count:,} more", "và {count:,} mục khác")

TIMELINE = Said("Timeline", "Dòng thời gian")
TIMELINE_ALT = Said(
    "What was full, blocked and refused when, on one axis of time. The table below has the peaks.",
    "Tài nguyên nào đầy, bị chặn và từ chối vào lúc nào, trên một trục thời gian. Bảng bên dưới "
    "nêu các đỉnh.",
)
WHEN = Said("When", "Lúc")
WHAT = Said("What", "Điều gì")
BEGAN = Said("the first request that was hit began", "yêu cầu đầu tiên bị ảnh hưởng bắt đầu")
GAVE_UP_FIRST = Said("the first request was given up on", "yêu cầu đầu tiên bị bỏ dở")
GAVE_UP_LAST = Said("the last request was given up on", "yêu cầu cuối cùng bị bỏ dở")
PEAK = Said("{what}: highest, {value}", "{what}: cao nhất, {value}")

CAUSE = Said("Cause", "Nguyên nhân")
HOW_IT_SPREAD = Said("How it spread: {how}", "Cách lan rộng: {how}")
LINE = Said("Line of code: {site}", "Dòng mã: {site}")
CONFIDENCE = Said(
    "Confidence: {share} of all lost seconds lead to this cause",
    "Độ tin cậy: {share} tổng số giây bị mất dẫn đến nguyên nhân này",
)
FOR = Said("What speaks for it", "Bằng chứng ủng hộ")
AGAINST = Said("What speaks against it", "Bằng chứng phản bác")
NOTHING = Said("Nothing was found.", "Không tìm thấy gì.")

CHAIN = Said("From the requests to the cause", "Từ các yêu cầu đến nguyên nhân")
LOST_HERE = Said("{lost} lost", "mất {lost}")

GRAPH = Said("Who waited for whom", "Ai chờ ai")
GRAPH_READ = Said(
    "The lost seconds, followed from the requests through what they waited for to where they "
    "come to rest.",
    "Số giây bị mất, lần từ các yêu cầu qua những gì chúng chờ đến nơi thời gian dừng lại.",
)
GRAPH_ALT = Said(
    "Requests, resources, holders and causes, joined by who waited for whom. The table below "
    "tells the same.",
    "Yêu cầu, tài nguyên, bên giữ và nguyên nhân, nối theo quan hệ ai chờ ai. Bảng bên dưới nêu "
    "cùng nội dung.",
)
WAITED = Said("Waited", "Bên chờ")
WAITED_FOR = Said("For", "Chờ")
LOST_SECONDS = Said("Lost", "Mất")

BLAMES = Said("Where the time went", "Thời gian bị mất đi đâu")
BLAMES_ALT = Said(
    "The shares of the lost time, most first. The table below tells the same.",
    "Tỷ lệ thời gian bị mất, nhiều nhất trước. Bảng bên dưới nêu cùng nội dung.",
)
SHARE = Said("Share", "Tỷ lệ")
WHERE = Said("Where", "Ở đâu")
KIND = Said("Kind", "Loại")


HELP = Said("What would have helped", "Điều gì đã có thể giúp")
IF = Said("If …", "Nếu …")
STILL = Said("would still have timed out", "vẫn sẽ quá hạn")
NEW = Said("would have timed out instead", "sẽ quá hạn thay vào đó")
STILL_OF = Said("{left:,} of {count:,}", "{left:,} trong {count:,}")
FAITH = Said(
    "Played again unchanged, {same:,} of {count:,} requests fare as they did.",
    "Khi phát lại không đổi gì, {same:,} trong {count:,} yêu cầu có kết quả như thật.",
)
NO_REPLAY = Said("Not known: {why}", "Không rõ: {why}")
NOT_PLAYED = Said("The incident was not played again.", "Sự cố chưa được phát lại.")

ABOUT_CAUSE = Said("About this cause ({page})", "Về nguyên nhân này ({page})")

EXAMPLE = Said("One request", "Một yêu cầu")
ANOTHER = Said("Another request", "Một yêu cầu khác")
MARKED = Said("→ marks the line that blocks.", "→ đánh dấu dòng mã gây chặn.")
EXAMPLE_ROUTE = Said("Route: {route}", "Route: {route}")
EXAMPLE_BEGAN = Said("Began: {when}", "Bắt đầu: {when}")
WATERFALL_ALT = Said(
    "What the request, the database and the holder did second by second until the gateway gave up.",
    "Yêu cầu, cơ sở dữ liệu và bên giữ đã làm gì từng giây cho đến khi gateway bỏ cuộc.",
)

NOT_KNOWN = Said("What is not known", "Điều chưa biết")
UNKNOWN_SHARE = Said(
    "{share} of the lost time could not be followed to anything ({lost}).",
    "{share} thời gian bị mất không lần được đến đâu ({lost}).",
)
ALL_KNOWN = Said(
    "All of the lost time was followed to where it went, and no caveat is known.",
    "Toàn bộ thời gian bị mất đã lần được đến nơi, và không có lưu ý nào.",
)

FOLLOW_UPS = Said("Follow-ups", "Việc cần theo dõi")
FOLLOW_UP = Said("… (who, by when)", "… (ai, hạn khi nào)")

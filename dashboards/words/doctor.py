"""Words of the page `doctor`: the ladder of timeouts."""

from __future__ import annotations

from dashboards.language import Said

READ_IT = Said(
    "An outer limit has to be longer than everything it waits for: in a healthy ladder the bars "
    "grow shorter downwards.",
    "Giới hạn bên ngoài phải dài hơn mọi thứ nó chờ: trong một chiếc thang tốt, các thanh ngắn "
    "dần từ trên xuống.",
)
NOTHING_NAMED = Said(
    "Nothing was named to read limits from. Start the explorer with one or more of these, or set "
    "the variables `WHY504_PROBE` (with commas between addresses), `WHY504_NGINX`, "
    "`WHY504_LIMITS`, `WHY504_POSTGRES`:",
    "Chưa chỉ ra nơi để đọc các giới hạn. Hãy chạy explorer với một hay nhiều tùy chọn sau, hoặc "
    "đặt các biến `WHY504_PROBE` (nhiều địa chỉ thì cách nhau bằng dấu phẩy), `WHY504_NGINX`, "
    "`WHY504_LIMITS`, `WHY504_POSTGRES`:",
)
IN_A_TERMINAL = Said("The same in a terminal:", "Xem điều tương tự trong terminal:")
READING = Said("Asking what limits are in force …", "Đang hỏi các giới hạn có hiệu lực …")
AGAIN = Said("Read again", "Đọc lại")
AGAIN_HELP = Said(
    "What was read is kept for ten seconds.", "Kết quả đã đọc được giữ trong mười giây."
)
COULD_NOT_READ = Said(
    "Not every source could be read. What is below is made of the others.",
    "Không đọc được mọi nguồn. Những gì bên dưới được dựng từ các nguồn còn lại.",
)
READ_FROM = Said("Read from: {sources}", "Đọc từ: {sources}")

FINE = Said("The ladder is in order", "Thang thời hạn hợp lệ")
TOLD_IS_FINE = Said(
    "What was told is in order; something was not told",
    "Những gì được cho biết đều hợp lệ; có chỗ chưa được cho biết",
)
WRONG = Said("The ladder is not in order", "Thang thời hạn không hợp lệ")
NOTHING_TOLD = Said("No limit was told", "Không có giới hạn nào được cho biết")
COUNTS = Said(
    "inverted: {inverted:,} · without any limit: {missing:,} · hints: {hints:,}",
    "bị ngược: {inverted:,} · không có giới hạn: {missing:,} · gợi ý: {hints:,}",
)

LADDER = Said("The ladder, outermost first", "Chiếc thang, từ ngoài vào trong")
FIRST_OF = Said("The first {shown:,} of {count:,}.", "{shown:,} đầu tiên trong {count:,}.")
SECONDS = Said("seconds", "giây")
INVERTED = Said("inverted", "bị ngược")
NO_LIMIT = Said("missing", "còn thiếu")
HINT = Said("hint", "gợi ý")
IN_ORDER = Said("in order", "hợp lệ")
ENDLESS = Said("no limit", "không giới hạn")
TRIES = Said("{time} in {count:,} tries", "{time} trong {count:,} lần thử")
LIMIT = Said("limit", "giới hạn")
AT_MOST = Said("at most", "tối đa")
JUDGED = Said("judged", "đánh giá")
TOLD_BY = Said("told by", "nguồn")
LEGEND = Said(
    "✗ and red: change this first. • is a hint. A bar that fades out with ▶ has no end, or ends "
    "beyond the right edge. Several tries count together, with the pauses between them. Point at "
    "a bar, or tap it, to see who told it.",
    "✗ và màu đỏ: hãy sửa cái này trước. • là gợi ý. Thanh mờ dần với ▶ là không có điểm cuối, "
    "hoặc kết thúc ngoài mép phải. Nhiều lần thử được cộng lại, kể cả khoảng nghỉ. Trỏ hoặc chạm "
    "vào thanh để xem nguồn.",
)
FINDINGS = Said("What was found", "Điều phát hiện được")
NO_FINDINGS = Said(
    "No limit contradicts another one, and none is missing.",
    "Không giới hạn nào mâu thuẫn với nhau, và không thiếu cái nào.",
)
UNSEEN = Said("Not checked, because nobody told", "Chưa kiểm tra, vì chưa được cho biết")
ALT = Said(
    "Bar chart: one bar a timeout to scale, outermost first; the table below has the same.",
    "Biểu đồ thanh: mỗi thời hạn một thanh theo tỉ lệ, từ ngoài vào trong; bảng bên dưới có cùng "
    "nội dung.",
)
AS_TABLE = Said("The same as a table", "Xem dưới dạng bảng")

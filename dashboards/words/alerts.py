"""Words of the page about alerts."""

from __future__ import annotations

from typing import Final

from dashboards.language import Said

NO_LEDGER = Said(
    "No ledger of alerts was named, and none is in or beside the store. Start the router, and set "
    "`WHY504_ALERTS_LEDGER` to its file (it is `.why504/alerts.sqlite` by default):",
    "Chưa chỉ ra sổ cảnh báo, và không thấy sổ nào trong hoặc cạnh kho dữ liệu. Hãy chạy bộ định "
    "tuyến, rồi đặt `WHY504_ALERTS_LEDGER` là tệp của nó (mặc định `.why504/alerts.sqlite`):",
)
TRY_IT: Final = "why504 alerts serve --dry-run\nwhy504 alerts test"
UNREADABLE: Final = {
    "missing": Said(
        "The ledger of alerts that was named is not there. Has the router run yet?",
        "Không có sổ cảnh báo đã chỉ ra. Bộ định tuyến đã từng chạy chưa?",
    ),
    "no_ledger": Said(
        "The file that was named is no ledger of alerts.",
        "Tệp đã chỉ ra không phải là sổ cảnh báo.",
    ),
    "newer": Said(
        "The ledger was written by a newer why504 than this one. Update the explorer.",
        "Sổ này do một bản why504 mới hơn ghi. Hãy cập nhật trang này.",
    ),
    "older": Said(
        "The ledger was written by an older why504. Start this version's `why504 alerts serve` on "
        "it once; that brings it up to date.",
        "Sổ này do một bản why504 cũ hơn ghi. Hãy chạy `why504 alerts serve` của bản này trên sổ "
        "một lần để cập nhật.",
    ),
    "locked": Said(
        "Somebody has the ledger for themselves at the moment. Reload the page to try again.",
        "Hiện có chương trình khác đang giữ riêng sổ này. Hãy tải lại trang để thử lại.",
    ),
    "unreadable": Said(
        "The ledger can't be read at the moment. Reload the page to try again.",
        "Hiện không đọc được sổ. Hãy tải lại trang để thử lại.",
    ),
}
"""By `LedgerUnreadable.why`."""
EMPTY = Said(
    "The router has not told anything yet. To try it:",
    "Bộ định tuyến chưa báo gì. Để thử:",
)
LEDGER = Said("Ledger: {file} · as of {when} ({zone})", "Sổ: {file} · lúc {when} ({zone})")

BURNING_N = Said("Burning now", "Đang xảy ra")
BURNING_HELP = Said(
    "Alerts that fire, as the router was told last.",
    "Các cảnh báo đang bật, theo tin cuối cùng mà bộ định tuyến nhận được.",
)
NOBODY_N = Said("Unacknowledged", "Chưa ai nhận")
NOBODY_HELP = Said(
    "Of these the P0s and P1s that nobody said they look after.",
    "Trong đó, số P0 và P1 chưa có ai nhận xử lý.",
)
DELIVERED_N = Said("Delivered", "Đã gửi")
DELIVERED_HELP = Said("Messages that are in their room.", "Tin nhắn đã vào phòng chat.")
WAITING_N = Said("Waiting", "Đang chờ")
WAITING_HELP = Said(
    "Messages that are written and not in their room yet; they are sent until they are.",
    "Tin nhắn đã ghi nhưng chưa vào phòng; sẽ được gửi lại cho đến khi vào.",
)
DEAD_N = Said("Given up", "Bỏ hẳn")
DEAD_HELP = Said(
    "Messages that the room refused for good, even as plain text.",
    "Tin nhắn bị phòng chat từ chối hẳn, kể cả ở dạng văn bản thường.",
)
TYPICAL_N = Said("Alert to room", "Từ báo đến phòng")
TYPICAL_HELP = Said(
    "Median time from taking an alert to its message being in the room, of the P0s and P1s below.",
    "Thời gian trung vị từ lúc nhận cảnh báo đến khi tin vào phòng, với các P0 và P1 bên dưới.",
)

BURNING = Said("Burning now", "Đang xảy ra")
NOTHING_BURNS = Said("Nothing burns.", "Không có gì đang xảy ra.")
LEVEL = Said("Level", "Mức")
ALERT = Said("Alert", "Cảnh báo")
SERVICE = Said("Service", "Dịch vụ")
SINCE = Said("Since", "Từ lúc")
LASTS = Said("For", "Đã kéo dài")
SUMMARY = Said("Summary", "Tóm tắt")
WHO = Said("Acknowledged by", "Người nhận")
NOBODY = Said("nobody", "chưa ai")
SOMEBODY = Said("somebody", "có người")
ACKNOWLEDGED_AT = Said("{who}, {when}", "{who}, {when}")
INCIDENT_OF = Said("Open its incident", "Mở sự cố của nó")
CHOOSE_ALERT = Said(
    "Choose an alert for its incident and its runbook",
    "Chọn một cảnh báo để mở sự cố và hướng dẫn xử lý",
)
RUNBOOK = Said("What to do: the runbook", "Cần làm gì: hướng dẫn xử lý")
NO_RUNBOOK = Said(
    "There is no runbook for this alert in alerts/runbooks.",
    "Chưa có hướng dẫn cho cảnh báo này trong alerts/runbooks.",
)
NO_CAUSE = Said(
    "The router has not found its cause; it looks for one only with a store "
    "(`why504 alerts serve --store FOLDER`).",
    "Bộ định tuyến chưa tìm ra nguyên nhân; nó chỉ tìm khi có kho dữ liệu "
    "(`why504 alerts serve --store THƯ_MỤC`).",
)

DELIVERIES_READ = Said(
    "A mark for each message below: when it was written, and how long after its first alert it was "
    "in the room. Circle: delivered. Triangle: still waiting, so far. Cross: given up. A P2 waits "
    "for the full hour.",
    "Mỗi tin nhắn bên dưới một dấu: lúc được ghi, và bao lâu sau cảnh báo đầu tiên thì vào phòng. "
    "Tròn: đã gửi. Tam giác: còn chờ, tính đến nay. Chéo: bỏ hẳn. P2 chờ đến đầu giờ kế tiếp.",
)
DELIVERIES_ALT = Said(
    "Messages as marks over time, higher the longer they took from alert to room",
    "Các tin nhắn theo thời gian, càng cao là càng lâu từ cảnh báo đến phòng",
)
TOOK = Said("seconds to the room", "số giây đến phòng")
WRITTEN = Said("Written", "Lúc ghi")

MESSAGES = Said("What was told", "Những gì đã báo")
ANY_LEVEL = Said("All levels", "Mọi mức")
ANY_STATE = Said("All states", "Mọi trạng thái")
STATE = Said("State", "Trạng thái")
STATES: Final = {
    "delivered": Said("delivered", "đã gửi"),
    "waiting": Said("waiting", "đang chờ"),
    "dead": Said("given up", "bỏ hẳn"),
}
NO_MESSAGES = Said("No message is like that.", "Không có tin nhắn nào như vậy.")
NO_FILTER = Said(
    "The address asks for a level or state that there is not; all are shown.",
    "Địa chỉ yêu cầu mức hoặc trạng thái không tồn tại; hiển thị tất cả.",
)
FIRST_OF = Said("The last {shown:,}.", "{shown:,} tin cuối cùng.")
ATTEMPTS = Said("Attempts", "Lần thử")
ROOM = Said("Room", "Phòng")
TIME_TO_ROOM = Said("Alert to room", "Từ báo đến phòng")
ALERTS_N = Said("Alerts", "Cảnh báo")
TEXT = Said("Text", "Nội dung")
WHY = Said("Reason", "Lý do")
OPEN_ONE = Said(
    "Tick a row, or choose one here, to read it", "Chọn một dòng, hoặc chọn ở đây, để đọc"
)
NONE_CHOSEN = Said("none chosen", "chưa chọn")
NO_SUCH_MESSAGE = Said(
    "The message in this address is not in the ledger.",
    "Tin nhắn trong địa chỉ này không có trong sổ.",
)
AS_SEEN = Said("As people saw it", "Như mọi người đã thấy")
AS_SEEN_READ = Said(
    "Its text, without buttons' addresses and without markup.",
    "Chỉ có văn bản, không có địa chỉ của nút và không có định dạng.",
)
TOLD = Said("What it tells", "Nội dung báo")
ENDED = Said("Ended", "Kết thúc")
STATUS = Said("Status", "Tình trạng")
STATUSES: Final = {
    "firing": Said("firing", "đang xảy ra"),
    "resolved": Said("resolved", "đã hết"),
}
MARK = Said("Fingerprint", "Mã")
REMOVED = Said("[address removed]", "[đã bỏ địa chỉ]")
BUTTON = Said("[{text}]", "[{text}]")

DIGEST = Said("The next digest", "Bản tổng hợp kế tiếp")
DIGEST_READ = Said(
    "P2 alerts wake nobody: they are told once an hour, after the full hour. This is what the next "
    "one says by now.",
    "Cảnh báo P2 không đánh thức ai: mỗi giờ báo một lần, sau giờ tròn. Đây là nội dung hiện có "
    "của bản kế tiếp.",
)
DIGEST_AT = Said("Due at {when} ({zone})", "Sẽ gửi lúc {when} ({zone})")
NO_DIGEST = Said("No P2 waits for the next digest.", "Không có P2 nào chờ bản tổng hợp kế tiếp.")

"""Words of the incident page."""

from __future__ import annotations

from dashboards.language import Said

TITLE = Said("Incident of {began} ({zone})", "Sự cố lúc {began} ({zone})")
SEE_ONE = Said(
    "One of them, down to the line",
    "Xem một yêu cầu, đến tận dòng mã",
)
SEE_TRACE = Said("Trace {trace}…", "Trace {trace}…")
WHAT_TO_DO = Said("What to do", "Cần làm gì")
FOR = Said("What speaks for it", "Bằng chứng ủng hộ")
AGAINST = Said("What speaks against it", "Bằng chứng phản bác")
CAVEATS = Said("Bear in mind", "Cần lưu ý")
NOTHING_FOUND = Said("nothing was found", "không tìm thấy gì")
CHAIN = Said("From the 504s to the cause", "Từ các lỗi 504 đến nguyên nhân")
BECAUSE = Said("↓ because", "↓ vì")
SPREAD = Said("How it spread: {how}", "Cách lan rộng: {how}")
UNKNOWN = Said("Cause not known: {title}", "Chưa rõ nguyên nhân: {title}")
CAUSE = Said("Cause {cause}: {title}", "Nguyên nhân {cause}: {title}")
CONFIDENCE = Said(
    "Confidence: {share} of all lost seconds lead to this cause",
    "Độ tin cậy: {share} tổng số giây bị mất dẫn đến nguyên nhân này",
)
BLAMES = Said("Where the lost time went", "Thời gian bị mất đi đâu")
BLAMES_READ = Said(
    "Each 504 lost the time it waited. Followed from holder to holder, it ends here:",
    "Mỗi lỗi 504 mất khoảng thời gian đã chờ. Lần theo từng bên giữ, nó kết thúc ở đây:",
)
BLAMES_ALT = Said(
    "A bar for each place where lost time came to rest, as long as its share of all lost time",
    "Mỗi nơi thời gian bị mất rốt cuộc dừng lại có một thanh, dài theo phần của nó trong tổng số",
)
GLOSSARY = Said("Words used on this page", "Các từ dùng trong trang này")
VICTIMS = Said("The 504s", "Các lỗi 504")
FIRST_OF = Said("The first {shown:,} of {count:,}.", "{shown:,} yêu cầu đầu tiên trong {count:,}.")
OPEN_ONE = Said(
    "Tick a row, or choose one here, to see it on a clock",
    "Chọn một dòng, hoặc chọn ở đây, để xem yêu cầu đó trên trục thời gian",
)
OPEN_REQUEST = Said("Open this request", "Mở yêu cầu này")

"""Words of the page about LLMs."""

from __future__ import annotations

from typing import Final

from dashboards.language import Said

SHOWN = Said("What to look at", "Xem khoảng thời gian nào")
ALL = Said("Everything that is stored", "Toàn bộ dữ liệu đã lưu")
ONE_INCIDENT = Said("{when} · {cause} · {count:,} requests", "{when} · {cause} · {count:,} yêu cầu")
LOOK_AT_ALL = Said("Look at everything that is stored", "Xem toàn bộ dữ liệu đã lưu")
FIGURES_OF = Said("Figures: {start} to {end} ({zone})", "Số liệu: từ {start} đến {end} ({zone})")
SAMPLED = Said(
    "So much is stored that a sample is read, of incidents and of the minutes before them: "
    "counts are estimates.",
    "Dữ liệu quá nhiều nên chỉ đọc một mẫu, lấy quanh các sự cố và vài phút trước đó: "
    "các con số là ước lượng.",
)

NO_CALLS = Said(
    "No call of a language model was seen here.",
    "Không thấy lời gọi mô hình ngôn ngữ nào trong khoảng này.",
)
WHAT_TELLS = Said(
    "What would tell of them: an OpenTelemetry instrumentation of the LLM's client (spans with "
    "`gen_ai.*`), or the why504 probe, which sees requests that httpx sends to a provider it knows "
    "or to a path such as `/chat/completions`.",
    "Những gì có thể ghi nhận chúng: một bộ đo OpenTelemetry cho thư viện LLM (span có "
    "`gen_ai.*`), hoặc bộ dò why504, vốn thấy các yêu cầu mà httpx gửi tới nhà cung cấp đã biết "
    "hoặc tới đường dẫn như `/chat/completions`.",
)

CALLS = Said("Calls", "Lời gọi")
CALLS_HELP = Said(
    "Questions put to a model. Attempts at the same question are one call.",
    "Số câu hỏi gửi tới mô hình. Các lần thử của cùng một câu hỏi tính là một lời gọi.",
)
ANSWERED_SHARE = Said("Answered", "Được trả lời")
ANSWERED_SHARE_HELP = Said(
    "Share of the calls that ended for which the model itself gave an answer.",
    "Tỷ lệ lời gọi đã kết thúc mà chính mô hình đưa ra câu trả lời.",
)
OPEN = Said("Still open", "Còn đang mở")
OPEN_HELP = Said(
    "Calls that had not ended when their process was last heard of, pauses included.",
    "Lời gọi chưa kết thúc khi tiến trình được ghi nhận lần cuối, tính cả lúc đang chờ thử lại.",
)
REFUSED = Said("429 answers", "Trả lời 429")
REFUSED_HELP = Said(
    "Attempts that the provider refused because there were too many (HTTP 429).",
    "Số lần thử bị nhà cung cấp từ chối vì quá nhiều yêu cầu (HTTP 429).",
)
RETRIES = Said("Retries", "Thử lại")
RETRIES_HELP = Said(
    "Attempts that followed one that had failed.",
    "Số lần thử sau một lần thất bại.",
)
FALLBACKS = Said("Fallbacks", "Dự phòng")
FALLBACKS_HELP = Said(
    "Calls that were answered with a default, without the model. Told by the span attribute "
    "`why504.llm.fallback`.",
    "Lời gọi được trả lời bằng giá trị mặc định, không qua mô hình. Được ghi bởi thuộc tính span "
    "`why504.llm.fallback`.",
)
NOT_SENT = Said("Not sent", "Không gửi")
NOT_SENT_HELP = Said(
    "Calls that a circuit breaker kept from a provider that had failed too often.",
    "Lời gọi bị cầu dao (circuit breaker) chặn lại vì nhà cung cấp đã lỗi quá nhiều.",
)
UNBOUNDED = Said("Without a limit", "Không có thời hạn")
UNBOUNDED_HELP = Said(
    "Calls whose client had no time limit, of those of which the probe told: each can hang for "
    "as long as the provider likes.",
    "Lời gọi mà phía gọi không đặt thời hạn, trong số được bộ dò ghi nhận: mỗi lời gọi có thể "
    "treo bao lâu tùy nhà cung cấp.",
)
OF = Said("{number:,} of {all:,}", "{number:,} / {all:,}")
INPUT_TOKENS = Said("Tokens in", "Token vào")
OUTPUT_TOKENS = Said("Tokens out", "Token ra")
TOKENS_HELP = Said(
    "As the provider counted them, of the calls whose spans tell it.",
    "Theo cách đếm của nhà cung cấp, với các lời gọi có span ghi số này.",
)
MEDIAN = Said("Median time", "Thời gian trung vị")
MEDIAN_HELP = Said(
    "Half of the calls that ended took no longer than this, attempts and pauses included.",
    "Một nửa số lời gọi đã kết thúc không lâu hơn mức này, gồm cả các lần thử và lúc chờ.",
)
P99 = Said("p99 time", "Thời gian p99")
P99_HELP = Said(
    "99 of 100 calls that ended took no longer than this. What is still open is not in it.",
    "99 trên 100 lời gọi đã kết thúc không lâu hơn mức này. Không tính những gì còn đang mở.",
)
FIRST = Said("First token", "Token đầu tiên")
FIRST_HELP = Said(
    "Median time to the first piece of a streamed answer.",
    "Thời gian trung vị đến phần đầu tiên của câu trả lời dạng luồng.",
)

BY_TIME = Said("What became of the calls", "Kết quả của các lời gọi")
BY_TIME_READ = Said(
    "When they began, a row for each outcome; each row has a scale of its own. Point at a bar, or "
    "tap it, for its number.",
    "Thời điểm bắt đầu, mỗi kết quả một hàng; mỗi hàng có thang đo riêng. Trỏ hoặc chạm vào một "
    "cột để xem con số.",
)
SHADED = Said(
    "Shaded: the incident, which the figures are of.",
    "Phần tô nền: sự cố mà các số liệu nói về.",
)
ROW = Said("{outcome} · {number:,}", "{outcome} · {number:,}")
BUCKET = Said("at most {most:,} in {length}", "nhiều nhất {most:,} trong {length}")
BY_TIME_ALT = Said(
    "Bars over time, a row for each outcome of LLM calls: answered, refused, given up, failed, "
    "not sent, still open",
    "Các cột theo thời gian, mỗi hàng một kết quả của lời gọi LLM: được trả lời, bị từ chối, bị "
    "bỏ dở, lỗi, không gửi, còn mở",
)
OUTCOMES: Final = {
    "answered": Said("answered", "được trả lời"),
    "refused": Said("refused: 429", "bị từ chối: 429"),
    "given_up": Said("given up: timeout or cancelled", "bỏ dở: hết hạn hoặc bị hủy"),
    "failed": Said("failed otherwise", "lỗi khác"),
    "not_sent": Said("not sent: breaker open", "không gửi: cầu dao mở"),
    "open": Said("still open", "còn đang mở"),
}
BEGAN = Said("began", "bắt đầu")
NUMBER = Said("calls", "số lời gọi")
OUTCOME = Said("Outcome", "Kết quả")

LATENCY = Said("How long calls took", "Lời gọi mất bao lâu")
LATENCY_READ = Said(
    "Of calls that ended. Line: from the fastest 5 % to p99. Thick: the middle half. Mark: the "
    "median. The scale is logarithmic: each step is ten times as long.",
    "Chỉ tính lời gọi đã kết thúc. Đường mảnh: từ 5 % nhanh nhất đến p99. Đường dày: nửa ở giữa. "
    "Vạch: trung vị. Thang logarit: mỗi bước dài gấp mười.",
)
LATENCY_ALT = Said(
    "A line for each model from its fastest calls to its slowest, with the median marked",
    "Mỗi mô hình một đường từ lời gọi nhanh nhất đến chậm nhất, có đánh dấu trung vị",
)
SECONDS = Said("seconds", "giây")
TIMES = Said("median {median}, p99 {p99}", "trung vị {median}, p99 {p99}")
NO_MODEL = Said("model not told", "không rõ mô hình")

MODELS = Said("By model", "Theo mô hình")
ROUTES = Said("By route that called", "Theo đường dẫn gọi")
REASONS = Said("Why calls failed", "Vì sao lời gọi thất bại")
PROVIDER = Said("Provider", "Nhà cung cấp")
MODEL = Said("Model", "Mô hình")
ROUTE = Said("Route", "Đường dẫn")
REASON = Said("Status or error", "Mã hoặc lỗi")
FAILED = Said("Failed", "Thất bại")

PAUSES = Said("Pauses between attempts", "Khoảng chờ giữa các lần thử")
PAUSES_READ = Said(
    "After a refusal the provider may ask to wait (`Retry-After`); the client decides. Who comes "
    "too early is refused again; who waits inside a request lets its caller wait.",
    "Sau khi từ chối, nhà cung cấp có thể yêu cầu chờ (`Retry-After`); phía gọi tự quyết định. "
    "Thử lại quá sớm sẽ bị từ chối tiếp; chờ ngay trong yêu cầu thì người gọi cũng phải chờ.",
)
NO_PAUSES = Said(
    "No attempt was followed by a pause.", "Không có lần thử nào phải chờ trước khi thử lại."
)
PAUSES_N = Said("Pauses", "Lần chờ")
AFTER_429 = Said("After 429", "Sau 429")
ASKED = Said("Asked (median)", "Được yêu cầu (trung vị)")
ASKED_MOST = Said("Asked (longest)", "Được yêu cầu (lâu nhất)")
WAITED = Said("Waited (median)", "Đã chờ (trung vị)")
WAITED_MOST = Said("Waited (longest)", "Đã chờ (lâu nhất)")
EARLY = Said("Came too early", "Thử lại quá sớm")
NOT_RETRIED = Said("No retry seen", "Không thấy thử lại")

SLOWEST = Said("Slowest calls", "Các lời gọi chậm nhất")
BEGAN_AT = Said("Began", "Bắt đầu")
TOOK = Said("Took", "Mất")
ATTEMPTS = Said("Attempts", "Lần thử")
TRACE = Said("Trace", "Trace")
OPEN_ONE = Said(
    "Tick a row, or choose one here, to open its request",
    "Chọn một dòng, hoặc chọn ở đây, để mở yêu cầu của nó",
)
OPEN_REQUEST = Said("Open this request", "Mở yêu cầu này")
OPEN_LANGFUSE = Said("Open in Langfuse", "Mở trong Langfuse")
NO_PROMPTS = Said(
    "Prompts and answers are never read here.",
    "Trang này không bao giờ đọc câu hỏi và câu trả lời.",
)

"""Words of whoever may not look, or not yet."""

from __future__ import annotations

from typing import Final

from dashboards.admission import Verdict
from dashboards.language import Said

ASKED = Said(
    "What is shown here holds internals of a service. Sign in to look.",
    "Nội dung ở đây chứa thông tin nội bộ của một dịch vụ. Hãy đăng nhập để xem.",
)
SIGN_IN = Said("Sign in", "Đăng nhập")
SIGN_IN_WITH = Said("Sign in with {name}", "Đăng nhập bằng {name}")
SIGN_OUT = Said("Sign out", "Đăng xuất")
LINKS = Said(
    "If a link led you here, the sign-in leads on to it.",
    "Nếu bạn đến đây từ một liên kết, sau khi đăng nhập bạn sẽ được đưa tới đó.",
)
REFUSED: Final = {
    Verdict.NOT_LISTED: Said(
        "You are signed in, but not among those who may look. Whoever runs this explorer can add "
        "your address to WHY504_EXPLORER_ALLOW.",
        "Bạn đã đăng nhập nhưng không có trong danh sách được phép xem. Người vận hành có thể thêm "
        "địa chỉ của bạn vào WHY504_EXPLORER_ALLOW.",
    ),
    Verdict.UNVERIFIED: Said(
        "You are signed in, but your provider has not verified your e-mail address.",
        "Bạn đã đăng nhập nhưng nhà cung cấp chưa xác minh địa chỉ email của bạn.",
    ),
    Verdict.NOBODY_NAMED: Said(
        "Others than this machine can reach this explorer, and nobody said who may look. "
        "So it shows nothing.",
        "Máy khác cũng truy cập được trình khám phá này, nhưng chưa ai quy định người được phép "
        "xem. Vì vậy không hiển thị gì.",
    ),
    Verdict.NO_PROVIDER: Said(
        "It is said who may look, but no OpenID Connect provider is configured that could tell "
        "who somebody is. So it shows nothing.",
        "Đã quy định người được phép xem nhưng chưa cấu hình nhà cung cấp OpenID Connect để xác "
        "định danh tính. Vì vậy không hiển thị gì.",
    ),
}
SET_UP = Said(
    """
Whoever runs it has three ways:

1. serve it for this machine only: `why504 explorer` without `--host`;
2. let people sign in: `[auth]` in `.streamlit/secrets.toml`, and their addresses in
   `WHY504_EXPLORER_ALLOW`, such as `me@example.com,@example.org`;
3. leave the door to somebody else, such as a proxy that signs people in:
   `WHY504_EXPLORER_ALLOW=*`.

See docs/explorer.md, Who may look.
""",
    """
Người vận hành có ba cách:

1. chỉ phục vụ máy này: `why504 explorer` không kèm `--host`;
2. cho người dùng đăng nhập: `[auth]` trong `.streamlit/secrets.toml`, và địa chỉ của họ trong
   `WHY504_EXPLORER_ALLOW`, ví dụ `me@example.com,@example.org`;
3. để bên khác canh cửa, ví dụ một proxy có đăng nhập: `WHY504_EXPLORER_ALLOW=*`.

Xem docs/explorer.md, Who may look.
""",
)

"""The synchronous service as a fault has it: `uvicorn --factory lab.sync.app:create_app`.

`LAB_VARIANT` names the parts; the other variables are those of lab/app.py.
"""

from __future__ import annotations

import os

from starlette.types import ASGIApp


def create_app() -> ASGIApp:
    """Return the service with the parts of `LAB_VARIANT`."""
    from lab import stock

    provider = stock.stock_provider(os.environ["LAB_STOCK_ENDPOINT"])
    # Before SQLAlchemy is imported from: the instrumentor replaces functions.
    stock.instrument_sqlalchemy(provider)
    from lab.sync.service import create_service
    from lab.sync.variants import VARIANTS

    parts = VARIANTS[os.environ["LAB_VARIANT"]]
    return stock.instrument_asgi(create_service(parts, os.environ["LAB_BROKER_URL"]), provider)

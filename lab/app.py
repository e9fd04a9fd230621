"""The service as a fault has it: `uvicorn --factory lab.app:create_app`.

`LAB_VARIANT` names the adapters, `LAB_BROKER_URL` is what they publish to, `LAB_STOCK_ENDPOINT`
is where stock OpenTelemetry, beside the probe, sends its spans; without it there is none. All else
is the service's own.
"""

from __future__ import annotations

import os

from starlette.types import ASGIApp


def create_app() -> ASGIApp:
    """Return the service with the adapters of `LAB_VARIANT`."""
    endpoint = os.environ.get("LAB_STOCK_ENDPOINT")
    return _beside_stock(endpoint) if endpoint else _service()


def _beside_stock(endpoint: str) -> ASGIApp:
    from lab import stock

    provider = stock.stock_provider(endpoint)
    # Before the service is imported: the instrumentor replaces functions that it imports by name.
    stock.instrument_sqlalchemy(provider)
    return stock.instrument_asgi(_service(), provider)


def _service() -> ASGIApp:
    from lab.adapters.variants import VARIANTS
    from service.main import create_app as create_service

    adapters = VARIANTS[os.environ["LAB_VARIANT"]](os.environ["LAB_BROKER_URL"])
    return create_service(adapters=adapters)

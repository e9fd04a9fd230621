"""A delivery to a receiver on a real socket, for the tests of this folder."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from why504.watch.delivery import Delivery
from why504.watch.delivery_metrics import Delivered
from why504.watch.otlp import OtlpClient, target_of


def delivery_to(port: int, registry: CollectorRegistry | None = None) -> Delivery:
    """Return a delivery to a port of this machine; `registry` gets what it counts."""
    client = OtlpClient(target_of(f"http://127.0.0.1:{port}", {}))
    return Delivery(client.post, Delivered(registry or CollectorRegistry()))

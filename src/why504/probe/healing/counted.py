"""How often processes of this service were restarted, for Prometheus; 0 where nobody restarts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from why504 import names

if TYPE_CHECKING:
    from prometheus_client.core import Metric


class RestartCollector:
    """Asks the file that outlives processes: a counter of one of them would begin anew."""

    def __init__(self, total: Callable[[], int]) -> None:
        self._total = total

    def collect(self) -> Iterator[Metric]:
        """Yield the one metric."""
        from prometheus_client.core import CounterMetricFamily

        yield CounterMetricFamily(
            names.METRIC_RESTARTS,
            "Times that why504 restarted a process of this service on this machine.",
            value=self._total(),
        )

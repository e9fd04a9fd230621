"""Makes Mem0's asynchronous client without what it does to its host (mem0ai 2.2.1, read).

- Its constructor asks `/v1/ping/` with a synchronous request that has no timeout.
- Importing it takes seconds, makes a folder in the home directory and writes a user id there, and
  changes the process's warning filters.
- It reports each call to PostHog unless MEM0_TELEMETRY, read at its import, says no.
- It logs every failure, which we count.
"""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from typing import TYPE_CHECKING

import httpx

from service.application.settings import Settings

if TYPE_CHECKING:
    from mem0 import AsyncMemoryClient  # type: ignore[import-untyped]


def make_client(settings: Settings, api_key: str) -> AsyncMemoryClient:
    """Return a client that has made no request yet; takes seconds, so call it in a thread."""
    os.environ["MEM0_TELEMETRY"] = "False"
    os.environ.setdefault("MEM0_DIR", tempfile.mkdtemp(prefix="mem0-"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mem0 import AsyncMemoryClient
    logging.getLogger("mem0").setLevel(logging.CRITICAL)

    class Unasked(AsyncMemoryClient):  # type: ignore[misc]
        """A wrong key is learnt from the first call as well, and that one is bounded."""

        def _validate_api_key(self) -> None:
            # The ping's answer; only what administers a project needs it, but all must have it.
            self.org_id = self.project_id = "not asked"

    http = httpx.AsyncClient(timeout=settings.limits.memory_s)
    return Unasked(api_key=api_key, host=settings.mem0_base_url.rstrip("/"), client=http)

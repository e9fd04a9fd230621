"""Pauses between attempts inside clients of LLMs, as waits for `backoff:<provider>`.

Told while they last: a client that honours `Retry-After: 600` sleeps, and calls nobody meanwhile.
"""

from __future__ import annotations

import functools
import sys
from typing import Any, Final

from why504 import names
from why504.probe import site
from why504.probe.clients.httpcalls import retry_after_s
from why504.probe.inflight import Place
from why504.probe.kit import Kit, Patches
from why504.probe.spans.spanned import in_a_trace
from why504.probe.telling.openrecord import OpenRecord

_PROVIDERS: Final = ("groq", "openai", "anthropic")
"""Packages made by one generator, alike in this."""
_PAUSES: Final = "_sleep_for_retry"


class LlmPauses:
    """Wraps the clients once the application has imported them; never imports them itself."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._guard = kit.guard.site("llm client")
        self._patches = {provider: Patches() for provider in _PROVIDERS}

    def attach(self) -> None:
        """Wrap what is imported by now; does nothing the second time."""
        for provider, patches in self._patches.items():
            module = sys.modules.get(f"{provider}._base_client")
            sync = getattr(module, "SyncAPIClient", None)
            asynchronous = getattr(module, "AsyncAPIClient", None)
            if not patches and sync is not None and asynchronous is not None:
                patches.wrap(sync, _PAUSES, functools.partial(self._pauses, provider))
                patches.wrap(asynchronous, _PAUSES, functools.partial(self._pauses_async, provider))

    def detach(self) -> None:
        """Give the clients their own methods back."""
        for patches in self._patches.values():
            patches.undo()

    def _pauses(self, provider: str, pause: Any) -> Any:
        @functools.wraps(pause)
        def pauses(client: Any, **options: Any) -> None:
            wait = self._begin(provider, options.get("response"))
            outcome = "cancelled"
            try:
                pause(client, **options)
                outcome = "acquired"
            finally:
                self._end(wait, outcome)

        return pauses

    def _pauses_async(self, provider: str, pause: Any) -> Any:
        @functools.wraps(pause)
        async def pauses(client: Any, **options: Any) -> None:
            wait = self._begin(provider, options.get("response"))
            outcome = "cancelled"
            try:
                await pause(client, **options)
                outcome = "acquired"
            finally:
                self._end(wait, outcome)

        return pauses

    def _begin(self, provider: str, response: Any) -> OpenRecord | None:
        with self._guard:
            if not in_a_trace():
                return None
            place = Place.here()
            wait = self._kit.book.mint(names.WAIT, names.backoff(provider), place)
            wait.attributes = {
                names.THREAD_ID: place.thread_id,
                **site.attributes_of(site.user_line(site.current_lines())),
            }
            if response is not None:
                wait.attributes[names.BACKOFF_STATUS] = int(response.status_code)
                asked_s = retry_after_s(response.headers.get("retry-after"))
                if asked_s is not None:
                    wait.attributes[names.RETRY_AFTER_S] = asked_s
            self._kit.book.open(wait)
            return wait
        return None

    def _end(self, wait: OpenRecord | None, outcome: str) -> None:
        if wait is not None:
            with self._guard:
                self._kit.book.close(wait, outcome, publish=True)

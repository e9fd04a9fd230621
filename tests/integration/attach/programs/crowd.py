"""Started with two workers by uvicorn: the second one that gets a request hangs in it."""

import os
import time


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    print(f"inside {os.getpid()}", flush=True)
    time.sleep(600)

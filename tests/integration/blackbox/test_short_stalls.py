"""Short stalls that fill a loop's time are explained though none of them is long."""

from __future__ import annotations

import pytest

from tests.integration.blackbox.boxed_services import explained, run, serving, wait_until

SERVICE = """
import asyncio, time
from fastapi import FastAPI
import why504
app = FastAPI()
why504.instrument(app)

@app.get("/ok")
async def ok():
    return {}

@app.get("/chunks")
async def chunks():
    for _ in range(110):
        time.sleep(0.07)  # a chunk
        await asyncio.sleep(0.005)

@app.get("/victim")
async def victim():
    for _ in range(60):
        await asyncio.sleep(0)
"""
LINE = next(n for n, line in enumerate(SERVICE.splitlines(), 1) if "# a chunk" in line)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_loop_full_of_short_stalls_is_explained_by_the_line_they_share(tmp_path, loop):
    with serving(tmp_path, SERVICE, None, "--loop", loop) as service:
        service.ask_in_vain("/chunks")
        service.get("/victim", 60)
        found = wait_until(
            lambda: [
                one
                for one in explained("--black-box", service.box)
                if one["finding"]["cause"] == "B1"
            ],
            "the cause",
        )
        said = " ".join(run("explain", "--black-box", service.box).replace("│", " ").split())
    assert found[0]["finding"]["site"] == f"boxed.py:{LINE}"
    assert "told as one: they took" in said

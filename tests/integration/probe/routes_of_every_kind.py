"""An application with routes of every kind, for what compares spans."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, BackgroundTasks, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import JSONResponse, StreamingResponse
from opentelemetry import trace
from opentelemetry.trace import SpanKind

router, more = APIRouter(prefix="/v1"), APIRouter()


@router.get("/items/{item}")
async def item(item: int) -> int:
    return item


@router.post("/items")
async def make() -> str:
    return "made"


@router.get("/refuses")
async def refuses() -> str:
    raise HTTPException(403)


@router.get("/status/{code}")
async def status(code: int) -> JSONResponse:
    return JSONResponse({}, code)


@router.get("/raises")
async def raises() -> str:
    raise RuntimeError("meant")


@router.get("/handled")
async def handled() -> str:
    raise KeyError("meant")


@router.get("/stream")
async def stream() -> StreamingResponse:
    async def parts() -> Any:
        for part in ("a", "b", "c"):
            yield part

    return StreamingResponse(parts())


@router.get("/sync")
def sync() -> str:
    return "ok"


@more.get("/of/{what}")
async def of(what: str) -> str:
    return what


@router.get("/inner")
async def with_span() -> str:
    with trace.get_tracer("mine").start_as_current_span(
        "work", kind=SpanKind.CLIENT, attributes={"n": 1}
    ):
        trace.get_current_span().add_event("halfway", {"done": 0.5})
    return "ok"


@router.get("/background")
async def background(tasks: BackgroundTasks) -> str:
    def later() -> None:
        trace.get_tracer("mine").start_span("later").end()

    tasks.add_task(later)
    return "ok"


@router.get("/renames")
async def renames() -> str:
    trace.get_current_span().update_name("mine")
    return "ok"


@router.websocket("/socket/{number}")
async def socket(socket: WebSocket, number: int) -> None:
    await socket.accept()
    await socket.send_text(await socket.receive_text())
    await socket.close()


def make_app() -> FastAPI:
    app, inner = FastAPI(), FastAPI()

    @inner.get("/things/{thing}")
    async def thing(thing: int) -> int:
        return thing

    @app.exception_handler(KeyError)
    async def answer(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({}, 409)

    app.include_router(router)
    app.include_router(more, prefix="/more")
    app.mount("/inner", inner)
    return app

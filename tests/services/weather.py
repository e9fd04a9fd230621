"""Weather: `requests` inside `async def`.

`uvicorn weather:app`; STATION_URL is a station that measures.
"""

import os

import requests
from fastapi import APIRouter, FastAPI

import why504

router = APIRouter(prefix="/weather")


def ask_station(city: str) -> dict[str, float]:
    answer = requests.get(f"{os.environ['STATION_URL']}/now", params={"city": city})
    answer.raise_for_status()
    return answer.json()


@router.get("/{city}")
async def weather(city: str) -> dict[str, float]:
    return ask_station(city)


def create_app() -> FastAPI:
    app = FastAPI()
    app.include_router(router)

    @app.get("/cities")
    async def cities() -> list[str]:
        return ["Hanoi", "Huế", "Đà Nẵng"]

    why504.instrument(app)
    return app

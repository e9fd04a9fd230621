"""A bookshop: sync SQLAlchemy in `def` endpoints; a cart keeps its session until it is paid.

`uvicorn bookshop:app`; DATABASE_URL is a PostgreSQL.
"""

import os
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

import why504


class Base(DeclarativeBase):
    pass


class Line(Base):
    __tablename__ = "cart_line"

    id: Mapped[int] = mapped_column(primary_key=True)
    cart: Mapped[int]
    title: Mapped[str]


url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://")
engine = create_engine(url, pool_size=4, max_overflow=2)
SessionLocal = sessionmaker(engine)
Base.metadata.create_all(engine)
carts: dict[int, Session] = {}
app = FastAPI()
why504.instrument(app, engine=engine)


def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()


@app.get("/lines")
def lines(db: Annotated[Session, Depends(get_db)]) -> list[dict[str, Any]]:
    return [{"cart": line.cart, "title": line.title} for line in db.scalars(select(Line))]


@app.post("/carts/{cart}/lines")
def add(cart: int, title: str = "Truyện Kiều") -> int:
    db = carts.setdefault(cart, SessionLocal())
    db.add(Line(cart=cart, title=title))
    db.flush()
    return cart


@app.post("/carts/{cart}/pay")
def pay(cart: int) -> None:
    db = carts.pop(cart)
    db.commit()
    db.close()

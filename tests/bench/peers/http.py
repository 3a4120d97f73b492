"""Endpoints to compare submits with: one bare INSERT on psycopg2 in the thread pool, the same on asyncpg, and the usual
way: an ORM row, a commit, and `apply_async` in the request. `python -m tests.bench.peers.http <port>`.
"""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import psycopg2.pool
import uvicorn
from anyio import to_thread
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from tests.bench.peers.usual_celery import Job, noop

_URL = os.environ["BENCH_DATABASE_URL"]
_INSERT = "INSERT INTO usual_jobs (status, result) VALUES ('pending', {}) RETURNING id"
_THREADS = 16


class Submit(BaseModel):
    """What is asked for."""

    kind: str
    spec: dict[str, object]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Pools of the size that the platform's API has."""
    to_thread.current_default_thread_limiter().total_tokens = _THREADS
    app.state.threads = psycopg2.pool.ThreadedConnectionPool(_THREADS, _THREADS, _URL)
    async with asyncpg.create_pool(_URL, min_size=10, max_size=10) as pool:
        app.state.asyncpg = pool
        yield


app = FastAPI(lifespan=lifespan)
engine = create_engine(_URL.replace("postgresql://", "postgresql+psycopg2://"), pool_size=_THREADS)


@app.post("/psycopg2", status_code=202)
def on_psycopg2(body: Submit) -> dict[str, int]:
    """One INSERT."""
    connection = app.state.threads.getconn()
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(_INSERT.format("%s"), (body.kind,))
            return {"id": cursor.fetchone()[0]}
    finally:
        app.state.threads.putconn(connection)


@app.post("/asyncpg", status_code=202)
async def on_asyncpg(body: Submit) -> dict[str, int]:
    """One INSERT."""
    return {"id": await app.state.asyncpg.fetchval(_INSERT.format("$1"), body.kind)}


@app.post("/orm", status_code=202)
def on_orm(body: Submit) -> dict[str, int]:
    """A row, a commit, a message."""
    with Session(engine) as session:
        job = Job(result=body.kind)
        session.add(job)
        session.commit()
        noop.apply_async((job.id,))
        return {"id": job.id}


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_config=None, access_log=False)

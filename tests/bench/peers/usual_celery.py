"""The usual pattern: a job row that the task loads, changes and commits with an ORM session at each step, and
`update_state` for those who watch.
"""

import os
import time

from celery import Celery, Task
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

app = Celery("usual", broker=os.environ["BENCH_BROKER_URL"], backend=os.environ["BENCH_BROKER_URL"])
app.conf.update(
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    task_default_queue="usual",
    broker_connection_retry_on_startup=True,
)
engine = create_engine(os.environ["BENCH_DATABASE_URL"].replace("postgresql://", "postgresql+psycopg2://"))


class Base(DeclarativeBase):
    """Metadata of the peer."""


class Job(Base):
    """One job."""

    __tablename__ = "usual_jobs"
    id: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(default="pending")
    progress: Mapped[float] = mapped_column(default=0.0)
    result: Mapped[str | None]


def step(job_id: int, status: str, progress: float, result: str | None = None) -> None:
    """SELECT, UPDATE, COMMIT."""
    with Session(engine) as session:
        job = session.get_one(Job, job_id)
        job.status, job.progress, job.result = status, progress, result
        session.commit()


@app.task(name="usual.noop", bind=True)
def noop(self: "Task", job_id: int) -> int:
    """When it began."""
    began_ns = time.monotonic_ns()
    step(job_id, "running", 0.0)
    step(job_id, "running", 0.5)
    self.update_state(state="PROGRESS", meta={"progress": 0.5})
    step(job_id, "completed", 1.0, "done")
    return began_ns

"""How the harness speaks to the peers: their senders, and the rows of the usual pattern."""

import psycopg2
from celery import Celery

from tests.bench.world import World


def peer_app(world: World, queue: str) -> Celery:
    """An app that sends to a peer's queue, set up as the peer is."""
    app = Celery(queue, broker=world.broker_url, backend=world.broker_url, set_as_current=False)
    app.conf.update(task_default_queue=queue, task_acks_late=True)
    return app


def usual_jobs(database_url: str, count: int) -> list[int]:
    """Rows of jobs that wait; their ids."""
    connection = psycopg2.connect(database_url)
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS usual_jobs (id serial PRIMARY KEY, status text NOT NULL DEFAULT 'pending', "
            "progress double precision NOT NULL DEFAULT 0, result text)"
        )
        cursor.execute("INSERT INTO usual_jobs SELECT FROM generate_series(1, %s) RETURNING id", (count,))
        ids = [row[0] for row in cursor.fetchall()]
    connection.close()
    return ids

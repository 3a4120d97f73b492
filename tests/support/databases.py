"""Databases of a test's own on a server that many share."""

from uuid import uuid4

import psycopg2
from sqlalchemy.engine import make_url


def create_database(postgres_url: str, template: str = "template1") -> str:
    """The URL of a new database, a copy of `template`."""
    name = f"t{uuid4().hex}"
    plain = make_url(postgres_url).set(drivername="postgresql")
    connection = psycopg2.connect(plain.set(database="postgres").render_as_string(hide_password=False))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    connection.close()
    return plain.set(database=name).render_as_string(hide_password=False)

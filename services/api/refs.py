"""A thing is named in a path by its id or its name."""

from uuid import UUID

from sqlalchemy import ColumnElement

from shared.db.tenancy import Principal, Project


def named(table: type[Project] | type[Principal], ref: str) -> ColumnElement[bool]:
    """The condition that `ref` is the id or the name of a row of `table`. No name looks like an id."""
    try:
        return table.id == UUID(ref)
    except ValueError:
        return table.name == ref

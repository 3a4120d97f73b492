"""What all tables share."""

from datetime import datetime
from typing import Any

from sqlalchemy import Double, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import UserDefinedType

NOW = text("now()")


class Xid8(UserDefinedType[int]):
    """Number of a transaction, 64 bits: it does not wrap."""

    cache_ok = True

    def get_col_spec(self, **_options: Any) -> str:
        """Its name in SQL."""
        return "XID8"


ischema_names["xid8"] = Xid8


class Base(DeclarativeBase):
    """Declares the metadata."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads a plain dict
        datetime: TIMESTAMP(timezone=True),
        dict[str, Any]: JSONB,
        dict[str, str]: JSONB,
        list[str]: ARRAY(Text),
        list[float]: ARRAY(Double),
        list[Any]: JSONB,
        str: Text,
        float: Double,
    }

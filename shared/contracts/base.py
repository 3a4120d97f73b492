"""Two manners of reading: what a caller sends is checked to the letter, what we stored or answered is read leniently."""

from pydantic import BaseModel, ConfigDict


class Contract(BaseModel):
    """Input at the edge: frozen, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class View(BaseModel):
    """Output: frozen; a reader of an older release ignores fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="ignore")

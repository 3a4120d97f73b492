"""What one attempt of a delivery came to."""

from dataclasses import dataclass

#: the refusals of a receiver that pass: slow, busy with the same message, not ready for it, too many
_PASSING = frozenset({408, 409, 425, 429})


@dataclass(frozen=True)
class Answer:
    """The end of one attempt; what was not reached is None or empty."""

    ok: bool
    status: int | None
    latency_ms: float
    retry_after_s: float | None = None
    error: str | None = (
        None  #: its first word is the kind: timeout, refused, tls, dns, connection, protocol, http, smtp
    )
    excerpt: str = ""
    gone: bool = False  #: the receiver wants nothing more, ever (410)
    refused: bool = False  #: our own guard said no
    again: bool | None = None  #: said by protocols other than HTTP: whether a repeat may do better

    @property
    def worth_retrying(self) -> bool:
        """Whether the same delivery may do better later."""
        if self.ok or self.gone or self.refused:
            return False
        if self.again is not None:
            return self.again
        return self.status is None or not 400 <= self.status < 500 or self.status in _PASSING

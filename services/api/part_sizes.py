"""How a file is cut into parts."""

from shared.db.models import UploadSession

_PART_BYTES = 8 << 20
_MAX_PARTS = 1000  #: as many URLs in one answer


def part_bytes_for(size_bytes: int) -> int:
    """Bytes of each part but the last, for a file of that size."""
    return max(_PART_BYTES, -(-size_bytes // _MAX_PARTS))


def count_of(session: UploadSession) -> int:
    """How many parts the file has."""
    return -(-session.size_bytes // session.part_bytes)


def length_of(session: UploadSession, number: int) -> int:
    """Bytes of one part; numbers begin at 1."""
    return min(session.part_bytes, session.size_bytes - (number - 1) * session.part_bytes)

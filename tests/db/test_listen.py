"""The doorbell between processes."""

from shared.db.listen import RUNS_CHANNEL, Listener


def test_a_ring_after_the_end_is_heard_by_nobody_and_harms_nobody(empty_database_url: str) -> None:
    listener = Listener(empty_database_url, (RUNS_CHANNEL,))
    with listener:
        listener.ring()
        assert listener.wait(30) == []
    listener.ring()

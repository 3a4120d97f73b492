"""Counting runs under one parent."""

from typing import Any
from uuid import UUID

from shared.contracts.batches import Policy
from shared.db.session import transaction
from shared.runs.batch import submit_batch
from shared.runs.submit import Request
from tests.support.bodies import CountSpec
from tests.support.platform import Platform


def submit_counting(platform: Platform, kind: str, specs: list[dict[str, Any]], policy: Policy = "all") -> UUID:
    """Submit runs under one parent, each with a journal of its own (`j0`, `j1`, ...)."""
    requests = [
        Request(kind, CountSpec(journal=str(platform.journal(f"j{index}")), **spec)) for index, spec in enumerate(specs)
    ]
    with transaction(platform.engine) as session:
        return submit_batch(session, platform.settings, platform.caller, requests, policy, labels={})


def children_of(platform: Platform, parent: object) -> list[dict[str, Any]]:
    """Rows of the children, oldest first."""
    return platform.rows("SELECT * FROM runs WHERE parent_id = :id ORDER BY id", id=parent)

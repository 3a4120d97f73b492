"""A campaign begins: its parent run, its row, the trials of earlier campaigns that fit, and the first step."""

import hashlib
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shared.campaigns.checks import check, chosen, examples
from shared.campaigns.warm import carry
from shared.contracts.campaigns import ADVANCE, CAMPAIGN, CampaignRequest
from shared.contracts.kinds import kind_named
from shared.db.models import Campaign
from shared.errors import Conflict
from shared.runs import idempotency, outbox, parents
from shared.runs.inputs import pin_inputs
from shared.runs.submit import Caller, name_result
from shared.settings import Settings

_CLOCK = text("UPDATE campaigns SET active_since = now(), look_at = now() WHERE id = :id")


def submit_campaign(
    session: Session, settings: Settings, caller: Caller, request: CampaignRequest, key: str | None = None
) -> UUID:
    """Begin a campaign and return the id of it and of its parent run; the same id for a repeated key.

    Raises `UserError` for what could not work (see `checks`), `NotFound` or `NotReady` for an input or an earlier
    campaign, `Conflict` for a taken name."""
    digest = hashlib.sha256(request.model_dump_json().encode()).hexdigest()
    if key and (before := idempotency.replayed(session, caller.project_id, key, digest)):
        return before
    kind = kind_named(request.spec.kind)
    pool = settings.pool(request.pool or kind.pool)
    spec = check(request.spec, pool)
    example = examples(spec)[0]
    pin_inputs(session, caller.project_id, example)  # what the trials read is there
    parent = parents.open_parent(
        session,
        project_id=caller.project_id,
        created_by=caller.principal_id,
        kind=CAMPAIGN,
        spec=spec.model_dump(mode="json"),
        spec_version=spec.spec_version,
        labels=request.labels,
        priority=request.priority,
    )
    if kind.makes == "model" and spec.score_winner:
        name_result(session, caller, parent, kind.makes, example.model_copy(update={"name": spec.name}))
    values: dict[str, Any] = {"id": parent, "project_id": caller.project_id, "name": spec.name, "pool": pool.name}
    values |= {"max_parallel": spec.max_parallel, "budget": spec.budget.model_dump()}
    campaign = Campaign(**values, sampler=chosen(spec).model_dump())
    session.add(campaign)
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict(f"There is a campaign named {spec.name!r} already.", remedy="Choose another name.") from error
    campaign.carried, campaign.front = carry(session, caller.project_id, parent, spec)
    campaign.asked = campaign.carried
    session.flush()
    session.execute(_CLOCK, {"id": parent})
    outbox.put(session, ADVANCE, {"run_id": str(parent)})
    if key:
        idempotency.remember(session, caller.project_id, key, digest, parent)
    return parent

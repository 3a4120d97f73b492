"""The bodies of this service."""

from services.hpo import advance as _advance  # noqa: F401 - the step of the coordinator
from services.hpo import importance as _importance  # noqa: F401 - which parameters matter
from shared.contracts.campaign_report import REPORT
from shared.queue import run_task

run_task(REPORT, "services.hpo.report:write_report", mode="supervised")

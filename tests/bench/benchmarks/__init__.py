"""All benchmarks, in the order in which they run."""

from tests.bench.benchmarks.campaign import CAMPAIGN, HISTORY
from tests.bench.benchmarks.dispatch import DISPATCH
from tests.bench.benchmarks.listing import LISTING
from tests.bench.benchmarks.notices import NOTICES
from tests.bench.benchmarks.path import PATH
from tests.bench.benchmarks.progress import PROGRESS
from tests.bench.benchmarks.recovery import RECOVERY
from tests.bench.benchmarks.reporting import REPORTING
from tests.bench.benchmarks.sse import SSE
from tests.bench.benchmarks.start import START
from tests.bench.benchmarks.submit import SUBMIT

ALL = [PATH, START, PROGRESS, REPORTING, SUBMIT, DISPATCH, SSE, RECOVERY, LISTING, CAMPAIGN, HISTORY, NOTICES]

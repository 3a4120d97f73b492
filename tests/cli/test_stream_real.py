"""The streams of the SDK over a real API process that is killed in between."""

import threading
from uuid import UUID

from services.cli.sdk import Client
from services.cli.sdk.watching import NewsFilter
from shared.contracts.specs import GenerateSpec
from shared.contracts.stream import ProjectEventView
from tests.conftest import MakePlatform
from tests.support.platform import API_KEY, free_port, until


def test_the_stream_of_a_project_misses_nothing_and_doubles_nothing_over_a_killed_api(make_platform: MakePlatform):
    platform = make_platform()
    port = free_port()
    client = Client(platform.start_api(port=port), API_KEY)
    seen: list[ProjectEventView] = []
    enough = threading.Event()
    wanted: set[UUID] = set()

    def follow() -> None:
        for event in client.news(NewsFilter(types=["state"]), from_beginning=True):
            seen.append(event)
            if len(wanted) == 6 and {one.run_id for one in seen} >= wanted:
                enough.set()
                return

    def submit(name: str) -> None:
        wanted.add(client.submit("dataset.generate", GenerateSpec(name=name)).id)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    for number in range(3):
        submit(f"before-{number}")
    until(lambda: len(seen) >= 3, 60, "the first events do not come")
    platform.kill("api")
    platform.start_api("api-2", port=port)
    for number in range(3):
        submit(f"after-{number}")
    assert enough.wait(90), [event.run_id for event in seen]
    thread.join(30)
    names = [(event.run_id, event.seq) for event in seen]
    assert len(names) == len(set(names))
    assert {run_id for run_id, _ in names} == wanted

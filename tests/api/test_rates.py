"""How often one may ask."""

import pytest
from fastapi.testclient import TestClient

from services.api.rates import Buckets
from shared.settings import Rate
from tests.api.conftest import MakeClient
from tests.support.platform import API_KEY

SLOW = '{"per_s": 0.01, "burst": %d}'


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    clock = Clock()
    buckets = Buckets(Rate(per_s=2, burst=3), clock)
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    clock.now_s = 0.5
    assert [buckets.take("a"), buckets.take("a")] == [0, 0.5]
    assert buckets.take("b") == 0, "others are not concerned"
    clock.now_s = 1000
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 0.5], "never more than the burst"


def test_buckets_forget_who_was_not_seen_for_longest() -> None:
    buckets = Buckets(Rate(per_s=1, burst=1), Clock(), most=3)
    for name in "abca":
        buckets.take(name)
    for name in "def":
        buckets.take(name)
    assert len(buckets) == 3


def test_a_key_that_asks_too_often_is_told_when_to_come_back(make_client: MakeClient) -> None:
    client = make_client(FAULTLINE_KEY_RATE=SLOW % 3)
    answers = [client.get("/v1/me") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429] * 2, "the first made the key known"
    assert answers[-1].headers["content-type"] == "application/problem+json"
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 100
    assert "Wait" in answers[-1].json()["remedy"]
    other = client.post("/v1/keys", json={"name": "k"})
    assert other.status_code == 429


def test_other_keys_are_not_concerned(make_client: MakeClient) -> None:
    client = make_client(FAULTLINE_KEY_RATE=SLOW % 2)
    key = client.post("/v1/keys", json={"name": "k"}).json()["key"]
    for _ in range(3):
        client.get("/v1/me")
    assert client.get("/v1/me").status_code == 429
    assert client.get("/v1/me", headers={"Authorization": f"Bearer {key}"}).status_code == 200


def test_who_has_no_key_shares_the_bucket_of_its_address(make_client: MakeClient) -> None:
    client = make_client(FAULTLINE_ANONYMOUS_RATE=SLOW % 3)
    client.get("/v1/me")
    answers = [client.get("/v1/me", headers={"Authorization": ""}).status_code for _ in range(4)]
    assert answers == [401, 401, 429, 429]
    assert client.get("/v1/me").status_code == 200, "a key that is known is not concerned"


def test_guessing_keys_is_stopped_sooner_and_those_who_have_one_go_on(make_client: MakeClient) -> None:
    client = make_client(FAULTLINE_FAILED_RATE=SLOW % 3)
    client.get("/v1/me")
    guesses = [client.get("/v1/me", headers={"Authorization": f"Bearer fl_{n}"}).status_code for n in range(5)]
    assert guesses == [401, 401, 401, 429, 429]
    stream = "/v1/runs/11111111-1111-4111-8111-111111111111/events"
    assert client.get(stream, headers={"Authorization": "Bearer fl_x"}).status_code == 429, "nor over a stream"
    assert client.get("/v1/me").status_code == 200


def test_a_revoked_key_counts_as_a_guess(make_client: MakeClient) -> None:
    client = make_client(FAULTLINE_FAILED_RATE=SLOW % 2)
    made = client.post("/v1/keys", json={"name": "k"}).json()
    headers = {"Authorization": f"Bearer {made['key']}"}
    assert client.get("/v1/me", headers=headers).status_code == 200
    client.delete(f"/v1/keys/{made['id']}")
    assert [client.get("/v1/me", headers=headers).status_code for _ in range(3)] == [401, 401, 429]


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
def test_probes_are_never_refused(make_client: MakeClient, path: str) -> None:
    client = make_client(FAULTLINE_ANONYMOUS_RATE=SLOW % 1)
    assert {client.get(path, headers={"Authorization": ""}).status_code for _ in range(5)} == {200}


def test_streams_are_not_counted(make_client: MakeClient) -> None:
    client = make_client(FAULTLINE_KEY_RATE=SLOW % 1)
    stream = "/v1/runs/11111111-1111-4111-8111-111111111111/events"
    headers = {"Authorization": f"Bearer {API_KEY}"}
    assert {client.get(stream, headers=headers).status_code for _ in range(10)} == {404}


def test_a_refused_request_does_not_reach_its_body(make_client: MakeClient, client: TestClient) -> None:
    slow = make_client(FAULTLINE_KEY_RATE=SLOW % 1)
    slow.get("/v1/me")
    slow.get("/v1/me")
    answer = slow.post("/v1/uploads", files={"file": ("a.csv", b"1,2\n" * 1000)})
    assert answer.status_code == 429

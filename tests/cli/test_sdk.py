"""The SDK: patience where it is safe, errors with a remedy, events each once."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from uuid import uuid4

import httpx
import pytest

from services.cli.sdk import (
    ApiBusy,
    ApiConflict,
    ApiError,
    ApiFailed,
    ApiForbidden,
    ApiInvalid,
    ApiNotFound,
    ApiUnauthorized,
    Client,
    NotReachable,
)
from services.cli.sdk.events import MAX_EMPTY
from services.cli.sdk.patience import RETRIES
from shared.contracts.specs import GenerateSpec
from shared.errors import UserError
from tests.cli.fake_api import KEY, URL, FakeApi, problem


def spec() -> GenerateSpec:
    return GenerateSpec(name="d1")


def test_a_get_is_repeated_while_a_gateway_answers_for_the_api(api: FakeApi):
    api.outages = [502, 503, 504, httpx.ConnectError("refused")]
    assert api.client().me().principal == "ada"
    assert len(api.requests) == 5


def test_a_submit_is_repeated_under_one_idempotency_key(api: FakeApi):
    api.outages = [httpx.ReadError("gone"), 503]
    api.client().generate_dataset(spec())
    keys = {request.headers["Idempotency-Key"] for request in api.requests}
    assert len(api.requests) == 3
    assert len(keys) == 1


def test_two_submits_have_two_idempotency_keys(api: FakeApi):
    client = api.client()
    client.generate_dataset(spec())
    client.generate_dataset(spec())
    assert len({request.headers["Idempotency-Key"] for request in api.requests}) == 2


def test_an_upload_is_sent_whole_again_after_a_failure(api: FakeApi, tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"1,2\n" * 50_000)
    api.outages = [httpx.WriteError("gone"), 502]
    told: list[int] = []
    api.client().upload(path, told.append)
    assert api.uploads == [("a.csv", path.read_bytes())]
    assert max(told) == path.stat().st_size


def test_an_api_that_stays_away_is_not_reachable_after_a_bounded_number_of_tries(api: FakeApi):
    api.outages = [httpx.ConnectError("refused")] * 99
    with pytest.raises(NotReachable, match="refused"):
        api.client().me()
    assert len(api.requests) == RETRIES + 1


def test_pauses_grow_by_chance_and_are_never_shorter_than_the_server_asks():
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    words = ("2", date, "soon", "-1")
    answers = [
        httpx.Response(status, headers={"Retry-After": word})
        for status, word in zip((503, 429) * 2, words, strict=False)
    ]
    pauses: list[float] = []
    transport = httpx.MockTransport(lambda _: answers.pop(0) if answers else httpx.Response(204))
    Client(URL, KEY, transport=transport, sleep=pauses.append).http.get("/v1/me")
    assert 2.0 < pauses[0] < 2.2
    assert 20 < pauses[1] < 30.2
    assert 0.2 <= pauses[2] <= 0.4
    assert 0.4 <= pauses[3] <= 0.8


def test_a_server_that_asks_for_a_long_wait_is_not_waited_for_and_its_wish_is_told():
    busy = problem(429, "Too many requests.", "Wait 600 s.")
    busy.headers["Retry-After"] = "600"
    pauses: list[float] = []
    with pytest.raises(ApiBusy) as raised:
        Client(URL, KEY, transport=httpx.MockTransport(lambda _: busy), sleep=pauses.append).me()
    assert raised.value.retry_after_s == 600
    assert pauses == []


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, ApiUnauthorized), (403, ApiForbidden), (404, ApiNotFound), (409, ApiConflict), (422, ApiInvalid),
     (500, ApiFailed)],
)  # fmt: skip
def test_each_kind_of_refusal_has_its_own_error(status: int, error: type[ApiError]):
    transport = httpx.MockTransport(lambda _: problem(status, "No.", "Do."))
    with pytest.raises(error, match="No") as raised:
        Client(URL, KEY, transport=transport).me()
    assert raised.value.remedy == "Do."


def test_a_server_error_is_not_repeated():
    asked: list[httpx.Request] = []

    def broken(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return problem(500, "No.", "Do.")

    with pytest.raises(ApiFailed):
        Client(URL, KEY, transport=httpx.MockTransport(broken)).generate_dataset(spec())
    assert len(asked) == 1


def test_what_a_lost_answer_has_already_deleted_counts_as_deleted():
    answers: list[httpx.Response | Exception] = [
        httpx.ReadError("gone"),
        problem(404, "There is no such thing.", "List them."),
    ]

    def answer(_: httpx.Request) -> httpx.Response:
        given = answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    client = Client(URL, KEY, transport=httpx.MockTransport(answer), sleep=lambda _: None)
    assert client.http.delete("/v1/datasets/x").status_code == 204


def test_a_refusal_is_not_repeated_and_brings_its_remedy(api: FakeApi):
    with pytest.raises(ApiError) as raised:
        api.client().dataset("nope")
    assert raised.value.status == 404
    assert raised.value.message == "There is no dataset named 'nope'."
    assert raised.value.remedy == "List them."
    assert len(api.requests) == 1


def test_an_error_page_of_a_proxy_becomes_an_error_with_a_remedy():
    transport = httpx.MockTransport(lambda _: httpx.Response(500, text="<html>oops</html>"))
    with pytest.raises(ApiError, match="answered 500") as raised:
        Client(URL, KEY, transport=transport).me()
    assert raised.value.remedy


def test_a_page_that_is_no_api_is_told_as_such():
    transport = httpx.MockTransport(lambda _: httpx.Response(200, text="<html>welcome</html>"))
    with pytest.raises(ApiError, match="not one that a Faultline API"):
        Client(URL, KEY, transport=transport).me()


def test_a_redirect_does_not_carry_the_key_elsewhere():
    hosts: list[str] = []

    def redirect(request: httpx.Request) -> httpx.Response:
        hosts.append(request.url.host)
        return httpx.Response(302, headers={"Location": "http://elsewhere.example/"})

    with pytest.raises(ApiError):
        Client(URL, KEY, transport=httpx.MockTransport(redirect)).me()
    assert hosts == ["127.0.0.1"]


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8000", "ftp://h", "file:///etc", "http://", "http://[::", "http://h:99999", "http://h:x"]
)
def test_what_is_no_url_of_an_api_is_refused(url: str):
    with pytest.raises(UserError, match="not the URL"):
        Client(url, KEY)


@pytest.mark.parametrize("key", ["a\nb: c", "ключ"])
def test_a_key_that_cannot_stand_in_a_header_is_refused(key: str):
    with pytest.raises(UserError, match="key"):
        Client(URL, key)


def test_names_are_quoted_into_the_path(api: FakeApi):
    with pytest.raises(ApiError):
        api.client().dataset("runs?x=1")
    assert api.requests[0].url.raw_path == b"/v1/datasets/runs%3Fx%3D1"


def test_a_list_is_read_over_all_its_pages(api: FakeApi):
    for _ in range(450):
        api.submit("dataset.generate", {"name": "d"})
    assert len(api.client().runs(limit=430)) == 430
    assert [request.url.params["limit"] for request in api.requests] == ["200", "200", "30"]


@pytest.mark.parametrize("cuts", [[], [0], [1], [3, 0, 0, 2], [1] * 7, [6], [7]])
def test_events_over_dropped_connections_miss_nothing_and_double_nothing(api: FakeApi, cuts: list[int]):
    run = api.submit("dataset.generate", {"name": "d"})
    api.cuts = list(cuts)
    assert [event.seq for event in api.client().events(run.id)] == [1, 2, 3, 4, 5, 6, 7]


def test_events_survive_a_restart_of_the_api_in_the_middle(api: FakeApi):
    run = api.submit("dataset.generate", {"name": "d"})
    api.cuts = [3]
    seen = []
    for event in api.client().events(run.id):
        seen.append(event.seq)
        if event.seq == 3:
            api.outages = [httpx.ConnectError("refused"), 502, 503]
    assert seen == [1, 2, 3, 4, 5, 6, 7]
    assert api.requests[-1].headers["Last-Event-ID"] == "3"


def test_a_server_that_repeats_old_events_is_not_believed(api: FakeApi):
    run = api.submit("dataset.generate", {"name": "d"})
    story = api.events[run.id]
    api.events[run.id] = [*story[:3], story[1], story[2], *story[3:]]
    assert [event.seq for event in api.client().events(run.id)] == [1, 2, 3, 4, 5, 6, 7]


def test_events_begin_behind_the_number_that_is_given(api: FakeApi):
    run = api.submit("dataset.generate", {"name": "d"})
    assert [event.seq for event in api.client().events(run.id, after=5)] == [6, 7]


def test_the_events_of_a_run_that_is_over_end_at_once(api: FakeApi):
    run = api.submit("dataset.generate", {"name": "d"})
    assert list(api.client().events(run.id, after=7)) == []


def test_events_of_an_unknown_run_are_refused_at_once(api: FakeApi):
    with pytest.raises(ApiError, match="no such run"):
        list(api.client().events(uuid4()))
    assert len(api.requests) == 1


def test_an_api_that_never_comes_back_ends_the_watching(api: FakeApi):
    run = api.submit("dataset.generate", {"name": "d"})
    api.outages = [httpx.ConnectError("refused")] * 999
    pauses: list[float] = []
    with pytest.raises(NotReachable):
        list(api.client(pauses.append).events(run.id))
    assert len(api.requests) == MAX_EMPTY
    assert 30 < sum(pauses) < 120


def test_a_stream_that_closes_without_an_end_asks_the_run_whether_it_is_over(api: FakeApi):
    run = api.submit("dataset.generate", {"name": "d"})
    silent = httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=b"")

    def handler(request: httpx.Request) -> httpx.Response:
        return silent if request.url.path.endswith("/events") else api(request)

    client = Client(URL, KEY, transport=httpx.MockTransport(handler), sleep=lambda _: None)
    assert list(client.events(run.id)) == []


def test_the_fields_of_a_refusal_reach_the_caller():
    refusal = problem(422, "Not valid.", "Correct it.", [{"where": "body.name", "message": "too long"}])
    with pytest.raises(ApiError) as raised:
        Client(URL, KEY, transport=httpx.MockTransport(lambda _: refusal)).me()
    assert raised.value.errors == [{"where": "body.name", "message": "too long"}]

"""Messages: every kind says its facts, and nothing that users wrote becomes anything but text."""

from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.notifier.message import Link, Message
from services.notifier.rendering import render
from shared.contracts.notices import NOTICES
from shared.errors import Fatal
from shared.notices.titles import MOST_TITLE, title_of

AT = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
#: kind -> what its message must say
SAID: dict[str, tuple[str, ...]] = {
    "run.queued": ("Training bearing-cnn is queued", "default", "press-4"),
    "run.started": ("Training bearing-cnn has started", "running"),
    "run.progress": ("Training bearing-cnn has passed 50 %", "52 %", "epochs", "5 min 10 s"),
    "run.succeeded": ("Training bearing-cnn has succeeded", "6 min 53 s"),
    "run.failed": ("Training bearing-cnn has failed", "not a number", "What to do: Lower learning_rate.", "e-4f1c2a90"),
    "run.cancelled": ("Training bearing-cnn was cancelled",),
    "run.preempted": ("Training bearing-cnn lost its worker and goes on from its checkpoint",),
    "run.paused": ("Training bearing-cnn was set aside",),
    "run.resumed": ("Training bearing-cnn is queued again",),
    "run.quarantined": ("Training bearing-cnn crashed too often; a person must look", "e-4f1c2a90"),
    "dataset.ready": ("Dataset press-4 is ready", "161", "26 min 50 s", "outer_race 77"),
    "import.rejects": ("Import press-4 left out 1 file", "a.mat", "no variable DE_time – name the channel"),
    "accuracy.milestone": ("Training bearing-cnn has passed 95 % accuracy", "95.7 %", "12"),
    "leak.found": ("Evaluation bearing-cnn was scored on what was seen in training", "3 bearings are on both sides."),
    "campaign.started": ("Search wide-search has begun",),
    "campaign.trial_finished": ("Search wide-search: trial 12 has succeeded", "0.941", "0.962"),
    "campaign.best": ("Search wide-search: trial 11 is the best so far", "depth = 4, learning_rate = 0.0021"),
    "campaign.finished": ("Search wide-search has ended", "0.962"),
    "campaign.failed": ("Search wide-search has failed", "10 trials in a row have failed.", "e-4f1c2a90"),
    "quota.near": ("Project default has used 85.4 % of its GPU hours of the day", "41", "48"),
    "system.maintenance": ("Maintenance: The GPU pool is drained tonight.", "25 Nov 2026, 20:00 UTC"),
    "channel.disabled": ("Channel ops-hook was switched off", "14", "HTTP 500"),
    "digest": ("1 notice of the last day", "Training bearing-cnn has failed", "24 Nov 2026, 08:30 UTC"),
    "test": ("A test of channel ops-hook", "anna"),
}
#: a busy machine is no failure
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
FIELDS = sorted({field for kind in NOTICES.values() for field in kind.payload.model_fields})
HOSTILE = st.one_of(
    st.text(max_size=400),
    st.sampled_from(
        [
            "<script>alert(1)</script>",
            '"><img src=x onerror=alert(1)>',
            "{{ 7 * 7 }}{% for x in y %}",
            "Subject\r\nBcc: all@example.org",
            "a\u2028b\u202egnp.exe",
            "x" * 5000,
            "@everyone <!channel>",
            "\ud800\x00",
        ]
    ),
)


class Page(HTMLParser):
    """What a reader of HTML sees: the tags, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str | None] = []
        self.words: list[str] = []
        self._styled = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._styled = tag == "style"
        if tag == "a":
            self.links.append(dict(attrs)["href"])

    def handle_endtag(self, tag: str) -> None:
        self._styled = False

    def handle_data(self, data: str) -> None:
        if not self._styled:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def rendered(kind: str, data: dict[str, Any] | None = None, **more: Any) -> Message:
    return render(kind, NOTICES[kind].example if data is None else data, AT, **more)


@pytest.mark.parametrize("kind", NOTICES)
def test_every_kind_says_its_facts_as_text_and_as_html(kind: str) -> None:
    message = rendered(kind)
    title, *facts = SAID[kind]
    assert message.subject == title
    shown = Page(message.html).text
    assert title in shown
    for fact in [*facts, "24 Nov 2026, 08:30 UTC"]:
        assert fact in message.text
        assert fact in shown


@pytest.mark.parametrize("kind", NOTICES)
def test_a_page_fetches_nothing_and_runs_nothing(kind: str) -> None:
    page = Page(rendered(kind, links=[Link("Show the run", "https://f.example/runs/1")]).html)
    assert not {"img", "link", "script", "iframe", "object", "form", "svg"} & set(page.tags)
    assert page.links == ["https://f.example/runs/1"]


def test_links_and_the_way_out_stand_in_the_page() -> None:
    links = [Link("Show the run", "https://f.example/r?a=1&b=2"), Link("Acknowledge", "https://f.example/ack")]
    message = rendered("run.failed", links=links, unsubscribe_url="https://f.example/out", base_url="https://f.example")
    page = Page(message.html)
    assert page.links == ["https://f.example/r?a=1&b=2", "https://f.example/ack", "https://f.example/out"]
    assert "Faultline at https://f.example" in page.text
    assert message.links_text == "Show the run: https://f.example/r?a=1&b=2\nAcknowledge: https://f.example/ack"


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://f.example/a\nb", "https://f.example/ö", "/runs/1"])
def test_a_link_that_is_not_a_plain_http_address_is_no_link(url: str) -> None:
    with pytest.raises(Fatal):
        rendered("test", links=[Link("Show", url)])


@UNHURRIED
@given(words=HOSTILE, name=HOSTILE, label=HOSTILE)
def test_what_users_wrote_stays_text(words: str, name: str, label: str) -> None:
    hostile = {"reason": words, "remedy": words, "name": name, "labels": {label: words}, "project": name}
    usual, message = rendered("run.failed"), rendered("run.failed", NOTICES["run.failed"].example | hostile)
    assert set(Page(message.html).tags) <= {*Page(usual.html).tags, "p", "strong"}
    assert len(message.subject) <= MOST_TITLE
    assert message.subject.isprintable()
    assert all(line.isprintable() for line in message.text.splitlines())
    assert len(message.text) < 6000
    assert len(message.html) < 60_000


@UNHURRIED
@given(words=HOSTILE)
def test_a_template_in_a_name_is_not_carried_out(words: str) -> None:
    shown = Page(rendered("test", {"channel": "{{ 7 * 7 }}" + words, "asked_by": "{% raw %}"}).html).text
    assert "{{ 7 * 7 }}" in shown
    assert "{% raw %}" in shown


@UNHURRIED
@given(kind=st.sampled_from(list(NOTICES)), data=st.dictionaries(st.sampled_from(FIELDS), HOSTILE, max_size=5))
def test_a_title_is_one_line_whatever_the_data_are(kind: str, data: dict[str, str]) -> None:
    title = title_of(kind, data)
    assert title.isprintable()
    assert 0 < len(title) <= MOST_TITLE


def test_a_long_digest_shows_its_beginning_and_says_how_many_more() -> None:
    one = NOTICES["digest"].example["notices"][0]
    data = NOTICES["digest"].example | {"count": 53, "notices": [one] * 30, "counts": {"run.failed": 53}}
    message = rendered("digest", data)
    assert message.text.count("Training bearing-cnn has failed") == 20
    assert "and 33 more" in message.text
    assert "and 33 more" in Page(message.html).text


def test_times_are_told_by_the_clock_of_the_reader() -> None:
    assert "24 Nov 2026, 09:30 CET" in rendered("test", zone="Europe/Berlin").text


def test_a_search_that_was_cancelled_is_not_called_a_success() -> None:
    data = NOTICES["campaign.finished"].example | {"state": "cancelled"}
    message = rendered("campaign.finished", data)
    assert (message.subject, message.severity) == ("Search wide-search was cancelled", "info")


def test_severities_follow_from_the_kinds() -> None:
    found = {kind: rendered(kind).severity for kind in NOTICES}
    assert {kind for kind, severity in found.items() if severity == "failure"} == {
        "run.failed",
        "run.quarantined",
        "campaign.failed",
    }
    assert all(found[kind] in {"failure", "warning"} for kind, known in NOTICES.items() if known.urgent)


def test_a_kind_or_data_that_are_none_of_ours_are_refused_without_repeating_them() -> None:
    with pytest.raises(Fatal, match="no notice of kind"):
        rendered("run.exploded", {})
    with pytest.raises(Fatal) as caught:
        rendered("test", {"channel": ["s3cret"]})
    assert "s3cret" not in str(caught.value)

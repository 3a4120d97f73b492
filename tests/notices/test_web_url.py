"""`shared.notices.web_url`: which URLs are taken, and that a refusal does not tell what is secret in them."""

import pytest
from structlog.testing import capture_logs

from shared.notices.guard import Refused
from shared.notices.web_url import WebUrl

REFUSED = [
    ("http://hooks.example.com/s3cret", "hooks.example.com"),
    ("HTTP://hooks.example.com/s3cret", "hooks.example.com"),
    ("ftp://hooks.example.com/s3cret", "hooks.example.com"),
    ("gopher://10.0.0.1/s3cret", "10.0.0.1"),
    ("file:///s3cret", ""),
    ("//hooks.example.com/s3cret", "hooks.example.com"),
    ("hooks.example.com/s3cret", ""),
    ("https:///s3cret", ""),
    ("https:/hooks.example.com/s3cret", ""),
    ("https://me:s3cret@hooks.example.com/", "hooks.example.com"),
    ("https://hooks.example.com@10.0.0.1/s3cret", "10.0.0.1"),
    ("https://@10.0.0.1/s3cret", "10.0.0.1"),
    ("https://hooks.example.com%40@10.0.0.1/s3cret", "10.0.0.1"),
    ("https://10.0.0.1\\@hooks.example.com/s3cret", "hooks.example.com"),
    ("https://hooks.example.com\\s3cret", "hooks.example.com"),
    ("https://hooks.example.com\t/s3cret", "hooks.example.com"),
    (" https://hooks.example.com/s3cret", "hooks.example.com"),
    ("https://hooks.example.com/s3cret\r\nHost: other", "hooks.example.com"),
    ("https://hooks.example.com/s3cret\x00", "hooks.example.com"),
    ("https://bücher.example/s3cret", "bücher.example"),
    ("https://hooks.example.com/s3cret-ü", "hooks.example.com"),
    ("https://①②⑦.⓪.⓪.①/s3cret", "①②⑦.⓪.⓪.①"),
    ("https://127%2e0%2e0%2e1/s3cret", "127"),
    ("https://hooks.example.com:/s3cret", "hooks.example.com"),
    ("https://hooks.example.com:x/s3cret", "hooks.example.com"),
    ("https://hooks.example.com:443:80/s3cret", "hooks.example.com"),
    ("https://[::1%25eth0]/s3cret", ""),
    ("https://[::1/s3cret", ""),
    ("https://[::1]x/s3cret", "[::1]"),  # newer Pythons do not split it
    ("https://[v1.x]/s3cret", ""),
    ("", ""),
]


@pytest.mark.parametrize(("url", "host"), REFUSED)
def test_a_url_that_is_not_plainly_https_is_refused_and_logged_without_its_secrets(url: str, host: str) -> None:
    with capture_logs() as logs, pytest.raises(Refused) as error:
        WebUrl.of(url)
    assert [(line["log_level"], line["reason"]) for line in logs] == [("warning", error.value.reason)]
    assert logs[0]["host"] == error.value.host
    assert error.value.host in {host, ""}
    assert "s3cret" not in f"{logs} {error.value} {error.value.reason}"


def test_a_url_is_taken_apart() -> None:
    assert WebUrl.of("HTTPS://Hooks.Example.com/a/b?c=d&e#f") == WebUrl("https", "hooks.example.com", 443, "/a/b?c=d&e")
    assert WebUrl.of("https://[2606:4700::1111]:8443") == WebUrl("https", "2606:4700::1111", 8443, "/")
    assert WebUrl.of("http://hooks.example.com", allow_http=True) == WebUrl("http", "hooks.example.com", 80, "/")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://a.example:443/", "a.example"),
        ("https://a.example:80/", "a.example:80"),
        ("https://[2606:4700::1111]:8443/", "[2606:4700::1111]:8443"),
    ],
)
def test_the_host_header_has_the_port_where_it_is_not_the_usual_one(url: str, place: str) -> None:
    assert WebUrl.of(url).place == place


@pytest.mark.parametrize(
    ("start", "location", "path"),
    [
        ("https://a.example/x/y", "z?q", "/x/z?q"),
        ("https://a.example/x/y", "/z", "/z"),
        ("https://a.example/x", "//A.example/z", "/z"),
        ("https://a.example/x", "https://a.example:443/z", "/z"),
        ("http://a.example/x", "https://a.example/x", "/x"),
    ],
)
def test_a_redirect_may_lead_to_the_same_host_and_from_http_to_https(start: str, location: str, path: str) -> None:
    moved = WebUrl.of(start, allow_http=True).moved(location, allow_http=True)
    assert moved == WebUrl("https", "a.example", 443, path)


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("https://b.example/s3cret", "a redirect leads to another host"),
        ("//169.254.169.254/s3cret", "a redirect leads to another host"),
        ("https://2852039166/s3cret", "a redirect leads to another host"),
        ("http://a.example/s3cret", "a redirect leads from https to http"),
        ("https://a.example:8443/s3cret", "a redirect leads to another port"),
        ("https://me:s3cret@a.example/", "the URL holds a user or a password"),
        ("https://a.example\\@b.example/s3cret", "the URL holds blanks, backslashes or characters that are not ASCII"),
        ("gopher://a.example/s3cret", "the URL is not https"),
        ("https://[s3cret", "a redirect leads to what cannot be read"),
        ("//a\u2100.example/s3cret", "a redirect leads to what cannot be read"),
    ],
)
def test_a_redirect_elsewhere_is_refused(location: str, reason: str) -> None:
    with capture_logs() as logs, pytest.raises(Refused) as error:
        WebUrl.of("https://a.example/x").moved(location, allow_http=True)
    assert error.value.reason == reason
    assert len(logs) == 1
    assert "s3cret" not in str(logs)

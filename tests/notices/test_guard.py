"""`shared.notices.guard`: where a delivery may go, and that no way of writing an address gets round it."""

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from shared.notices.guard import Guard, Refused, Unresolved

PUBLIC = "93.184.215.14"


def resolving_to(*addresses: str) -> Guard:
    return Guard(resolve=lambda host, port: addresses)


def refused(guard: Guard, host: str, port: int = 443) -> str:
    """The reason, after a look at the log."""
    with capture_logs() as logs, pytest.raises(Refused) as error:
        guard.check(host, port)
    assert [(line["log_level"], line["host"], line["reason"]) for line in logs] == [
        ("warning", error.value.host, error.value.reason)
    ]
    return error.value.reason


NOT_PUBLIC = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:a9fe:a9fe",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::10.0.0.1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_refused_as_it_is_and_behind_a_name(address: str) -> None:
    assert refused(resolving_to(PUBLIC), address)
    assert str(ip_address(address)) in refused(resolving_to(address), "hooks.example.com")


@pytest.mark.parametrize("address", [PUBLIC, "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::5db8:d70e"])
def test_a_public_address_is_returned_as_it_is_and_behind_a_name(address: str) -> None:
    assert resolving_to("10.0.0.1").check(address, 443) == [ip_address(address)]
    assert resolving_to(address, address).check("Hooks.Example.COM", 8443) == [ip_address(address)]


@pytest.mark.parametrize("addresses", [(PUBLIC, "10.0.0.1"), ("10.0.0.1", PUBLIC), ("2606:4700::1111", "::1")])
def test_one_address_that_is_not_public_among_others_refuses_the_name(addresses: Sequence[str]) -> None:
    assert "10.0.0.1 is private" in (why := refused(resolving_to(*addresses), "hooks.example.com")) or "::1" in why


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0X7F.0.0.1",
        "127.1",
        "127.0.1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.01",
        "127.0.0.1.",
        "localhost.",
        "hooks.example.com.",
        "example.0x",
        "1.2.3.4.5",
        "256.256.256.256",
        "fe80::1%eth0",
        "2606:4700::1111%1",
        "127.0.0.1%2e",
        "[::1]",
        "user@127.0.0.1",
        "127.0.0.1:80",
        "127.0.0.1/x",
        "127.0.0.1#.example.com",
        "127.0.0.1\\.example.com",
        "127.0.0.1\x00.example.com",
        "127.0.0.1 example.com",
        " 127.0.0.1",
        "１２７.0.0.1",
        "①②⑦.⓪.⓪.①",
        "١٢٧.٠.٠.١",
        "127。0。0。1",
        "ⓛocalhost",
        "bücher.example",
        "",
        ".",
        "-a.example",
        "a..example",
        f"{'a' * 64}.example",
        ".".join(["a" * 60] * 5),
    ],
)
def test_what_is_not_plainly_a_name_or_an_address_is_refused_before_anybody_is_asked_for_it(host: str) -> None:
    def never(name: str, port: int) -> Sequence[str]:
        raise AssertionError(name)

    assert refused(Guard(resolve=never), host)


@pytest.mark.parametrize(
    "name",
    ["metadata", "metadata.google.internal", "instance-data.ec2.internal", "LOCALHOST", "x.localhost", "printer.local"],
)
def test_a_name_of_an_inner_network_is_refused_wherever_it_leads_but_into_an_allowed_network(name: str) -> None:
    assert "inner network" in refused(resolving_to(PUBLIC), name)
    allowing = Guard([ip_network("10.1.0.0/16")], resolve=lambda host, port: ["10.1.2.3"])
    assert allowing.check(name, 443) == [ip_address("10.1.2.3")]


def test_an_allowed_network_lets_in_its_own_addresses_only() -> None:
    guard = Guard([ip_network("10.1.0.0/16"), ip_network("fd00:1::/32")])
    assert guard.check("10.1.255.1", 443) == [ip_address("10.1.255.1")]
    assert guard.check("fd00:1::5", 443) == [ip_address("fd00:1::5")]
    assert "10.2.0.1 is private" in refused(guard, "10.2.0.1")
    assert refused(guard, "::ffff:10.1.0.1")


@pytest.mark.parametrize("port", [0, -1, 65_536])
def test_a_port_that_does_not_exist_is_refused(port: int) -> None:
    assert refused(resolving_to(PUBLIC), "hooks.example.com", port) == f"there is no port {port}"


def test_a_name_that_is_public_first_and_private_then_is_refused_at_the_second_look() -> None:
    answers = iter([[PUBLIC], ["169.254.169.254"]])
    guard = Guard(resolve=lambda host, port: next(answers))
    assert guard.check("rebinding.example.com", 443) == [ip_address(PUBLIC)]
    assert refused(guard, "rebinding.example.com") == "169.254.169.254 is link-local"


def test_a_name_without_an_address_is_no_refusal_because_it_may_have_one_later() -> None:
    def nowhere(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(Unresolved, match=r"hooks\.example\.com has no address: Name or service not known"):
        Guard(resolve=nowhere).check("hooks.example.com", 443)
    with pytest.raises(Unresolved):
        resolving_to().check("hooks.example.com", 443)


def test_a_resolver_that_hangs_is_left_behind_in_time() -> None:
    ended = Event()

    def hanging(host: str, port: int) -> Sequence[str]:
        ended.wait()
        return [PUBLIC]

    with pytest.raises(TimeoutError):
        Guard(resolve=hanging).check("hooks.example.com", 443, within_s=0.05)
    ended.set()


def test_the_systems_resolver_is_asked_for_names() -> None:
    assert Guard([ip_network("127.0.0.0/8"), ip_network("::1/128")]).check("localhost", 443)
    assert "loopback" in (why := refused(Guard(), "localhost")) or "::1" in why


PRIVATE = st.one_of(
    *(
        st.integers(int(ip_network(net)[0]), int(ip_network(net)[-1]))
        for net in ("10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
    )
)
NUMBER = st.sampled_from(["{}", "0x{:x}", "0X{:X}", "0x{:08x}", "0{:o}", "000{:o}"])
DIGITS = st.sampled_from([None, 0xFF10, 0x0660, 0x0966, 0x1D7CE])


@st.composite
def written(draw: st.DrawFn) -> str:
    """A private IPv4 address in a form that some reader of addresses understands."""
    value = draw(PRIVATE)
    dots = draw(st.integers(0, 3))
    parts = [(value >> (24 - 8 * part)) & 0xFF for part in range(dots)] + [value & ((1 << (32 - 8 * dots)) - 1)]
    text = ".".join(draw(NUMBER).format(part) for part in parts)
    zero = draw(DIGITS)
    if zero is not None:
        text = "".join(chr(zero + int(c)) if c.isdigit() else c for c in text)
    dot = draw(st.sampled_from([".", ".", "。", "．"]))
    return text.replace(".", dot) + draw(st.sampled_from(["", "", ".", "%eth0", " "]))


@st.composite
def wrapped(draw: st.DrawFn) -> str:
    """The same inside an IPv6 address, in its short or its long form."""
    value = draw(PRIVATE)
    prefix, shift = draw(
        st.sampled_from([("::ffff:0:0", 0), ("::", 0), ("64:ff9b::", 0), ("64:ff9b:1::", 0), ("2002::", 80)])
    )
    teredo = IPv6Address(int(IPv6Address("2001::")) | (value ^ 0xFFFF_FFFF))
    address = draw(st.sampled_from([IPv6Address(int(IPv6Address(prefix)) | value << shift), teredo]))
    return draw(st.sampled_from([str(address), address.exploded, address.exploded.upper()]))


@given(st.one_of(written(), wrapped()))
def test_no_textual_form_of_a_private_ipv4_address_gets_through(host: str) -> None:
    with pytest.raises(Refused):
        resolving_to(PUBLIC).check(host, 443)


@given(PRIVATE)
def test_no_private_ipv4_address_gets_through_behind_a_name(value: int) -> None:
    with pytest.raises(Refused):
        resolving_to(PUBLIC, str(IPv4Address(value))).check("hooks.example.com", 443)


@given(st.text(max_size=60) | st.from_regex(r"[0-9a-fA-FxX.:\[\]%]{1,30}", fullmatch=True))
def test_whatever_the_system_takes_for_an_address_is_returned_as_it_is_or_refused(host: str) -> None:
    try:
        addresses = resolving_to("8.8.8.8").check(host, 443)
    except Refused:
        return
    try:
        meant = socket.inet_ntoa(socket.inet_aton(host))
    except (OSError, UnicodeError, ValueError):
        return
    assert addresses == [ip_address(meant)]

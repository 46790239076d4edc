"""The address guard against the table of everything that must be refused, and against the standard library."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.egress import EgressPolicy, EgressSettingsError, Guard, Proxy, parse_networks
from hookline.egress.addresses import unwrap
from unit.egress.ssrf_table import ADDRESSES, METADATA, NAMES, NOT_ADDRESSES, URLS

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.0.3.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
    "168.63.129.15",
    "168.63.129.17",
    "2606:4700:4700::1111",
    "2a00:1450:4001:82a::200e",
    "2000::1",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2001:db7:ffff::1",
    "2001:db9::1",
    "2003::1",
    "2620:4f:7fff::1",
    "2620:4f:8001::1",
    "3ffe:ffff::1",
]


def test_table_is_as_large_as_promised() -> None:
    tried = {*ADDRESSES, *NOT_ADDRESSES, *URLS, *NAMES}
    assert len(tried) >= 500
    assert len(URLS) >= 260
    assert len(ADDRESSES) >= 200


@pytest.mark.parametrize("address", ADDRESSES)
def test_refuses_special_addresses(address: str) -> None:
    assert not Guard(EgressPolicy()).judge(address).allowed


@pytest.mark.parametrize("text", NOT_ADDRESSES)
def test_refuses_what_is_not_an_address(text: str) -> None:
    # Even with everything allowed: what cannot be read is not judged, and what is not judged is not connected to.
    verdict = Guard(EgressPolicy.from_settings(allow="0.0.0.0/0,::/0")).judge(text)
    assert (verdict.allowed, verdict.rule) == (False, "not_an_address")


@pytest.mark.parametrize("address", PUBLIC)
def test_allows_public_addresses(address: str) -> None:
    verdict = Guard(EgressPolicy()).judge(address)
    assert (verdict.allowed, verdict.rule, verdict.listed) == (True, "public", False)


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_is_never_laxer_than_the_standard_library(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    verdict = Guard(EgressPolicy()).judge(str(address))
    if verdict.allowed:
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=4), st.sampled_from(["::ffff:{}", "::{}", "64:ff9b::{}", "64:ff9b:1::{}", "::ffff:0:{}"]))
def test_finds_the_address_inside(inner: ipaddress.IPv4Address, form: str) -> None:
    wrapped = unwrap(int(ipaddress.IPv6Address(form.format(inner))))
    assert wrapped is not None
    assert wrapped[1] == int(inner)


def test_allow_list_opens_its_networks_only() -> None:
    guard = Guard(EgressPolicy.from_settings(allow="127.0.0.0/8,::1/128 10.1.0.0/16"))
    for address in ("127.0.0.1", "127.9.9.9", "::1", "10.1.255.255"):
        verdict = guard.judge(address)
        assert (verdict.allowed, verdict.listed) == (True, True)
    for address in ("10.2.0.1", "192.168.0.1", "::2", "::", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1"):
        assert not guard.judge(address).allowed


def test_a_wrapper_needs_both_itself_and_its_content_allowed() -> None:
    guard = Guard(EgressPolicy.from_settings(allow="64:ff9b::/96"))
    assert guard.judge("64:ff9b::808:808").allowed
    assert not guard.judge("64:ff9b::a00:1").allowed
    both = Guard(EgressPolicy.from_settings(allow="64:ff9b::/96,10.0.0.0/8"))
    assert both.judge("64:ff9b::a00:1").allowed
    assert not both.judge("64:ff9b::a9fe:a9fe").allowed


@pytest.mark.parametrize("address", METADATA)
def test_a_wide_allow_list_never_opens_metadata_services(address: str) -> None:
    assert not Guard(EgressPolicy.from_settings(allow="0.0.0.0/0,::/0")).judge(address).allowed
    assert Guard(EgressPolicy.from_settings(allow=address)).judge(address).allowed


def test_deny_beats_allow() -> None:
    guard = Guard(EgressPolicy.from_settings(allow="10.0.0.0/8", deny="10.0.0.5,8.8.8.8/32,2a00::/12"))
    assert guard.judge("10.0.0.4").allowed
    assert not guard.judge("10.0.0.5").allowed
    assert not guard.judge("8.8.8.8").allowed
    assert not guard.judge("2a00:1450:4001:82a::200e").allowed


def test_verdicts_are_remembered_without_growing_forever() -> None:
    guard = Guard(EgressPolicy())
    for value in range(20_000):
        guard.judge(str(ipaddress.IPv4Address(0x08000000 + value)))
    assert len(guard._verdicts) <= 16_384


@pytest.mark.parametrize("text", ["10.0.0.0/33", "10.0.0.1/8", "localhost", "::1/129", "1.2.3"])
def test_unusable_networks_are_refused(text: str) -> None:
    with pytest.raises(EgressSettingsError):
        parse_networks(text)


def test_proxy_hides_its_credentials() -> None:
    proxy = Proxy.parse("http://user:p%40ss@proxy.example:3128")
    assert (proxy.host, proxy.port) == ("proxy.example", 3128)
    assert proxy.authorization() == "Basic dXNlcjpwQHNz"
    assert "p@ss" not in repr(EgressPolicy(proxy=proxy))
    assert Proxy.parse("http://[::1]:3128").host == "::1"


@pytest.mark.parametrize(
    "url", ["proxy.example:3128", "https://proxy:1", "http://proxy", "http://:1", "http://p:0", "http://p:x"]
)
def test_unusable_proxies_are_refused(url: str) -> None:
    with pytest.raises(EgressSettingsError):
        Proxy.parse(url)

"""The URL gate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.egress import EgressPolicy, Reason, UrlRefused, parse_url
from unit.egress.ssrf_table import ADDRESSES, NAMES, URLS

STRICT = EgressPolicy()
LOCAL = EgressPolicy.from_settings(allow="127.0.0.0/8,::1/128")

ACCEPTED = {
    "https://example.com": "https://example.com/",
    "https://example.com/": "https://example.com/",
    "HTTPS://EXAMPLE.COM/Path": "https://example.com/Path",
    "https://example.com:443/x": "https://example.com/x",
    "https://example.com:8443/x": "https://example.com:8443/x",
    "https://example.com./x": "https://example.com/x",
    "https://example.com?a=b": "https://example.com/?a=b",
    "https://example.com/a/../b?x=1&y=%20#".rstrip("#"): "https://example.com/a/../b?x=1&y=%20",
    "https://example.com/@me/a:b;c,d=e!$&'()*+~": "https://example.com/@me/a:b;c,d=e!$&'()*+~",
    "https://example.com/?next=https://user@127.0.0.1/&a[]=1": "https://example.com/?next=https://user@127.0.0.1/&a[]=1",
    "https://m\u00fcnchen.example/": "https://xn--mnchen-3ya.example/",
    "https://M\u00dcNCHEN.example/": "https://xn--mnchen-3ya.example/",
    "https://xn--mnchen-3ya.example/": "https://xn--mnchen-3ya.example/",
    "https://my_service.example/": "https://my_service.example/",
    "https://1.1.1.1/": "https://1.1.1.1/",
    "https://[2606:4700:4700:0:0:0:0:1111]:8443/x": "https://[2606:4700:4700::1111]:8443/x",
    "https://1e100.net/": "https://1e100.net/",
    "https://0x7f.example/": "https://0x7f.example/",
    "https://a.example:65535/": "https://a.example:65535/",
}


@pytest.mark.parametrize("url", URLS)
def test_refuses(url: str) -> None:
    with pytest.raises(UrlRefused) as refusal:
        parse_url(url, STRICT)
    assert refusal.value.code in {"invalid_url", "blocked_address", "blocked_port"}
    assert str(refusal.value).endswith(".")


@pytest.mark.parametrize("address", ADDRESSES)
def test_refuses_literals_of_special_addresses(address: str) -> None:
    literal = f"[{address}]" if ":" in address else address
    with pytest.raises(UrlRefused) as refusal:
        parse_url(f"https://{literal}:8443/hook", STRICT)
    assert refusal.value.reason is Reason.BLOCKED_ADDRESS
    # The customer is told the same whatever stands there: no port scanner, no map of the network.
    assert address not in str(refusal.value)


@pytest.mark.parametrize("name", NAMES)
def test_passes_names_to_be_judged_by_their_addresses(name: str) -> None:
    assert parse_url(f"https://{name}/", STRICT).host == name


@pytest.mark.parametrize(("url", "canonical"), ACCEPTED.items())
def test_rebuilds(url: str, canonical: str) -> None:
    target = parse_url(url, STRICT)
    assert target.canonical == canonical
    assert parse_url(target.canonical, STRICT) == target


RULES = {
    "https://user@example.com/": "userinfo",
    "https://2130706433/": "ipv4",
    "https://0x7f.1/": "ipv4",
    "https://[::1%lo]/": "ipv6",
    "https://example.com:0443/": "port",
    "https://exa$mple.com/": "host",
    "https://xn--a.com/": "idna",
    "https://example.com/#x": "fragment",
    "https://example.com/{id}": "path",
    "https://example.com/a b": "characters",
    "ftp://example.com/": "scheme",
    "http://example.com/": "cleartext",
    "": "length",
    "https://localhost/": "host",
    "https://10.0.0.1/": "private",
    "https://169.254.169.254/": "metadata",
}


@pytest.mark.parametrize(("url", "rule"), RULES.items())
def test_says_which_rule_refused(url: str, rule: str) -> None:
    with pytest.raises(UrlRefused) as refusal:
        parse_url(url, STRICT)
    assert refusal.value.rule == rule


def test_reads_the_parts() -> None:
    target = parse_url("https://Example.com.:8443/a?b", STRICT)
    assert (target.scheme, target.host, target.port) == ("https", "example.com", 8443)
    assert (target.authority, target.path_and_query, target.is_ip_literal) == ("example.com:8443", "/a?b", False)
    literal = parse_url("http://[::1]/", LOCAL)
    assert (literal.host, literal.authority, literal.is_ip_literal) == ("::1", "[::1]", True)


def test_plain_http_is_for_listed_networks() -> None:
    assert parse_url("http://127.0.0.1:8080/", LOCAL).port == 8080
    assert parse_url("http://localhost/", LOCAL).host == "localhost"
    # A name may lead into a listed network, which only its addresses can tell; a public literal cannot.
    assert parse_url("http://receiver.internal.example/", LOCAL).scheme == "http"
    with pytest.raises(UrlRefused):
        parse_url("http://1.1.1.1/", LOCAL)
    assert parse_url("http://1.1.1.1/", EgressPolicy(allow_http=True)).port == 80


def test_operator_may_set_ports_and_hosts() -> None:
    assert parse_url("https://example.com:22/", EgressPolicy(denied_ports=frozenset())).port == 22
    with pytest.raises(UrlRefused) as refusal:
        parse_url("https://HOOKS.example/", EgressPolicy(denied_hosts=frozenset({"hooks.example"})))
    assert refusal.value.reason is Reason.BLOCKED_ADDRESS


@given(st.text(max_size=60))
def test_never_fails_otherwise(text: str) -> None:
    for url in (text, f"https://{text}", f"https://{text}/", f"https://example.com/{text}"):
        try:
            target = parse_url(url, STRICT)
        except UrlRefused:
            continue
        assert target.canonical.isascii()
        assert target.canonical.isprintable()
        assert " " not in target.canonical
        assert parse_url(target.canonical, STRICT) == target

"""Entities: frozen, and nothing secret in whatever shows them."""

from __future__ import annotations

import io

import msgspec
import pytest
import rich.console
import rich.pretty

from hookline.model import (
    ApiKeyAuth,
    BasicAuth,
    BearerAuth,
    ClientCertificate,
    EndpointSecret,
    Extras,
    OAuth2Auth,
)
from support.samples import WHSEC, make_endpoint, make_message


def _show_with_rich(value: object) -> str:
    out = io.StringIO()
    console = rich.console.Console(file=out, width=500)
    console.print(value)
    console.print(rich.pretty.Pretty(value, expand_all=True))
    return out.getvalue()


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r}".format, _show_with_rich, lambda value: f"{[value]}"])
def test_nothing_shows_a_secret(show):
    endpoint = make_endpoint("standard", WHSEC, headers={"authorization": "Bearer hush"}, token="hush")
    for value in (endpoint, endpoint.secrets[0], endpoint.secrets, {"endpoint": endpoint}):
        text = show(value)
        assert WHSEC not in text
        assert WHSEC[6:] not in text
        assert "hush" not in text
        assert "Endpoint" in text


@pytest.mark.parametrize("show", [repr, str, "{!r}".format, _show_with_rich, lambda value: f"{[value]}"])
@pytest.mark.parametrize(
    "auth",
    [
        BasicAuth("hush", "hush"),
        BearerAuth("hush"),
        ApiKeyAuth("x-key", "hush"),
        OAuth2Auth("https://a.example/token", "hush", "hush", "hush", parameters={"audience": "hush"}),
    ],
)
def test_nothing_shows_a_credential(show, auth):
    extras = Extras(
        filter={"hush": 1}, transform="hush", auth=auth, client_certificate=ClientCertificate("hush", "hush")
    )
    for value in (auth, extras, extras.client_certificate):
        assert "hush" not in show(value)
    assert "client_certificate" in show(extras)


def test_secret_still_shows_its_dates():
    assert repr(EndpointSecret(WHSEC, 5, 7)) == "EndpointSecret(key=***, created_at_ms=5, expires_at_ms=7)"


def test_entities_are_frozen():
    message = make_message()
    with pytest.raises(AttributeError):
        message.payload = b"other"
    with pytest.raises(AttributeError):
        make_endpoint().url = "https://other.example"


def test_endpoint_survives_json():
    endpoint = make_endpoint("cloudevents", WHSEC, mode="batch")
    assert msgspec.json.decode(msgspec.json.encode(endpoint), type=type(endpoint)) == endpoint

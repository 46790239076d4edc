"""The operator's own certificate authorities: trusted beside the system's, for deliveries of a whole server."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from hookline.egress import build_context
from hookline.server.environment import SettingsError
from hookline.server.runtime import egress_policy
from support.server import Receiver, RunningServer, Tenant, settings_for


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def test_a_delivery_to_a_receiver_with_the_operators_authority(tmp_path: Path, authority: trustme.CA) -> None:
    file = tmp_path / "authorities.pem"
    authority.cert_pem.write_to_path(str(file))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with Receiver(context) as receiver:
        with RunningServer(settings_for(tmp_path, egress_ca_file=file)) as server:
            tenant = Tenant(server)
            app_id = tenant.http.post("/app", json={"name": "App"}).json()["id"]
            tenant.http.post(f"/app/{app_id}/endpoint", json={"url": f"{receiver.url}/200/x"})
            msg_id = tenant.http.post(f"/app/{app_id}/msg", json={"eventType": "a.b", "payload": {}}).json()["id"]
            assert receiver.next().headers["webhook-id"] == msg_id
            tenant.close()
        with RunningServer(settings_for(tmp_path, retry_schedule="3600")) as server:  # without it: not trusted
            tenant = Tenant(server)
            app_id = tenant.http.post("/app", json={"name": "App"}).json()["id"]
            tenant.http.post(f"/app/{app_id}/endpoint", json={"url": f"{receiver.url}/200/x"})
            msg_id = tenant.http.post(f"/app/{app_id}/msg", json={"eventType": "a.b", "payload": {}}).json()["id"]
            attempts = []
            while not attempts:
                attempts = tenant.http.get(f"/app/{app_id}/attempt/msg/{msg_id}").json()["data"]
            assert attempts[0]["reason"] == "tls"
            tenant.close()
        assert receiver.arrived.empty()


def test_the_systems_authorities_stay_trusted_beside_the_operators_and_an_endpoints_own(authority: trustme.CA) -> None:
    from hookline.egress import TlsOptions

    extra = authority.cert_pem.bytes().decode()
    plain = build_context(None).cert_store_stats()["x509_ca"]
    assert build_context(None, extra).cert_store_stats()["x509_ca"] == plain + 1
    own = TlsOptions(ca_pem=trustme.CA().cert_pem.bytes().decode())
    assert build_context(own, extra).cert_store_stats()["x509_ca"] == plain + 2


@pytest.mark.parametrize(
    "content", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
)
def test_a_file_without_certificates_is_refused_at_the_start(tmp_path: Path, content: str) -> None:
    file = tmp_path / "authorities.pem"
    file.write_text(content)
    with pytest.raises(SettingsError, match="HOOKLINE_EGRESS_CA_FILE"):
        egress_policy(settings_for(tmp_path, egress_ca_file=file))

"""What is created says where it is: at the public address of the server, whatever the client called it."""

from __future__ import annotations

from urllib.parse import urlsplit

from support.server import RunningServer, Tenant, settings_for


def test_what_is_created_says_where_it_is(tmp_path):
    settings = settings_for(tmp_path, public_url="https://hooks.example.com/in")
    with RunningServer(settings) as server:
        tenant = Tenant(server)
        made = [
            tenant.http.post("/app", json={"name": "A", "uid": "a"}),
            tenant.http.put("/app/b", json={"name": "B", "uid": "b"}),
            tenant.http.post("/app/a/endpoint", json={"url": "http://127.0.0.1:59999/"}),
            tenant.http.put("/app/a/endpoint/mine", json={"url": "http://127.0.0.1:59999/", "uid": "mine"}),
        ]
        for answer in made:
            assert answer.status_code == 201, answer.text
            location = answer.headers["location"]
            assert location.startswith("https://hooks.example.com/in/api/v1/app/")
            path = urlsplit(location).path.removeprefix("/in/api/v1")
            assert tenant.http.get(path).json()["id"] == answer.json()["id"]
        again = tenant.http.post("/app?get_if_exists=true", json={"name": "A", "uid": "a"})
        assert again.status_code == 200
        assert "location" not in again.headers
        tenant.close()

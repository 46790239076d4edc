"""Background responses, and what is passed on, driven by the official clients against a small real backend."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai as sdk
import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI

from support.model_server import ModelServer
from support.postgres import PostgresServer
from support.server import POSTGRES_SECRETS, Receiver, RunningServer, Tenant, settings_for

ENDS = ["response.completed", "response.failed", "response.cancelled", "response.incomplete"]
PATIENCE_S = 20


@pytest.fixture(scope="module")
def models() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


@pytest.fixture(autouse=True)
def fresh(models: ModelServer) -> Iterator[None]:
    models.script, models.always, models.has_responses = [], None, True
    models.asked.clear()
    models.go_on.clear()
    while models.begun.acquire(blocking=False):
        pass
    yield
    models.go_on.set()


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, models: ModelServer
) -> Iterator[RunningServer]:
    changes: dict[str, Any] = {
        "openai_backend": models.url,
        "openai_backend_key": "the backend's own",
        "openai_backend_attempts": 2,
        "openai_backend_timeout_s": 2.0,
        "openai_most_queued": 30,
    }
    if request.param == "postgres":
        postgres: PostgresServer = request.getfixturevalue("postgres_server")
        changes |= {"database_url": postgres.dsn(postgres.create_database()), **POSTGRES_SECRETS}
    with RunningServer(settings_for(tmp_path_factory.mktemp("server"), **changes)) as running:
        yield running


@pytest.fixture
def client(server: RunningServer, tenant: Tenant) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.url}/openai/v1", api_key=tenant.token, max_retries=0) as made:
        yield made


@pytest.fixture(params=["openai/v1", "v1", "azure"])
def any_client(request: pytest.FixtureRequest, server: RunningServer, tenant: Tenant) -> Iterator[OpenAI]:
    with contextlib.ExitStack() as clients:
        if request.param == "azure":
            made: OpenAI = AzureOpenAI(
                azure_endpoint=server.url, api_key=tenant.token, api_version="2025-04-01-preview"
            )
        else:
            made = OpenAI(base_url=f"{server.url}/{request.param}", api_key=tenant.token)
        yield clients.enter_context(made)


def await_end(client: OpenAI, response_id: str) -> Any:
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        found = client.responses.retrieve(response_id)
        if found.status not in {"queued", "in_progress"}:
            return found
    raise AssertionError(f"still {found.status}")


def listen(client: OpenAI, receiver: Receiver) -> str:
    made = client.webhooks.create(name="Ends", url=f"{receiver.url}/200/hook", event_types=ENDS)
    return made.signing_secret


def await_event(client: OpenAI, receiver: Receiver, secret: str) -> Any:
    arrived = receiver.next()
    return client.webhooks.unwrap(arrived.body, arrived.headers, secret=secret)


def test_a_response_is_queued_ends_and_announces_itself(any_client: OpenAI, receiver: Receiver, models: ModelServer):
    secret = listen(any_client, receiver)
    models.script = ["wait"]
    made = any_client.responses.create(
        model="small", input="hello", background=True, instructions="Shout.", metadata={"order": "7"}, temperature=0.5
    )
    assert (made.status, made.background, made.output, made.output_text) == ("queued", True, [], "")
    assert (made.instructions, made.metadata, made.temperature) == ("Shout.", {"order": "7"}, 0.5)
    models.await_request()
    assert any_client.responses.retrieve(made.id).status == "in_progress"
    assert receiver.arrived.empty()
    models.go_on.set()
    event = await_event(any_client, receiver, secret)
    assert (event.type, event.data.id) == ("response.completed", made.id)
    done = any_client.responses.retrieve(made.id)
    assert (done.id, done.status, done.output_text) == (made.id, "completed", "HELLO")
    assert done.usage.total_tokens == 3
    assert done.created_at == made.created_at
    path, asked, headers = models.asked[0]
    assert (path, asked["background"], asked["store"], asked["input"]) == ("/v1/responses", False, False, "hello")
    assert headers["authorization"] == "Bearer the backend's own"
    items = any_client.responses.input_items.list(made.id)
    assert [item.content[0].text for item in items] == ["hello"]
    assert any_client.responses.cancel(made.id).status == "completed"
    any_client.responses.delete(made.id)
    with pytest.raises(sdk.NotFoundError):
        any_client.responses.retrieve(made.id)
    assert receiver.arrived.empty()


@pytest.mark.parametrize("azure", [False, True])
async def test_asynchronous_clients_do_the_same(server: RunningServer, tenant: Tenant, *, azure: bool):
    made: AsyncOpenAI = (
        AsyncAzureOpenAI(azure_endpoint=server.url, api_key=tenant.token, api_version="2025-04-01-preview")
        if azure
        else AsyncOpenAI(base_url=f"{server.url}/openai/v1", api_key=tenant.token)
    )
    async with made as client:
        response = await client.responses.create(
            model="small", input=[{"role": "user", "content": "a"}, {"role": "user", "content": "b"}], background=True
        )
        assert response.status == "queued"
        async with contextlib.AsyncExitStack():
            until_s = time.monotonic() + PATIENCE_S
            while response.status in {"queued", "in_progress"} and time.monotonic() < until_s:
                response = await client.responses.retrieve(response.id)
        assert (response.status, response.output_text) == ("completed", "B")
        items = [item async for item in client.responses.input_items.list(response.id, limit=1, order="asc")]
        assert [item.content[0].text for item in items] == ["a", "b"]
        chat = await client.chat.completions.create(model="small", messages=[{"role": "user", "content": "hi"}])
        assert chat.choices[0].message.content == "HI"
        await client.responses.delete(response.id)


def test_a_backend_without_responses_is_asked_for_chat_completions(
    server: RunningServer, client: OpenAI, models: ModelServer
):
    models.has_responses = False
    try:
        made = client.responses.create(
            model="small",
            background=True,
            instructions="Be brief.",
            max_output_tokens=50,
            top_p=0.5,
            input=[{"role": "user", "content": [{"type": "input_text", "text": "hello"}]}],
        )
        done = await_end(client, made.id)
        assert (done.status, done.output_text, done.usage.input_tokens) == ("completed", "HELLO", 4)
        path, asked, _ = models.asked[-1]
        assert path == "/v1/chat/completions"
        assert asked == {
            "model": "small",
            "top_p": 0.5,
            "max_tokens": 50,
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}],
        }
        cut = client.responses.create(model="small", input="long", background=True, max_output_tokens=1)
        ended = await_end(client, cut.id)
        assert (ended.status, ended.incomplete_details.reason) == ("incomplete", "max_output_tokens")
        tool = {"type": "function", "name": "f", "parameters": {}, "strict": True}
        refused = client.responses.create(model="small", input="x", background=True, tools=[tool])
        ended = await_end(client, refused.id)
        assert (ended.status, ended.error.code) == ("failed", "invalid_prompt")
        assert "tools" in ended.error.message
        assert client.responses.create(model="small", input="now").output_text == "NOW"
    finally:
        server.runtime.backend._chat_until_s = float("-inf")


@pytest.mark.parametrize("step", [500, 503, "garbage", "not_http", "cut", (429, {"retry-after": "0"})])
def test_what_fails_once_is_tried_again(client: OpenAI, models: ModelServer, step: Any):
    models.script = [step]
    made = client.responses.create(model="small", input="again", background=True)
    assert await_end(client, made.id).output_text == "AGAIN"
    assert len(models.asked) == 2


@pytest.mark.parametrize(
    ("always", "code", "tries"),
    [
        (500, "server_error", 2),
        ("garbage", "server_error", 2),
        ("not_http", "server_error", 2),
        ("cut", "server_error", 2),
        ((429, {"retry-after": "1"}), "rate_limit_exceeded", 2),
        (400, "invalid_prompt", 1),
        (401, "server_error", 1),
        ((302, {"location": "http://127.0.0.1:1/"}), "server_error", 1),
    ],
)
def test_what_fails_for_good_announces_that_once(
    client: OpenAI, receiver: Receiver, models: ModelServer, always: Any, code: str, tries: int
):
    secret = listen(client, receiver)
    models.always = always
    made = client.responses.create(model="small", input="in vain", background=True)
    event = await_event(client, receiver, secret)
    assert (event.type, event.data.id) == ("response.failed", made.id)
    failed = client.responses.retrieve(made.id)
    assert (failed.status, failed.error.code, failed.output) == ("failed", code, [])
    assert failed.error.message
    assert len(models.asked) == tries
    assert receiver.arrived.empty()


def test_a_slow_backend_fails_when_its_time_is_over(client: OpenAI, receiver: Receiver, models: ModelServer):
    secret = listen(client, receiver)
    models.always = "wait"
    made = client.responses.create(model="small", input="slow", background=True)
    assert await_event(client, receiver, secret).type == "response.failed"
    assert "in time" in client.responses.retrieve(made.id).error.message


def test_retry_after_is_waited_for(client: OpenAI, models: ModelServer):
    models.script = [(429, {"retry-after": "2"})]
    made = client.responses.create(model="small", input="later", background=True)
    began_s = time.monotonic()
    assert await_end(client, made.id).status == "completed"
    assert time.monotonic() - began_s > 1.5


def test_cancel_wins_over_an_answer_under_way(client: OpenAI, receiver: Receiver, models: ModelServer):
    secret = listen(client, receiver)
    models.script = ["wait"]
    made = client.responses.create(model="small", input="never mind", background=True)
    models.await_request()
    assert client.responses.cancel(made.id).status == "cancelled"
    models.go_on.set()
    event = await_event(client, receiver, secret)
    assert (event.type, event.data.id) == ("response.cancelled", made.id)
    assert client.responses.cancel(made.id).status == "cancelled"
    other = client.responses.create(model="small", input="next", background=True)
    assert await_event(client, receiver, secret).data.id == other.id
    found = client.responses.retrieve(made.id)
    assert (found.status, found.output) == ("cancelled", [])


def test_deleting_what_is_under_way_cancels_it(client: OpenAI, receiver: Receiver, models: ModelServer):
    secret = listen(client, receiver)
    models.script = ["wait"]
    made = client.responses.create(model="small", input="gone", background=True)
    models.await_request()
    client.responses.delete(made.id)
    event = await_event(client, receiver, secret)
    assert (event.type, event.data.id) == ("response.cancelled", made.id)
    with pytest.raises(sdk.NotFoundError):
        client.responses.cancel(made.id)


def test_what_cannot_be_in_the_background_is_refused(client: OpenAI):
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"store": False}, "store"),
        ({"stream": True}, "stream"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"temperature": 3}, "temperature"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"input": ""}, "input"),
        ({"model": ""}, "model"),
        ({"background": "yes"}, "background"),
    ]
    for changes, member in wrong:
        body = {"model": "small", "input": "x", "background": True, **changes}
        with pytest.raises(sdk.BadRequestError) as caught:
            client.post("/responses", body=body, cast_to=object)
        assert caught.value.param == member


def test_foreground_responses_cannot_be_cancelled(client: OpenAI):
    made = client.responses.create(model="small", input="now")
    assert (made.status, made.output_text) == ("completed", "NOW")
    with pytest.raises(sdk.BadRequestError):
        client.responses.cancel(made.id)


def test_the_number_of_open_responses_is_bounded(client: OpenAI, models: ModelServer):
    models.always = "wait"
    made = [client.responses.create(model="small", input="wait", background=True) for _ in range(30)]
    with pytest.raises(sdk.RateLimitError) as caught:
        client.responses.create(model="small", input="one too many", background=True)
    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.response.headers["retry-after"]
    for response in made:
        assert client.responses.cancel(response.id).status == "cancelled"
    assert client.responses.create(model="small", input="room again", background=True).status == "queued"


def test_nobody_sees_the_responses_of_others(
    client: OpenAI, server: RunningServer, tenant: Tenant, neighbour: Tenant, models: ModelServer
):
    made = client.responses.create(model="small", input="mine", background=True)
    await_end(client, made.id)
    application = tenant.http.post("/app", json={"name": "Other"}).json()["id"]
    for token in (neighbour.token, tenant.app_token(application)):
        with OpenAI(base_url=f"{server.url}/openai/v1", api_key=token, max_retries=0) as stranger:
            calls = (stranger.responses.retrieve, stranger.responses.cancel, stranger.responses.delete)
            for call in (*calls, stranger.responses.input_items.list):
                with pytest.raises((sdk.NotFoundError, sdk.PermissionDeniedError)):
                    call(made.id)
    assert client.responses.retrieve(made.id).status == "completed"


def test_the_deletion_of_an_application_removes_its_responses(
    server: RunningServer, client: OpenAI, tenant: Tenant, models: ModelServer
):
    done = client.responses.create(model="small", input="done", background=True)
    await_end(client, done.id)
    models.script = ["wait"]
    client.responses.create(model="small", input="open", background=True)
    models.await_request()
    assert tenant.http.delete("/app/default").status_code == 204
    server.call(server.runtime.store.erase_deleted(server.runtime.clock.now_ms(), 100))
    with pytest.raises(sdk.NotFoundError):
        client.responses.retrieve(done.id)


def test_an_idempotency_key_makes_one_response(client: OpenAI):
    first, second = (
        client.responses.create(model="small", input="once", background=True, extra_headers={"idempotency-key": "same"})
        for _ in range(2)
    )
    assert first.id == second.id


def test_streams_are_passed_on_as_they_come(any_client: OpenAI, models: ModelServer):
    models.pieces = 5
    chunks = list(
        any_client.chat.completions.create(
            model="small",
            messages=[{"role": "user", "content": "hi"}],
            stream=True,
            extra_headers={"idempotency-key": "of a stream"},
        )
    )
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["HI"] * 5
    events = list(any_client.responses.create(model="small", input="hi", stream=True))
    assert [event.type for event in events] == ["response.completed"]
    assert any_client.embeddings.create(model="small", input="x", encoding_format="float").data[0].embedding == [0.5]
    assert [model.id for model in any_client.models.list()] == ["small"]


def test_faults_of_the_backend_are_told_in_the_foreground(client: OpenAI, models: ModelServer):
    models.script = [429, 401, "not_http", 500]
    said = [{"role": "user", "content": "hi"}]
    for expected in (sdk.RateLimitError, sdk.InternalServerError, sdk.InternalServerError, sdk.InternalServerError):
        with pytest.raises(expected):
            client.chat.completions.create(model="small", messages=said)


def test_customers_may_not_ask_models(server: RunningServer, tenant: Tenant, client: OpenAI):
    client.webhooks.list()  # makes the default application
    access = tenant.http.post("/auth/app-portal-access/default", json={}).json()["token"]
    with OpenAI(base_url=f"{server.url}/openai/v1", api_key=access, max_retries=0) as customer:
        with pytest.raises(sdk.PermissionDeniedError):
            customer.responses.create(model="small", input="x", background=True)
        with pytest.raises(sdk.PermissionDeniedError):
            customer.models.list()


def test_without_a_backend_the_answer_names_the_setting(tmp_path: Path):
    with RunningServer(settings_for(tmp_path)) as bare:
        tenant = Tenant(bare)
        with OpenAI(base_url=f"{bare.url}/openai/v1", api_key=tenant.token) as client:
            for call in (
                lambda: client.responses.create(model="m", input="x", background=True),
                lambda: client.responses.retrieve("resp_1"),
                lambda: client.chat.completions.create(model="m", messages=[]),
                client.models.list,
            ):
                with pytest.raises(sdk.APIStatusError) as caught:
                    call()
                assert caught.value.status_code == 501
                assert caught.value.code == "backend_not_set"
                assert "HOOKLINE_OPENAI_BACKEND" in caught.value.message
                assert caught.value.response.headers["x-should-retry"] == "false"
        tenant.close()


def test_the_echo_backend_says_the_input_and_what_it_is(tmp_path: Path):
    with RunningServer(settings_for(tmp_path, openai_backend="echo")) as echoing:
        tenant = Tenant(echoing)
        with OpenAI(base_url=f"{echoing.url}/openai/v1", api_key=tenant.token) as client:
            made = client.responses.create(model="echo", input="hello there", background=True)
            text = await_end(client, made.id).output_text
            assert text.endswith("hello there")
            assert "echo backend, not a model" in text
            assert client.responses.create(model="echo", input="hello there").output_text == text
            said = [{"role": "user", "content": "hello there"}]
            assert client.chat.completions.create(model="echo", messages=said).choices[0].message.content == text
            chunks = client.chat.completions.create(model="echo", messages=said, stream=True)
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == text
            with client.responses.stream(model="echo", input="hello there") as stream:
                assert [event.type for event in stream][-1] == "response.completed"
            assert [model.id for model in client.models.list()] == ["echo"]
            assert client.models.retrieve("echo").id == "echo"
            with pytest.raises(sdk.BadRequestError):
                client.embeddings.create(model="echo", input="x")
        tenant.close()

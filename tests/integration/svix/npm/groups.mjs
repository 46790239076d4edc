// One walk for each group of methods that a self-hosted server offers.

import assert from "node:assert/strict";
import { waitFor } from "./inbox.mjs";

const HOUR_MS = 3_600_000;
const idsOf = (page) => page.data.map((entry) => entry.id);
const ago = (milliseconds) => new Date(Date.now() - milliseconds);

async function refused(status, call) {
  await assert.rejects(call, (error) => {
    assert.equal(error.code, status);
    assert.equal(typeof error.body, "object"); // parsed as JSON
    return true;
  });
}

async function application({ svix }) {
  const created = await svix.application.create({ name: "One", uid: "one", throttleRate: 5, metadata: { plan: "gold" } });
  assert.match(created.id, /^app_/);
  assert.deepEqual([created.name, created.throttleRate, created.metadata], ["One", 5, { plan: "gold" }]);
  assert(created.createdAt instanceof Date && !Number.isNaN(created.createdAt.valueOf()));
  assert.deepEqual(await svix.application.get("one"), created);
  assert.deepEqual(await svix.application.getOrCreate({ name: "Else", uid: "one" }), created);
  const updated = await svix.application.upsert("one", { name: "Two", uid: "two" });
  assert.deepEqual([updated.id, updated.uid, updated.metadata], [created.id, "two", {}]);
  assert.equal((await svix.application.patch("two", { name: "Three" })).uid, "two");
  const other = await svix.application.create({ name: "Other" });
  const first = await svix.application.list({ limit: 1 });
  assert.deepEqual([idsOf(first), first.done], [[created.id], false]);
  assert.deepEqual(idsOf(await svix.application.list({ limit: 1, iterator: first.iterator })), [other.id]);
  assert.deepEqual(idsOf(await svix.application.list({ order: "descending" })), [other.id, created.id]);
  await refused(409, () => svix.application.create({ name: "Again", uid: "two" }));
  await svix.application.delete("two");
  await refused(404, () => svix.application.get("two"));
}

async function endpoint({ svix, inbox, typesName }) {
  const { id: appId } = await svix.application.create({ name: "Customer" });
  const created = await inbox.subscribe(appId, {
    uid: "main",
    description: "The main one",
    [typesName]: ["invoice.paid"],
    channels: ["eu"],
    metadata: { a: "b" },
  });
  assert.deepEqual([created.uid, created[typesName], created.channels], ["main", ["invoice.paid"], ["eu"]]);
  assert.deepEqual(await svix.endpoint.get(appId, "main"), created);
  const patched = await svix.endpoint.patch(appId, "main", { channels: null, throttleRate: 100 });
  assert.deepEqual([patched.channels ?? null, patched.throttleRate], [null, 100]);
  const updated = await svix.endpoint.upsert(appId, "main", { url: created.url, uid: "main" });
  assert.deepEqual([updated.id, updated[typesName] ?? null, updated.throttleRate ?? null], [created.id, null, null]);
  assert.deepEqual(idsOf(await svix.endpoint.list(appId)), [created.id]);

  const old = await svix.endpoint.getSecret(appId, "main");
  await svix.endpoint.rotateSecret(appId, "main", {});
  assert.notEqual((await svix.endpoint.getSecret(appId, "main")).key, old.key);
  await svix.endpoint.setHeaders(appId, "main", { headers: { "X-One": "1", Authorization: "Basic abc" } });
  await svix.endpoint.patchHeaders(appId, "main", { headers: { "X-Two": "2" } });
  const shown = await svix.endpoint.getHeaders(appId, "main");
  assert.deepEqual([shown.headers, shown.sensitive], [{ "X-One": "1", "X-Two": "2" }, ["Authorization"]]);
  await svix.message.create(appId, { eventType: "invoice.paid", payload: {} });
  const arrived = await inbox.next();
  assert.deepEqual([arrived.headers["x-two"], arrived.headers.authorization], ["2", "Basic abc"]);

  await refused(422, () => svix.endpoint.create(appId, { url: "ftp://example.com" }));
  await svix.endpoint.delete(appId, "main");
  await refused(404, () => svix.endpoint.get(appId, "main"));
}

async function message({ svix, inbox }) {
  const { id: appId } = await svix.application.create({ name: "Customer", uid: "customer" });
  await inbox.subscribe(appId);
  const event = { eventType: "invoice.paid", eventId: "evt-1", channels: ["eu"], payload: { amount: 12 } };
  const created = await svix.message.create("customer", event);
  const arrived = await inbox.next();
  assert.deepEqual([arrived.payload, arrived.headers["svix-id"]], [{ amount: 12 }, created.id]);
  await refused(409, () => svix.message.create(appId, event));
  assert.deepEqual((await svix.message.get(appId, "evt-1", { withContent: true })).payload, { amount: 12 });
  const other = await svix.message.create(appId, { eventType: "other", payload: {} });
  assert.deepEqual(idsOf(await svix.message.list(appId)), [other.id, created.id]);
  assert.deepEqual(idsOf(await svix.message.list(appId, { eventTypes: ["other", "more"] })), [other.id]);
  assert.deepEqual(idsOf(await svix.message.list(appId, { channel: "eu", after: ago(HOUR_MS) })), [created.id]);
  assert.deepEqual(idsOf(await svix.message.list(appId, { before: ago(HOUR_MS) })), []);
}

async function messageAttempt({ svix, inbox }) {
  const { id: appId } = await svix.application.create({ name: "Customer" });
  const { id: endpointId } = await inbox.subscribe(appId);
  const sent = await svix.message.create(appId, { eventType: "a.b", channels: ["eu"], payload: { n: 1 } });
  const first = await inbox.next();
  const page = await waitFor(
    () => svix.messageAttempt.listByMsg(appId, sent.id, { withContent: true }),
    (found) => found.data.length > 0,
  );
  const [attempt] = page.data;
  assert.deepEqual([attempt.status, attempt.responseStatusCode, attempt.response], [0, 200, "thanks"]);
  assert.deepEqual(await svix.messageAttempt.get(appId, sent.id, attempt.id), attempt);
  const filters = { status: 0, statusCodeClass: 200, channel: "eu", eventTypes: ["a.b"], withMsg: true };
  const byEndpoint = await svix.messageAttempt.listByEndpoint(appId, endpointId, filters);
  assert.deepEqual(idsOf(byEndpoint), [attempt.id]);
  assert.equal(byEndpoint.data[0].msg.id, sent.id);
  assert.deepEqual(idsOf(await svix.messageAttempt.listByEndpoint(appId, endpointId, { status: 2 })), []);
  const destinations = await svix.messageAttempt.listAttemptedDestinations(appId, sent.id);
  assert.deepEqual(destinations.data.map((found) => [found.id, found.status]), [[endpointId, 0]]);
  await svix.messageAttempt.resend(appId, sent.id, endpointId);
  const second = await inbox.next();
  assert.deepEqual([second.body, second.headers["svix-id"]], [first.body, first.headers["svix-id"]]);
}

async function authentication({ svix, connect }) {
  await refused(401, () => connect("nobody's").application.list());
}

async function health({ svix }) {
  await svix.health.get();
}

export const walks = { application, authentication, endpoint, health, message, messageAttempt };

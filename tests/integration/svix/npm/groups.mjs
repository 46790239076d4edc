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

async function endpoint({ svix, inbox, isCurrent }) {
  const typesName = isCurrent ? "eventTypes" : "filterTypes"; // their name in 1.x
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

  if (isCurrent) {
    await svix.endpoint.transformation.patch(appId, "main", { code: "{sum: amount}" });
    assert.equal((await svix.endpoint.transformation.get(appId, "main")).code, "{sum: amount}");
    await svix.message.create(appId, { eventType: "invoice.paid", payload: { amount: 12 } });
    assert.deepEqual((await inbox.next()).payload, { sum: 12 });
    await svix.endpoint.transformationPartialUpdate(appId, "main", { code: null });
    assert.equal((await svix.endpoint.transformation.get(appId, "main")).code ?? null, null);
  }
  const example = await svix.endpoint.sendExample(appId, "main", { eventType: "svix.ping" });
  assert.deepEqual(example.payload, { success: true });
  assert.equal((await inbox.next()).headers["svix-id"], example.id);

  await refused(422, () => svix.endpoint.create(appId, { url: "ftp://example.com" }));
  await svix.endpoint.delete(appId, "main");
  await refused(404, () => svix.endpoint.get(appId, "main"));
}

async function message({ svix, inbox, isCurrent }) {
  const { id: appId } = await svix.application.create({ name: "Customer", uid: "customer" });
  await inbox.subscribe(appId);
  if (isCurrent) {
    assert.deepEqual(await svix.message.precheck(appId, { eventType: "invoice.paid" }), { active: true });
  }
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

  const deliverAt = new Date(Date.now() + HOUR_MS);
  const tagged = await svix.message.create(appId, { eventType: "a.b", payload: { n: 1 }, tags: ["red"], deliverAt });
  assert.deepEqual([tagged.tags, tagged.deliverAt], [["red"], deliverAt]);
  assert.deepEqual(idsOf(await svix.message.list(appId, { tag: "red" })), [tagged.id]);
  await svix.message.expungeContent(appId, created.id);
  assert.deepEqual((await svix.message.get(appId, created.id, { withContent: true })).payload, { expired: true });
  if (isCurrent) {
    const { results } = await svix.message.bulkExpungeContent(appId, { ids: [tagged.id, "nobody"] });
    assert.deepEqual(results, { [tagged.id]: "expunged", nobody: "not-found" });
  }
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
  const messages = await svix.messageAttempt.listAttemptedMessages(appId, endpointId, { status: 0, withContent: true });
  assert.deepEqual(messages.data.map((found) => [found.id, found.status, found.payload]), [[sent.id, 0, { n: 1 }]]);
  assert.equal((await svix.endpoint.getStats(appId, endpointId, { since: ago(HOUR_MS) })).success, 1);
  const destinations = await svix.messageAttempt.listAttemptedDestinations(appId, sent.id);
  assert.deepEqual(destinations.data.map((found) => [found.id, found.status]), [[endpointId, 0]]);
  await svix.messageAttempt.resend(appId, sent.id, endpointId);
  const second = await inbox.next();
  assert.deepEqual([second.body, second.headers["svix-id"]], [first.body, first.headers["svix-id"]]);
  await svix.messageAttempt.expungeContent(appId, sent.id, attempt.id);
  assert.equal((await svix.messageAttempt.get(appId, sent.id, attempt.id)).response, "EXPUNGED");
}

async function authentication({ svix, connect }) {
  const wish = { application: { name: "New", uid: "new" }, expiry: 3600, sessionId: "s1" };
  const access = await svix.authentication.appPortalAccess("new", wish);
  assert(access.url.endsWith(`#token=${access.token}`));
  const customer = connect(access.token);
  assert.equal((await customer.application.get("new")).name, "New");
  await refused(403, () => customer.message.create("new", { eventType: "a.b", payload: {} }));
  await customer.authentication.logout();
  await refused(401, () => customer.application.get("new"));
  const other = connect((await svix.authentication.appPortalAccess("new", { readOnly: true })).token);
  await refused(403, () => other.endpoint.create("new", { url: "https://example.com" }));
  await svix.authentication.expireAll("new", {});
  await waitFor(
    () => other.application.get("new").then(() => 200, (error) => error.code),
    (status) => status === 401,
  );
  await refused(401, () => connect("nobody's").application.list());
}

async function eventType({ svix }) {
  const schemas = { 1: { type: "object", required: ["amount"] } };
  const created = await svix.eventType.create({ name: "b", description: "B", schemas, groupName: "money" });
  assert.deepEqual([created.name, created.schemas, created.archived], ["b", schemas, false]);
  assert.deepEqual(await svix.eventType.get("b"), created);
  assert.equal((await svix.eventType.patch("b", { description: "Bee" })).description, "Bee");
  assert.equal((await svix.eventType.upsert("a", { description: "A" })).name, "a");
  const first = await svix.eventType.list({ limit: 1, withContent: true });
  assert.deepEqual([first.data.map((found) => found.name), first.done], [["a"], false]);
  assert.deepEqual((await svix.eventType.list({ iterator: first.iterator })).data.map((found) => found.name), ["b"]);
  await refused(409, () => svix.eventType.create({ name: "a", description: "A" }));
  await svix.eventType.delete("a");
  assert.equal((await svix.eventType.list({ includeArchived: true })).data[0].archived, true);
  await svix.eventType.delete("a", { expunge: true });
  await refused(404, () => svix.eventType.get("a"));

  const webhook = { post: { description: "C", responses: { 200: { description: "Taken" } } } };
  const spec = { openapi: "3.1.0", info: { title: "Ours", version: "1" }, webhooks: { c: webhook } };
  const rehearsed = await svix.eventType.importOpenapi({ spec, dryRun: true });
  assert.deepEqual(rehearsed.data.toModify.map((found) => found.name), ["c"]);
  assert.deepEqual((await svix.eventType.importOpenapi({ specRaw: JSON.stringify(spec) })).data.modified, ["c"]);
  assert.equal((await svix.eventType.get("c")).description, "C");
}

/** Wait until a task has ended well. */
async function ended(svix, task) {
  const found = await waitFor(() => svix.backgroundTask.get(task.id), ({ status }) => status !== "running");
  assert.deepEqual([found.id, found.status, found.task], [task.id, "finished", task.task]);
  return found;
}

async function backgroundTask({ svix, inbox }) {
  const { id: appId } = await svix.application.create({ name: "Customer" });
  const sent = await svix.message.create(appId, { eventType: "a.b", payload: { n: 1 } });
  const { id: endpointId } = await inbox.subscribe(appId);
  const tasks = [];
  async function begin(task, kind) {
    assert.equal(task.task, kind);
    await ended(svix, task);
    tasks.unshift(task.id);
  }
  const since = ago(HOUR_MS);
  await begin(await svix.endpoint.replayMissing(appId, endpointId, { since }), "endpoint.replay");
  assert.equal((await inbox.next()).headers["svix-id"], sent.id);
  await begin(await svix.endpoint.bulkReplay(appId, endpointId, { since, eventTypes: ["a.b"] }), "endpoint.bulk-replay");
  assert.equal((await inbox.next()).headers["svix-id"], sent.id);
  await begin(await svix.endpoint.recover(appId, endpointId, { since }), "endpoint.recover");
  await begin(await svix.message.expungeAllContents(appId), "application.purge_content");
  assert.deepEqual((await svix.message.get(appId, sent.id, { withContent: true })).payload, { expired: true });
  assert.deepEqual(idsOf(await svix.backgroundTask.list()), tasks);
  assert.deepEqual(idsOf(await svix.backgroundTask.list({ task: "endpoint.recover", status: "finished" })), [tasks[1]]);
}

async function operationalWebhook({ svix, inbox }) {
  const url = inbox.expect("/200/operations", () => svix.operationalWebhook.endpoint.getSecret("ops"));
  const created = await svix.operationalWebhook.endpoint.create({ url, uid: "ops" });
  assert.deepEqual(await svix.operationalWebhook.endpoint.get("ops"), created);
  await svix.operationalWebhook.endpoint.rotateSecret("ops", {});
  await svix.operationalWebhook.endpoint.setHeaders("ops", { headers: { "X-One": "1" } });
  assert.deepEqual((await svix.operationalWebhook.endpoint.getHeaders("ops")).headers, { "X-One": "1" });
  assert.deepEqual(idsOf(await svix.operationalWebhook.endpoint.list()), [created.id]);
  const { id: appId } = await svix.application.create({ name: "Customer" });
  const { id: endpointId } = await svix.endpoint.create(appId, { url: "https://example.com" });
  const { payload, headers } = await inbox.next();
  assert.deepEqual([payload.type, payload.data.endpointId], ["endpoint.created", endpointId]);
  assert.equal(headers["x-one"], "1");
  const updated = await svix.operationalWebhook.endpoint.upsert("ops", { url, uid: "ops", disabled: true });
  assert.deepEqual([updated.id, updated.disabled], [created.id, true]);
  await svix.operationalWebhook.endpoint.delete("ops");
  await refused(404, () => svix.operationalWebhook.endpoint.get("ops"));
}

async function statistics({ svix }) {
  const { id: appId } = await svix.application.create({ name: "Customer", uid: "customer" });
  await svix.message.create(appId, { eventType: "a.b", payload: {} });
  const wish = { since: ago(HOUR_MS), until: new Date(), appIds: ["customer", "nobody"] };
  const usage = await svix.statistics.aggregateAppStats(wish);
  assert.deepEqual([usage.task, usage.unresolvedAppIds], ["application.stats", ["nobody"]]);
  await ended(svix, usage);
  const types = await ended(svix, await svix.statistics.aggregateEventTypes());
  assert.deepEqual(types.data.eventTypes, [{ name: "a.b", messages: 1 }]);
}

async function health({ svix }) {
  await svix.health.get();
}

export const walks = {
  application,
  authentication,
  backgroundTask,
  endpoint,
  eventType,
  health,
  message,
  messageAttempt,
  operationalWebhook,
  statistics,
};

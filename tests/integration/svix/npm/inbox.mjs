// A receiver of webhooks that answers with the status in the path. Whatever arrives is verified with the SDK's own
// verifier and the secret of the endpoint that it was for.

import { createServer } from "node:http";
import { buffer } from "node:stream/consumers";

const PATIENCE_MS = 20_000;

export async function openInbox(svix, Webhook) {
  const arrived = [];
  const waiting = [];
  const endpoints = new Map();

  const server = createServer(async (request, response) => {
    const delivery = { path: request.url, headers: request.headers, body: (await buffer(request)).toString() };
    const next = waiting.shift();
    if (next) next(delivery);
    else arrived.push(delivery);
    response.writeHead(Number(request.url.split("/")[1]));
    response.end("thanks");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${server.address().port}`;

  function take() {
    if (arrived.length > 0) return arrived.shift();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("nothing arrived")), PATIENCE_MS);
      waiting.push((delivery) => {
        clearTimeout(timer);
        resolve(delivery);
      });
    });
  }

  return {
    url,

    /** A new endpoint whose receiver answers with this status. */
    async subscribe(appId, { status = 200, ...fields } = {}) {
      const path = `/${status}/inbox${endpoints.size}`;
      const endpoint = await svix.endpoint.create(appId, { url: url + path, ...fields });
      endpoints.set(path, () => svix.endpoint.getSecret(appId, endpoint.id));
      return endpoint;
    },

    /** Let deliveries at this path be verified with the secret that `ask` gives. */
    expect(path, ask) {
      endpoints.set(path, ask);
      return url + path;
    },

    /** The next delivery. Throws unless its endpoint's secret signed it. */
    async next() {
      const delivery = await take();
      const secret = await endpoints.get(delivery.path)();
      new Webhook(secret.key).verify(delivery.body, delivery.headers);
      return { ...delivery, payload: JSON.parse(delivery.body) };
    },

    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Ask until the answer suits: outcomes are written a moment after the request. */
export async function waitFor(ask, suits) {
  const until = Date.now() + PATIENCE_MS;
  let answer = await ask();
  while (!suits(answer) && Date.now() < until) answer = await ask();
  if (!suits(answer)) throw new Error(`still ${JSON.stringify(answer)}`);
  return answer;
}

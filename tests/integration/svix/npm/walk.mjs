// Walks one group of the npm SDK's methods at a running server, and reports as JSON on standard output.
//
//   echo '{"package": "svix", "url": "http://...", "token": "...", "group": "endpoint"}' | node walk.mjs
//
// The report: {"called": [methods], "methods": [all that the SDK has], "error": null | text}.

import { text } from "node:stream/consumers";
import { describe, driven, listMethods } from "./driven.mjs";
import { walks } from "./groups.mjs";
import { openInbox } from "./inbox.mjs";

const { package: name, url, token, group } = JSON.parse(await text(process.stdin));
const sdk = await import(name);
const connect = (credential) => new sdk.Svix(credential, { serverUrl: url, retryScheduleInMs: [], requestTimeout: 20_000 });

const called = new Set();
const svix = driven(connect(token), called);
const inbox = await openInbox(svix, sdk.Webhook);
let error = null;
try {
  await walks[group]({
    svix,
    inbox,
    connect: (credential) => driven(connect(credential), called),
    isCurrent: name === "svix", // or the last 1.x
  });
} catch (failure) {
  error = describe(failure);
}
await inbox.close();

process.stdout.write(JSON.stringify({ called: [...called], methods: listMethods(connect("unused")), error }));

// The SDK's client, with a note of each method that is called.

// Methods that 1.x had under another name.
const OLDER_NAMES = { upsert: "update", setHeaders: "updateHeaders" };

/** The client, or a group of it, such that each call's path is added to `called`. */
export function driven(target, called, prefix = "") {
  return new Proxy(target, {
    get(group, wanted) {
      if (typeof wanted === "symbol" || wanted === "then") return group[wanted];
      const name = wanted in group ? wanted : OLDER_NAMES[wanted];
      const found = group[name];
      if (typeof found !== "function") return driven(found, called, `${prefix}${name}.`);
      return (...parameters) => {
        called.add(prefix + name);
        return found.apply(group, parameters);
      };
    },
  });
}

/** Every public method by its path, such as `operationalWebhook.endpoint.create`. */
export function listMethods(group, prefix = "") {
  return Object.entries(Object.getOwnPropertyDescriptors(Object.getPrototypeOf(group))).flatMap(([name, member]) => {
    if (name === "constructor") return [];
    return member.get ? listMethods(group[name], `${prefix}${name}.`) : [prefix + name];
  });
}

/** An error as text, with what the server said. */
export function describe(failure) {
  const said = failure.body === undefined ? "" : `\nThe server answered ${failure.code}: ${JSON.stringify(failure.body)}`;
  return `${failure.stack}${said}`;
}

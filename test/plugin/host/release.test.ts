import { describe, expect, test } from "vitest";
import type { HostPlan } from "../../../components/host/types.ts";
import { type Operation, PartlyDone } from "../../../plugin/handler.ts";
import type { AgentLine, AgentRequest } from "../../../plugin/host/agent/protocol.ts";
import { ReleaseHandler } from "../../../plugin/host/release.ts";
import {
  type HostConnection,
  type HostShell,
  HostUnreachable,
} from "../../../plugin/host/shell.ts";
import { isSecret, type Props, reveal, secret, UNKNOWN } from "../../../plugin/values.ts";

const PLAN: HostPlan = {
  packages: [],
  users: {},
  directories: {},
  files: {
    "/etc/toy/a": { content: "a {{secret x}}\n", owner: "root", group: "root", mode: "0600" },
  },
  units: {},
  checks: {},
};
const SECRETS = {
  x: "the value of x",
  "token.admin": "the admin's token",
  "tls.other.key": "not ours",
};
const INPUTS: Props = {
  host: { name: "n1", address: "10.0.0.1" },
  fleet: "vps",
  node: "n1",
  artifact: "r1",
  plan: PLAN,
  secrets: secret(SECRETS),
  apiPort: 18_789,
  keepData: true,
  protected: false,
};
const OP = {
  preview: false,
  signal: new AbortController().signal,
  say: () => {},
  programRuns: true,
};

/** A host whose agent answers what the test says. */
function fakeHost(answer: (request: AgentRequest) => AgentLine | null) {
  const requests: AgentRequest[] = [];
  const connections: HostConnection[] = [];
  const there = { agent: true, record: true, reached: true };
  const open = (connection: HostConnection): HostShell => {
    connections.push(connection);
    const reach = () => {
      if (!there.reached) throw new HostUnreachable("host n1: no answer");
    };
    return {
      async exec(argv, options = {}) {
        reach();
        const [program, , path = ""] = argv;
        if (program === "test") {
          const found = path.endsWith("record.json") ? there.record : there.agent;
          return { code: found ? 0 : 1, stdout: "", stderr: "" };
        }
        expect(argv.join(" ")).not.toContain("value of x");
        if (options.stdin === undefined) return { code: 0, stdout: "", stderr: "" };
        const request = JSON.parse(String(options.stdin)) as AgentRequest;
        requests.push(request);
        const line = there.agent ? answer(request) : null;
        if (!line) return { code: 1, stdout: "", stderr: "killed" };
        options.onLine?.('{"alive":true}');
        options.onLine?.(JSON.stringify(line));
        return { code: 0, stdout: "", stderr: "" };
      },
      put: () => Promise.reject(new Error("nothing is put")),
      async hostKey() {
        reach();
        return "ssh-ed25519 AAAA";
      },
      close: async () => {},
    };
  };
  const release = new ReleaseHandler({ open, env: {} });
  const checked = (news: Props) => {
    const { inputs, failures } = release.check(undefined, news);
    expect(failures).toEqual([]);
    return inputs;
  };
  return { release, requests, connections, there, open, checked };
}
const fine = () => ({ done: { changed: [] } });

test("only secrets that the plan names, and the admin's token, reach the state and the host, sealed", async () => {
  const { release, requests, checked } = fakeHost(fine);
  const inputs = checked(INPUTS);
  const { state, id } = await release.create(inputs, OP);
  expect(id).toBe("vps/n1");
  expect(isSecret(state.secrets)).toBe(true);
  const used = { x: SECRETS.x, "token.admin": SECRETS["token.admin"] };
  expect(reveal(state.secrets)).toEqual(used);
  expect(requests).toMatchObject([
    { verb: "apply", first: true, previous: null, secrets: used, api: { port: 18_789 } },
  ]);
  const others = { ...INPUTS, secrets: secret({ ...SECRETS, "tls.other.key": "rotated" }) };
  expect(release.diff(state, inputs, checked(others)).changes).toEqual([]);
});

test("a change is shown by file, a secret's as one without its value", () => {
  const { release, checked } = fakeHost(fine);
  const inputs = checked(INPUTS);
  const file = { ...PLAN.files["/etc/toy/a"], content: "b {{secret x}}\n" };
  const news = checked({
    ...INPUTS,
    plan: { ...PLAN, files: { "/etc/toy/a": file } },
    secrets: secret({ ...SECRETS, x: "another" }),
  });
  expect(release.diff({ ...inputs, drift: {}, state: "ready" }, inputs, news)).toEqual({
    changes: [
      { path: 'plan.files["/etc/toy/a"].content', kind: "update" },
      { path: "secrets", kind: "update" },
    ],
    replaces: [],
    outputOnly: [],
  });
  const moved = checked({ ...INPUTS, host: { name: "n1", address: "10.0.0.2" } });
  expect(release.diff({}, inputs, moved).replaces).toEqual([]);
  const other = checked({ ...INPUTS, node: "n2" });
  expect(release.diff({}, inputs, other).replaces).toEqual(["node"]);
});

test("a plan that no host can carry out is refused with the place of each fault", () => {
  const { release } = fakeHost(fine);
  const bad = (plan: object) =>
    release.check(undefined, { ...INPUTS, plan: { ...PLAN, ...plan } }).failures;
  const file = { content: "x", owner: "root", group: "root", mode: "0644" };
  const cases: [object, string, RegExp][] = [
    [{ files: { "/etc/../x/y": file } }, "plan.files", /absolute path|Invalid key/],
    [{ files: { "/etc/a": { ...file, mode: "644" } } }, "plan.files./etc/a.mode", /four digits/],
    [
      { files: { "/etc/a": { ...file, content: "{{secret a b}}" } } },
      "plan.files./etc/a.content",
      /mark/,
    ],
    [
      { files: { "/etc/a": { ...file, content: "{{secret y}}" } } },
      'plan.files["/etc/a"]',
      /secret y/,
    ],
    [
      { units: { "a.service": { content: "{{secret x}}", state: "enabled", order: 1 } } },
      "plan.units.a.service.content",
      /file/,
    ],
    [
      { units: { "a.service": { state: "enabled", order: 1, restartOn: ["/etc/none"] } } },
      "plan.units.a.service",
      /no file/,
    ],
    [
      { directories: { "/etc": { owner: "root", group: "root", mode: "0755" } } },
      "plan.directories",
      /absolute path|Invalid key/,
    ],
  ];
  for (const [plan, property, reason] of cases) {
    const failures = bad(plan);
    expect(failures.map((f) => f.property).join(), JSON.stringify(plan)).toContain(property);
    expect(failures[0]?.reason).toMatch(reason);
  }
});

test("before its parts are known, what is known is checked, and no host is called", async () => {
  const { release, connections } = fakeHost(fine);
  const news = { ...INPUTS, secrets: secret(UNKNOWN), artifact: UNKNOWN };
  expect(release.check(undefined, news)).toEqual({ inputs: news, failures: [] });
  expect(release.check(undefined, { ...news, apiPort: "x" }).failures).toHaveLength(1);
  await release.create(news, { ...OP, preview: true });
  await release.update("vps/n1", { ...INPUTS }, news, { ...OP, preview: true });
  expect(connections).toEqual([]);
});

test("what refresh finds is shown and repaired, with the plan before at hand", async () => {
  let found = {};
  const { release, requests, checked } = fakeHost((request) =>
    request.verb === "observe" ? { done: { differences: found } } : fine(),
  );
  const inputs = checked(INPUTS);
  const { state } = await release.create(inputs, OP);
  found = { "file /etc/toy/a": "has another content" };
  const drifted = (await release.read("vps/n1", state, inputs))?.state as Props;
  expect(drifted.drift).toEqual(found);
  expect(release.diff(drifted, inputs, inputs)).toEqual({
    changes: [{ path: "drift", kind: "update" }],
    replaces: [],
    outputOnly: ["drift"],
  });
  const after = await release.update("vps/n1", drifted, inputs, OP);
  expect(after.drift).toEqual({});
  expect(after.revision).not.toBe(state.revision);
  expect(requests.at(-1)).toMatchObject({ first: false, previous: { plan: PLAN } });
  found = { host: "carries nothing of this fleet" };
  expect(await release.read("vps/n1", after, inputs)).toBeNull();
});

test("a setting of the state alone calls no host", async () => {
  const { release, connections, checked } = fakeHost(fine);
  const { state } = await release.create(checked(INPUTS), OP);
  const called = connections.length;
  const news = checked({ ...INPUTS, keepData: false });
  const after = await release.update("vps/n1", state, news, OP);
  expect([after.keepData, after.revision, connections.length]).toEqual([
    false,
    state.revision,
    called,
  ]);
});

test("the key that was seen first is the only one accepted later", async () => {
  const { release, connections, checked } = fakeHost(fine);
  const { state } = await release.create(checked(INPUTS), OP);
  expect(connections.at(-1)).not.toHaveProperty("hostKey");
  await release.read("vps/n1", state, checked(INPUTS));
  expect(connections.at(-1)?.hostKey).toBe("ssh-ed25519 AAAA");
});

test("another machine gets everything as a fresh one, and a changed one has to prove itself", async () => {
  const { release, requests, connections, checked } = fakeHost(fine);
  const on = (instanceId: string, machine: Record<string, string>) => {
    const session = { instanceId, region: "eu-north-1" };
    return checked({ ...INPUTS, host: { name: "n1", address: "10.0.0.1", session }, machine });
  };
  const first = on("i-1", { type: "small", drained: "" });
  const { state } = await release.create(first, OP);
  expect(requests.at(-1)).not.toHaveProperty("restarted");
  const bigger = on("i-1", { type: "big", drained: "t1" });
  const grown = await release.update("vps/n1", state, bigger, OP);
  expect(requests.at(-1)).toMatchObject({ first: false, restarted: { emptied: true } });
  expect(connections.at(-1)?.hostKey).toBe("ssh-ed25519 AAAA");
  const other = on("i-2", { type: "big", drained: "t2" });
  expect(release.diff(grown, bigger, other).replaces).toEqual([]);
  await release.update("vps/n1", grown, other, OP);
  expect(requests.at(-1)).toMatchObject({
    ...{ first: true, previous: null, restarted: { emptied: true } },
  });
  expect(connections.at(-1)).not.toHaveProperty("hostKey");
});

test("a creation that failed on the host is kept in the state and made again; one that never got there is not", async () => {
  let works = false;
  const { release, requests, there, checked } = fakeHost(() =>
    works ? fine() : { failed: { message: "unit x failed", restored: false } },
  );
  const inputs = checked(INPUTS);
  const error = await release.create(inputs, OP).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(PartlyDone);
  expect((error as Error).message).toBe("host n1: unit x failed");
  const { state } = error as PartlyDone;
  expect(release.diff(state, inputs, inputs).changes).toEqual([{ path: "state", kind: "update" }]);
  works = true;
  expect(await release.update("vps/n1", state, inputs, OP)).toMatchObject({ state: "ready" });
  expect(requests.at(-1)).toMatchObject({ first: true, previous: null });
  there.reached = false;
  await expect(release.create(inputs, OP)).rejects.toBeInstanceOf(HostUnreachable);
});

describe("a change that did not end well", () => {
  const next = { ...INPUTS, plan: { ...PLAN, packages: ["more"] } };
  /** One that ended so on the host, and what Pulumi has of it then. */
  const changed = async (answer: () => AgentLine | null, op: Partial<Operation> = {}) => {
    let ends: () => AgentLine | null = fine;
    const host = fakeHost(() => ends());
    const [before, after] = [host.checked(INPUTS), host.checked(next)];
    const { state } = await host.release.create(before, OP);
    ends = answer;
    const work = host.release.update("vps/n1", state, after, { ...OP, ...op });
    const error = await work.then(
      () => new Error("it worked"),
      (reason: unknown) => reason as Error,
    );
    ends = fine;
    // As the engine starts the next time.
    const release = new ReleaseHandler({ open: host.open, env: {} });
    return { ...host, release, before, after, error, state: (error as PartlyDone).state };
  };
  const failed = (restored: boolean) => () => ({ failed: { message: "no", restored } });

  test("calls the host again for whatever comes next, the plan before it included", async () => {
    const { release, requests, before, after, error, state } = await changed(failed(false));
    expect(error).toBeInstanceOf(PartlyDone);
    expect(error.message).toBe("host n1: no");
    expect(isSecret(state.secrets)).toBe(true);
    for (const news of [before, after]) {
      const { changes, outputOnly } = release.diff(state, before, news);
      expect(changes).toContainEqual({ path: "drift", kind: "update" });
      expect(outputOnly).toEqual(["drift"]);
      const mended = await release.update("vps/n1", state, news, OP);
      const wanted = (reveal(news) as typeof INPUTS).plan;
      expect(requests.at(-1)).toMatchObject({ plan: wanted, first: false });
      expect(requests.at(-1)).toMatchObject({ previous: { plan: PLAN } });
      expect(mended).toMatchObject({ drift: {}, state: "ready" });
      expect(release.diff(mended, news, news).changes).toEqual([]);
    }
  });

  test("is one that was interrupted, or lost its connection or its agent", async () => {
    const stop = new AbortController();
    const say = (line: string) => {
      if (line === "looking at the host") stop.abort();
    };
    const killed = () => null;
    const { error } = await changed(killed, { say, signal: stop.signal });
    expect(error).toBeInstanceOf(PartlyDone);
    expect(error.message).toContain("interrupted while changing host n1");
    expect((await changed(killed)).error).toBeInstanceOf(PartlyDone);
    const lost = await changed(() => {
      throw new HostUnreachable("host n1: the connection ended");
    });
    expect(lost.error).toBeInstanceOf(PartlyDone);
    expect(lost.error.message).toBe("host n1: the connection ended");
  });

  test("is none where the host is as it was: the state stays as it is", async () => {
    const { error } = await changed(failed(true));
    expect(error).not.toBeInstanceOf(PartlyDone);
    expect(error.message).toBe("host n1: no");
    const { there, release, checked } = fakeHost(fine);
    const { state } = await release.create(checked(INPUTS), OP);
    there.agent = false;
    const work = release.update("vps/n1", state, checked(next), OP);
    await expect(work).rejects.not.toBeInstanceOf(PartlyDone);
  });

  test("keeps what refresh had found: a unit that does not run is started beside the others", async () => {
    const down = { "unit toy.service": "is failed (failed)" };
    const { release, checked } = fakeHost(() => null);
    const inputs = checked(INPUTS);
    const state = { ...inputs, drift: down, state: "ready", revision: "1", hostKey: "" };
    const error = await release.update("vps/n1", state, inputs, OP).catch((each: unknown) => each);
    expect(reveal((error as PartlyDone).state.drift)).toMatchObject(down);
  });
});

test("deleting drains while the fleet goes on, and not at its end; a protected one stays", async () => {
  const { release, requests, checked } = fakeHost(fine);
  const { state } = await release.create(checked(INPUTS), OP);
  await release.delete("vps/n1", state, OP);
  await release.delete("vps/n1", state, { ...OP, programRuns: false });
  expect(requests.slice(1)).toMatchObject([
    { verb: "remove", drain: true, keepData: true },
    { verb: "remove", drain: false },
  ]);
  const safe = { ...state, protected: true };
  await expect(release.delete("vps/n1", safe, { ...OP, programRuns: false })).rejects.toThrow(
    "environment prod",
  );
});

test("a removal that failed says how the host stays, since the state knows nothing of what was done", async () => {
  const stop = new AbortController();
  const { release, checked } = fakeHost(({ verb }) =>
    verb === "remove" ? { failed: { message: "no room", restored: false } } : fine(),
  );
  const { state } = await release.create(checked(INPUTS), OP);
  const stays = "put it back, then ./fleet refresh --stack vps before the next up";
  await expect(release.delete("vps/n1", state, OP)).rejects.toThrow(`n1: no room (if`);
  await expect(release.delete("vps/n1", state, OP)).rejects.toThrow("because host n1 failed");
  const other = fakeHost(() => {
    stop.abort();
    return null;
  }).release;
  const work = other.delete("vps/n1", state, { ...OP, signal: stop.signal });
  await expect(work).rejects.toThrow(stays);
});

test("a removal whose connection broke off is not said to have done nothing", async () => {
  const { release, there, checked } = fakeHost(({ verb }) => {
    if (verb === "remove") throw new HostUnreachable("host n1: the connection broke off");
    return fine();
  });
  const { state } = await release.create(checked(INPUTS), OP);
  const ends = async (op: Operation) => {
    const error = await release.delete("vps/n1", state, op).catch((reason: unknown) => reason);
    return (error as Error).message;
  };
  const atTheEnd = { ...OP, programRuns: false };
  const broken = await ends(atTheEnd);
  expect(broken).toMatch(
    /^host n1: the connection broke off\nWhat was begun there may be half done/,
  );
  expect(broken).toContain("OPENCLAW_FLEET_FORGET_HOSTS=n1");
  expect(broken).not.toContain("Nothing was removed");
  expect(broken).not.toContain("refresh");
  there.reached = false;
  expect(await ends(atTheEnd)).toContain("Nothing was removed there");
  there.reached = true;
  const inBetween = await ends(OP);
  expect(inBetween).toContain("may be half done");
  expect(inBetween).toContain("put it back, then ./fleet refresh --stack vps before the next up");
});

test("a host that does not answer: refresh goes on, delete names the way out", async () => {
  const { release, there, open, checked, requests } = fakeHost(fine);
  const inputs = checked(INPUTS);
  const { state } = await release.create(inputs, OP);
  there.reached = false;
  const seen = await release.read("vps/n1", state, inputs);
  expect(reveal(seen?.state.drift)).toEqual({ host: "host n1: no answer" });
  await expect(release.delete("vps/n1", state, OP)).rejects.toThrow(
    "OPENCLAW_FLEET_FORGET_HOSTS=n1",
  );
  const asked = requests.length;
  const env = { OPENCLAW_FLEET_FORGET_HOSTS: "n9,n1" };
  await new ReleaseHandler({ open, env }).delete("vps/n1", state, OP);
  expect(requests.length).toBe(asked);
});

test("a host without the release, or anything of the fleet, is told apart", async () => {
  const { release, there, open, checked } = fakeHost(fine);
  const inputs = checked(INPUTS);
  const { state } = await release.create(inputs, OP);
  there.agent = false;
  const seen = await release.read("vps/n1", state, inputs);
  expect(reveal<object>(seen?.state.drift)).toHaveProperty(["release"]);
  await expect(release.delete("vps/n1", state, OP)).rejects.toThrow("Nothing was removed there");
  there.record = false;
  expect(await release.read("vps/n1", state, inputs)).toBeNull();
  await new ReleaseHandler({ open, env: {} }).delete("vps/n1", state, OP);
});

test("hosts are made side by side, changed one at a time, and no further after one that failed", async () => {
  const under = { now: 0, most: 0 };
  let fails = "";
  const { open, checked } = fakeHost((request) =>
    request.node === fails ? { failed: { message: "no", restored: true } } : fine(),
  );
  const slow = new ReleaseHandler({
    env: {},
    open: (connection) => {
      const shell = open(connection);
      return {
        ...shell,
        async exec(argv, options) {
          under.now += 1;
          under.most = Math.max(under.most, under.now);
          for (let i = 0; i < 5; i++) await new Promise((done) => setImmediate(done));
          under.now -= 1;
          return await shell.exec(argv, options);
        },
      };
    },
  });
  const names = ["n1", "n2", "n3"];
  const of = (name: string, keepData = true) =>
    checked({ ...INPUTS, node: name, keepData, host: { name, address: "10.0.0.1" } });
  const states = await Promise.all(
    names.map(async (name) => (await slow.create(of(name), OP)).state),
  );
  expect(under.most).toBe(3);
  under.most = 0;
  const change = (name: string, i: number) => {
    const news = { ...of(name), artifact: "r2" };
    return slow.update(`vps/${name}`, states[i] as Props, news, OP);
  };
  const down = { "unit toy.service": "is failed (failed)" };
  const repair = (name: string, i: number) =>
    slow.update(`vps/${name}`, { ...states[i], drift: down }, of(name), OP);
  await Promise.all(names.map(repair));
  expect(under.most).toBe(3);
  under.most = 0;
  fails = "n2";
  const ended = await Promise.allSettled(names.map(change));
  expect(under.most).toBe(1);
  expect(ended.map((each) => each.status)).toEqual(["fulfilled", "rejected", "rejected"]);
  expect(String((ended[2] as PromiseRejectedResult).reason)).toContain(
    "host n3 was not touched, because host n2 failed",
  );
});

describe("a host whose shards nobody can take", () => {
  /** n1 and n2 change at once; the other one rests until it is changed. */
  const rolled = async (resting: string, ends: () => AgentLine = fine) => {
    const asked: string[] = [];
    let rests = resting;
    const { release, checked } = fakeHost((request) => {
      if (request.verb !== "apply" || request.first) return fine();
      asked.push(`${request.node}${request.mayWait ? "" : " again"}`);
      if (request.node === rests) {
        rests = "";
        return ends();
      }
      const later = rests !== "" && request.mayWait === true;
      return { done: { changed: ["installed curl"], ...(later ? { later } : {}) } };
    });
    const of = (name: string) =>
      checked({ ...INPUTS, node: name, host: { name, address: "10.0.0.1" } });
    const change = async (name: string) => {
      const { state } = await release.create(of(name), OP);
      return () => release.update(`vps/${name}`, state, { ...of(name), artifact: "r2" }, OP);
    };
    const changes = [await change("n1"), await change("n2")];
    const ended = await Promise.allSettled(changes.map((begin) => begin()));
    return { asked, ended };
  };

  test("is changed after the others, once", async () => {
    const { asked, ended } = await rolled("n2");
    expect(asked).toEqual(["n1", "n2", "n1 again"]);
    expect(ended.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled"]);
    expect((await rolled("n1")).asked).toEqual(["n1", "n2"]);
    expect((await rolled("somebody else")).asked).toEqual(["n1", "n2", "n1 again", "n2 again"]);
  });

  test("is unfinished when one of them failed before its second turn", async () => {
    const { asked, ended } = await rolled("n2", () => ({
      failed: { message: "no", restored: true },
    }));
    expect(asked).toEqual(["n1", "n2"]);
    const [first] = ended as PromiseRejectedResult[];
    expect(String(first?.reason)).toContain("host n1 was not touched, because host n2 failed");
    expect(first?.reason).toBeInstanceOf(PartlyDone);
    expect(first?.reason).toHaveProperty("state.drift.change");
  });
});

test("a host that was never reached keeps no other from its change; one lost on the way, or with its machine, does", async () => {
  /** What becomes of n2, then n1 in turn after it. */
  const rolled = async (when: "before" | "amid", machine = {}) => {
    const { open, checked } = fakeHost(fine);
    const release = new ReleaseHandler({
      env: {},
      open: (connection) => {
        const shell = open(connection);
        const away = connection.name === "n2" && connection.user === "changed";
        const gone = () => Promise.reject(new HostUnreachable("host n2: no answer"));
        if (!away) return shell;
        return { ...shell, exec: gone, ...(when === "before" ? { hostKey: gone } : {}) };
      },
    });
    const of = (name: string, more = {}) =>
      checked({ ...INPUTS, node: name, host: { name, address: "10.0.0.1" }, ...more });
    const change = async (name: string, more = {}) => {
      const { state } = await release.create(of(name), OP);
      const host = { name, address: "10.0.0.1", user: "changed" };
      return () =>
        release.update(`vps/${name}`, state, of(name, { host, artifact: "r2", ...more }), OP);
    };
    const changes = [await change("n2", machine), await change("n1")];
    const ended = await Promise.allSettled(changes.map((begin) => begin()));
    return ended.map((each) => (each.status === "fulfilled" ? "changed" : String(each.reason)));
  };
  const gone = expect.stringContaining("no answer");
  const kept = expect.stringContaining("n1 was not touched, because host n2 failed");
  expect(await rolled("before")).toEqual([gone, "changed"]);
  expect(await rolled("amid")).toEqual([gone, kept]);
  expect(await rolled("before", { machine: { drained: "emptied" } })).toEqual([gone, kept]);
});

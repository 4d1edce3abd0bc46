import { expect, test } from "vitest";
import type { AgentLine, AgentRequest } from "../../../plugin/host/agent/protocol.ts";
import { DrainedHandler } from "../../../plugin/host/drained.ts";
import { type HostShell, HostUnreachable } from "../../../plugin/host/shell.ts";
import { type Props, secret, UNKNOWN } from "../../../plugin/values.ts";

const HOST = {
  name: "a",
  address: "10.0.0.4",
  session: { instanceId: "i-1", region: "eu-north-1" },
  hostKey: "ssh-ed25519 AAAA",
};
const INPUTS: Props = {
  host: HOST,
  artifact: "r1",
  fleet: "prod",
  node: "a",
  apiPort: 18_789,
  machine: { type: "m7i.large", image: "ami-1" },
  adminToken: secret("the admin's token"),
};
const BIGGER = { ...INPUTS, machine: { type: "m7i.xlarge", image: "ami-1" } };
const OP = {
  preview: false,
  signal: new AbortController().signal,
  say: () => {},
  programRuns: true,
};

/** A host whose agent answers so. */
function fake(answer: AgentLine | Error, env: NodeJS.ProcessEnv = {}) {
  const requests: AgentRequest[] = [];
  const open = (): HostShell => ({
    async exec(argv, options = {}) {
      if (answer instanceof Error) throw answer;
      expect(argv.join(" ")).toContain("/releases/r1/runtime/host-agent.js");
      requests.push(JSON.parse(String(options.stdin)) as AgentRequest);
      options.onLine?.(JSON.stringify(answer));
      return { code: 0, stdout: "", stderr: "" };
    },
    put: () => Promise.reject(new Error("nothing is put")),
    close: async () => {},
  });
  return { handler: new DrainedHandler({ open, env }), requests };
}
const emptied: AgentLine = { done: { drained: true } };
const state = (inputs = INPUTS) => ({ ...inputs, drained: "t1" });

test("nothing is done when it is made, or for anything but the machine", async () => {
  const { handler, requests } = fake(emptied);
  const first = { ...INPUTS, host: null, artifact: "" };
  expect(handler.check(undefined, first).failures).toEqual([]);
  expect(await handler.create(first)).toMatchObject({ id: "prod/a", state: { drained: "" } });
  const other = { ...INPUTS, artifact: "r2", adminToken: secret("another") };
  expect((await handler.update("prod/a", state(), other, OP)).drained).toBe("t1");
  expect(handler.diff(state(), INPUTS, other)).toMatchObject({ replaces: [] });
  expect(requests).toEqual([]);
});

test("another machine empties the node first, and says so by another token", async () => {
  const { handler, requests } = fake(emptied);
  const planned = await handler.update("prod/a", state(), BIGGER, { ...OP, preview: true });
  expect(planned.drained).toBe(UNKNOWN);
  expect(requests).toEqual([]);
  const done = await handler.update("prod/a", state(), BIGGER, OP);
  expect(done.drained).toMatch(/^[0-9a-f]{16}$/);
  expect(requests).toEqual([
    {
      ...{ verb: "drain", fleet: "prod", node: "a" },
      api: { port: 18_789, token: "the admin's token" },
    },
  ]);
});

test("the token stays where nothing was moved, and where nobody can be asked", async () => {
  const { handler } = fake({ done: { drained: false } });
  expect((await handler.update("prod/a", state(), BIGGER, OP)).drained).toBe("t1");
  const never = fake(new Error("not to be called"));
  const unmade = { ...BIGGER, host: null };
  expect((await never.handler.update("prod/a", state(), unmade, OP)).drained).toBe("t1");
  const witness = { ...BIGGER, apiPort: 0 };
  expect((await never.handler.update("prod/a", state(), witness, OP)).drained).toBe("t1");
});

test("where the recorded release has gone meanwhile, the newest one there is asked", async () => {
  const asked: string[] = [];
  const open = (): HostShell => ({
    async exec(argv, options = {}) {
      const line = argv.join(" ");
      const no = { code: 1, stdout: "", stderr: "" };
      if (line.startsWith("test -e")) return line.includes("/r1/") ? no : { ...no, code: 0 };
      if (options.stdin === undefined) return { ...no, code: 0, stdout: "r3\n" };
      asked.push(line.includes("/r1/") ? "r1" : line.includes("/r3/") ? "r3" : line);
      if (line.includes("/r1/")) return no;
      options.onLine?.(JSON.stringify(emptied));
      return { ...no, code: 0 };
    },
    put: () => Promise.reject(new Error("nothing is put")),
    close: async () => {},
  });
  const handler = new DrainedHandler({ open, env: {} });
  expect((await handler.update("prod/a", state(), BIGGER, OP)).drained).not.toBe("t1");
  expect(asked).toEqual(["r1", "r3"]);
});

test("a host that does not answer stops the change, and the way out is named and works", async () => {
  const away = new HostUnreachable("host a: cannot be reached");
  const { handler } = fake(away);
  await expect(handler.update("prod/a", state(), BIGGER, OP)).rejects.toThrow(
    /^host a: cannot be reached\n.*was not touched[\s\S]*OPENCLAW_FLEET_FORGET_HOSTS=a/,
  );
  const forgotten = fake(away, { OPENCLAW_FLEET_FORGET_HOSTS: "a" });
  expect((await forgotten.handler.update("prod/a", state(), BIGGER, OP)).drained).toBe("t1");
});

test("a node that does not get empty stops the change", async () => {
  const { handler } = fake({ failed: { message: "node a did not get empty", restored: true } });
  await expect(handler.update("prod/a", state(), BIGGER, OP)).rejects.toThrow(
    "host a: node a did not get empty",
  );
});

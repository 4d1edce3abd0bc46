import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { NO_FLEET } from "../../components/edge/answers.ts";
import { onPath } from "../../toolchain/command.ts";
import { Home } from "./fixtures.ts";

/** The sample of that name has target ec2; here it is a stack whose machines carry the fleet, or do not. */
const STACK = "staging";
const HOSTS = ["a", "b", "c"].map((name, i) => ({
  name,
  address: `10.64.0.1${i}`,
  user: "ubuntu",
  session: { instanceId: `i-0123456789abcdef${i}`, region: "eu-central-1" },
  hostKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
}));
const ADMIN = "admin-token-of-the-fleet";
const MOMENT = {
  at: "2026-11-21T15:00:03.000Z",
  epoch: 4,
  node: "a",
  place: "000000000004-a-1/12",
  site: null,
  release: "2026.9.6+x",
  bytes: 3 * 2 ** 20,
  databases: 2,
};
const STATUS = {
  fleet: STACK,
  nodes: HOSTS.map(({ name, address }) => ({
    id: name,
    address: `${address}:18791`,
    pid: 1,
    state: "active",
    shards: name === "a" ? ["s1"] : [],
    version: "2026.9.6+1a2b3c4d",
    memoryBytes: 1e9,
    seenMsAgo: 10,
  })),
  shards: [
    {
      id: "s1",
      agents: ["main"],
      owner: "a",
      epoch: 3,
      state: "serving",
      pid: 7,
      startedAt: "2026-01-01T00:00:00Z",
      restarts: 0,
      sessions: 2,
      memoryBytes: 1e9,
      reason: null,
      replica: { lagMs: 0, unreplicated: false },
    },
  ],
  store: { kind: "etcd", ok: true },
  heldRequests: 0,
};

/** A router as far as these commands ask it, for those that have the admin token. */
function answer(url: string, token: string | undefined): { code: number; body: unknown } {
  if (token !== `Bearer ${ADMIN}`) return { code: 401, body: { error: { code: "unauthorized" } } };
  if (url.startsWith("/api/v1/fleet/backups")) {
    return { code: 200, body: { shards: [{ id: "s1", points: [MOMENT] }] } };
  }
  if (url.startsWith("/api/v1/history")) return { code: 200, body: { entries: [] } };
  return { code: 200, body: STATUS };
}

let home: Home;
let router: Server;
let outputs: Record<string, unknown>;
beforeAll(async () => {
  router = createServer((request, response) => {
    const { code, body } = answer(request.url ?? "", request.headers.authorization);
    response.writeHead(code, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => router.listen(0, "127.0.0.1", resolve));
  outputs = {
    endpoint: `http://127.0.0.1:${(router.address() as AddressInfo).port}`,
    token: "client-token-of-the-fleet",
    adminToken: ADMIN,
    target: "ec2",
    preset: "small",
    nodes: ["a", "b", "c"],
    shards: ["s1"],
    caCertificate: null,
    certificatesExpire: "2027-11-21T00:00:00Z",
    hosts: HOSTS,
  };
  home = new Home();
});
afterAll(() => {
  home.remove();
  router.close();
});

/** What the AWS CLI was called for. */
const asked = () => join(home.path, "asked");
const run = (...args: string[]) => home.run([...args, "--stack", STACK]);

describe("a stack on EC2 whose machines carry the fleet", () => {
  beforeAll(() => home.stacks({ [STACK]: outputs }));

  test("status is the fleet's own", async () => {
    const { code, stdout, stderr } = await run("status", "--check");
    expect(stdout, stderr).toContain("staging · small · ec2 · ok: 1 of 1 shards serving");
    expect(stdout).toMatch(/^c +active/m);
    expect(code).toBe(0);
  });

  test("what asks the fleet asks it as on one's own hosts", async () => {
    const history = await run("history");
    expect(history).toMatchObject({ code: 0, stdout: "Nothing has happened yet.\n" });
    const drained = await run("drain", "z", "--yes");
    expect(drained.stderr).toContain("z is not a node of this fleet");
    const moved = await run("move", "s1", "z", "--yes");
    expect(moved.stderr).toContain("nodes: a, b, c");
  });

  test("moments are kept in S3", async () => {
    const listed = await run("backups", "s1");
    expect(listed.stdout, listed.stderr).toMatch(/2026-11-21 15:00:03 +3\.0 MiB +4 +a +S3 /);
    const backup = await run("backup");
    expect(backup.stdout, backup.stderr).toContain("Everything is in the replicas");
  });

  test.skipIf(!onPath("ssh"))(
    "logs are read on the machines, through sessions, as whoever AWS lets in",
    async () => {
      home.program("session-manager-plugin", "");
      home.program(
        "aws",
        `const args = process.argv.slice(2);
const given = (name) => args[args.indexOf(name) + 1];
require("node:fs").appendFileSync(${JSON.stringify(asked())}, args[1] + " " + given("--instance-id") + "\\n");
console.error("An error occurred (AccessDeniedException) when calling the SendSSHPublicKey operation: no");
process.exit(254);`,
      );
      const { code, stderr } = await run("logs", "b");
      expect(readFileSync(asked(), "utf8")).toContain(
        `send-ssh-public-key ${HOSTS[1]?.session.instanceId}`,
      );
      expect(readFileSync(asked(), "utf8")).not.toContain(HOSTS[0]?.session.instanceId);
      expect(stderr).toContain("ec2-instance-connect:SendSSHPublicKey");
      expect(stderr).toContain("No host could be reached");
      expect(code).toBe(1);
    },
  );

  test("a name that no node and no shard has is told before any machine is called", async () => {
    const { code, stderr } = await run("logs", "z");
    expect(stderr).toContain("z is neither a node nor a shard of this fleet");
    expect(stderr).toContain("nodes: a, b, c; shards: s1");
    expect(code).toBe(1);
  });
});

describe("a stack on EC2 that no fleet runs on", () => {
  let edge: Server;
  beforeAll(async () => {
    edge = createServer((_, response) => response.writeHead(NO_FLEET.status).end(NO_FLEET.body));
    await new Promise<void>((resolve) => edge.listen(0, "127.0.0.1", resolve));
    const { hosts: _, ...rest } = outputs;
    const endpoint = `http://127.0.0.1:${(edge.address() as AddressInfo).port}`;
    home.stacks({ [STACK]: { ...rest, endpoint } });
  });
  afterAll(() => edge.close());

  test("status says so, and is readable", async () => {
    const { code, stdout } = await run("status");
    expect(stdout).toContain("staging · small · ec2 · DOWN: no fleet runs here yet");
    expect(stdout).toContain("name no hosts");
    expect(code).toBe(0);
  });

  test.each([["chat", "hello"], ["logs"], ["history"], ["support"], ["restore", "--drill"]])(
    "%s says why it has nobody to ask",
    async (...args) => {
      const { code, stdout, stderr } = await run(...args);
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toContain("Stack staging has no fleet to talk to");
      expect(stderr).toContain("its outputs name no hosts");
      expect(stderr).toContain("./fleet up --stack staging");
    },
  );
});

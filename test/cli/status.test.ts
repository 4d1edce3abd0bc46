import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { NO_FLEET } from "../../components/edge/answers.ts";
import type { FleetStatus } from "../../gateway/contract.ts";
import { eventually } from "../support/eventually.ts";
import { Home, outcome } from "./fixtures.ts";

let home: Home;
let edge: Server;
beforeAll(async () => {
  edge = createServer((_, response) => response.writeHead(NO_FLEET.status).end(NO_FLEET.body));
  await new Promise<void>((resolve) => edge.listen(0, "127.0.0.1", resolve));
  const endpoint = `http://127.0.0.1:${(edge.address() as AddressInfo).port}`;
  home = new Home();
  // The stack whose settings the sample Pulumi.prod.yaml holds: target eks.
  home.stacks({
    prod: { endpoint, target: "eks", preset: "medium", nodes: ["a"], shards: ["s1"] },
  });
});
afterAll(() => {
  home.remove();
  edge.close();
});

describe("a stack on EKS, where nothing runs yet", () => {
  test("status says so, and is readable", async () => {
    const { code, stdout } = await home.run(["status", "--stack", "prod"]);
    expect(stdout).toContain("prod · medium · eks · DOWN: no fleet runs here yet");
    expect(code).toBe(0);
  });

  test("status --check is 1, its JSON the form that programs know", async () => {
    const { code, stdout } = await home.run(["status", "--stack", "prod", "--check", "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({
      fleet: "prod",
      nodes: [],
      shards: [],
      status: "down",
      answer: "no_fleet",
      planned: { nodes: ["a"], shards: ["s1"] },
    });
    expect(code).toBe(1);
  });

  test.each([["chat", "hello"], ["logs"], ["history"], ["drain", "a"], ["move", "s1", "a"]])(
    "%s says why it has nobody to ask",
    async (...args) => {
      const { code, stdout, stderr } = await home.run([...args, "--stack", "prod"]);
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toContain("Stack prod has no fleet to talk to");
      expect(stderr).toContain("its target is eks");
      expect(stderr).toContain("./fleet status --stack prod");
    },
  );
});

describe("a stack on hosts, watched", () => {
  /** A start of the command and three redraws, on a machine that is busy. */
  const PATIENCE_MS = 60_000;
  const STATUS: FleetStatus = {
    fleet: "vps",
    nodes: [],
    shards: [],
    store: { kind: "etcd", ok: true },
    heldRequests: 0,
  };
  let home: Home;
  let router: Server;
  let asked = 0;
  let failAt = Number.POSITIVE_INFINITY;
  beforeAll(async () => {
    router = createServer((_, response) => {
      asked += 1;
      if (asked === failAt) response.writeHead(503).end("nothing here");
      else response.writeHead(200, { connection: "close" }).end(JSON.stringify(STATUS));
    });
    await new Promise<void>((resolve) => router.listen(0, "127.0.0.1", resolve));
    const endpoint = `http://127.0.0.1:${(router.address() as AddressInfo).port}`;
    home = new Home();
    home.stacks({
      vps: { endpoint, token: "t", adminToken: "a", target: "hosts", preset: "small" },
    });
  });
  afterAll(() => {
    home.remove();
    router.close();
  });

  test("its outputs are read once, and again only after it failed to answer", async () => {
    const child = home.start(["status", "--stack", "vps", "--watch"]);
    const ended = outcome(child);
    await eventually(() => expect(asked).toBeGreaterThan(2), PATIENCE_MS);
    expect(home.outputsRead()).toBe(1);
    failAt = asked + 1;
    await eventually(() => expect(asked).toBeGreaterThan(failAt + 1), PATIENCE_MS);
    expect(home.outputsRead()).toBe(2);
    child.kill("SIGTERM");
    const { stdout } = await ended;
    expect(stdout).toContain("vps · small · hosts");
    expect(stdout).toContain("answered 503, and not as a fleet's router does");
  }, 150_000);
});

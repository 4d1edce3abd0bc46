import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Load } from "../drill/clients/load.ts";
import { History } from "../drill/history.ts";
import { seeded } from "../drill/random.ts";
import { eventually } from "../support/eventually.ts";

const HEADER = {
  seed: 1,
  minutes: 0,
  startedAt: "2026-01-01T00:00:00Z",
  nodes: [],
  shards: [],
  faults: [],
  release: "r",
  command: "",
};

/** What waits for its answer, by session. */
let waiting: Map<string, ServerResponse>;
/** What the clock shows, ms. */
let now: number;
let load: Load;
let close: () => void;

beforeEach(async () => {
  waiting = new Map();
  const server = createServer((req, res) => {
    let text = "";
    req.on("data", (chunk) => {
      text += String(chunk);
    });
    req.on("end", () => waiting.set((JSON.parse(text) as { session: string }).session, res));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  close = () => {
    server.close();
    server.closeAllConnections();
  };
  now = 0;
  const target = { endpoint: `http://127.0.0.1:${port}`, token: "t", adminToken: "t" };
  load = new Load(new History(HEADER, { now: () => now }), target, seeded(1), null);
});
afterEach(() => close());

const arrived = (session: string) => eventually(() => expect(waiting.has(session)).toBe(true));
const answer = (session: string) => waiting.get(session)?.end(JSON.stringify({ reply: "yes" }));

test("a request that waits too long holds the next fault up, until it has its end", async () => {
  const told: number[] = [];
  const none = () => load.noneStarved(AbortSignal.timeout(20_000), (ms) => told.push(ms), 30_000);
  await none();
  const old = load.probe("old");
  await arrived("old");
  now += 20_000;
  await none();
  const young = load.probe("young");
  await arrived("young");
  now += 20_000;
  expect(load.longestWaitMs()).toBe(40_000);
  let over = false;
  const waits = none().then(() => {
    over = true;
  });
  await eventually(() => expect(told).toEqual([40_000]));
  expect(over).toBe(false);
  answer("old");
  await old;
  await waits;
  expect(load.longestWaitMs()).toBe(20_000);
  expect(told).toHaveLength(1);
  answer("young");
  await young;
  expect(load.longestWaitMs()).toBe(0);
});

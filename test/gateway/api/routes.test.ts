import { afterEach, expect, test } from "vitest";
import { createMetrics } from "../../../gateway/observe/metrics.ts";
import { FleetCommandError } from "../../../gateway/router/view.ts";
import { ADMIN_TOKEN, fleetConfig } from "../router/fakes.ts";
import { ask, until, World } from "../router/world.ts";

let world: World;
afterEach(() => world?.close());

const admin = { token: ADMIN_TOKEN };

test("the open routes need no token, name the fleet and carry the four headers", async () => {
  world = await World.start(["a"]);
  const { port } = world.node("a");
  for (const path of ["/healthz", "/health", "/readyz", "/startupz", "/api/v1/health"]) {
    const answer = await ask(port, path, { token: null });
    expect([path, answer.json.instanceId]).toEqual([path, "a"]);
    for (const name of ["shard", "epoch", "instance"]) {
      expect(answer.headers[`x-openclaw-${name}`]).toBeDefined();
    }
    expect(answer.headers["x-request-id"]).toBeDefined();
  }
  expect((await ask(port, "/healthz", { token: null })).json).toMatchObject({
    ok: true,
    fleet: "testfleet",
  });
});

test("health is down, degraded, ok as no, some, all shards serve", async () => {
  world = await World.start(["a"]);
  const { port } = world.node("a");
  const health = async () => (await ask(port, "/api/v1/health", { token: null })).json;
  expect(await health()).toMatchObject({ status: "down", shards: { serving: 0, total: 2 } });
  await world.fleet.own("s1", "a");
  expect(await health()).toMatchObject({ status: "degraded", shards: { serving: 1, total: 2 } });
  await world.fleet.own("s2", "a");
  expect(await health()).toMatchObject({ status: "ok", store: "ok", fleet: "testfleet" });
  world.fleet.storeOk = false;
  expect(await health()).toMatchObject({ status: "degraded", store: "down" });
});

test("deep health makes one real turn per agent, for the admin only", async () => {
  world = await World.start(["a", "b"], fleetConfig({ turnBudgetMs: 200 }));
  await world.fleet.own("s1", "b");
  const { port } = world.node("a");
  expect((await ask(port, "/api/v1/health?deep=1", { token: null })).status).toBe(401);
  expect((await ask(port, "/api/v1/health?deep=1")).status).toBe(403);
  const { json } = await ask(port, "/api/v1/health?deep=1", admin);
  expect(json.agents.map((each: { name: string; ok: boolean }) => [each.name, each.ok])).toEqual([
    ["helper", true],
    ["main", true],
    ["writer", false],
  ]);
});

test("ready: a dead peer does not count, one that only we cannot reach does", async () => {
  world = await World.start(["a", "b", "c"]);
  await world.fleet.own("s1", "b");
  const { port, view } = world.node("a");
  expect((await ask(port, "/readyz", { token: null })).status).toBe(200);
  const d = await world.add("d");
  const good = world.fleet.addresses.get("b") as string;
  d.view.beliefs.set("s1", {
    at: "peer",
    node: "b",
    address: "127.0.0.1:1",
    epoch: 1,
    incarnation: "inc-b",
  });
  // Nobody reaches 127.0.0.1:1: the owner counts as dead.
  expect((await ask(d.port, "/readyz", { token: null })).status).toBe(200);
  expect(good).not.toBe("127.0.0.1:1");
  view.isStopping = true;
  const stopping = await ask(port, "/readyz", { token: null });
  expect(stopping.status).toBe(503);
  expect(stopping.json).toMatchObject({ ready: false });
});

test("the fleet's status comes with held requests of all routers and sessions", async () => {
  world = await World.start(["a", "b"]);
  world.sessions.map.set("main x", "s1");
  const leave = new AbortController();
  const waiting = ask(world.node("b").port, "/api/v1/chat", {
    body: { agent: "writer", message: "x" },
    signal: leave.signal,
  }).catch(() => "left");
  await until(() => world.node("b").router.held() === 1);
  const { json } = await ask(world.node("a").port, "/api/v1/fleet", admin);
  expect(json.heldRequests).toBe(1);
  expect(json.shards.find((each: { id: string }) => each.id === "s1").sessions).toBe(1);
  leave.abort();
  await waiting;
  await until(() => world.node("b").router.held() === 0);
});

test("what waits for its place is held in the status, at the peers and in the metrics alike", async () => {
  world = await World.start(["a", "b"]);
  await world.fleet.own("s1", "a");
  // The store is away, and s2 may know the conversation: nobody can tell where it belongs.
  world.sessions.down = true;
  const leave = new AbortController();
  const waiting = ask(world.node("b").port, "/api/v1/chat", {
    body: { agent: "main", session: "old", message: "x" },
    headers: { "idempotency-key": "k" },
    signal: leave.signal,
  }).catch(() => "left");
  await until(() => world.node("b").router.held() === 1);
  for (const node of ["a", "b"]) {
    const { port } = world.node(node);
    expect((await ask(port, "/api/v1/fleet", admin)).json.heldRequests).toBe(1);
    expect((await ask(port, "/metrics", admin)).text).toContain("openclaw_fleet_held_requests 1\n");
  }
  leave.abort();
  await waiting;
  await until(() => world.node("b").router.held() === 0);
});

test("commands reach the control, their refusals keep code and words", async () => {
  world = await World.start(["a"]);
  const { port, control } = world.node("a");
  const post = (path: string, body: unknown, token = ADMIN_TOKEN) =>
    ask(port, path, { body, token });
  expect((await post("/api/v1/fleet/drain", { node: "a" })).json).toEqual({ ok: true, node: "a" });
  await post("/api/v1/fleet/resume", { node: "a" });
  await post("/api/v1/fleet/move", { shard: "s1", to: "auto" });
  expect(control.calls).toEqual([
    ["drain", "a"],
    ["resume", "a"],
    ["move", "s1", "auto"],
  ]);
  expect((await post("/api/v1/fleet/drain", {})).json.error.message).toContain('"node"');
  expect((await post("/api/v1/fleet/drain", { node: "a" }, "wrong")).status).toBe(401);
  control.fail = new FleetCommandError("unknown_node", `there is no node "z"`);
  const refused = await post("/api/v1/fleet/drain", { node: "z" });
  expect(refused.status).toBe(404);
  expect(refused.json.error).toMatchObject({
    code: "unknown_node",
    message: `there is no node "z"`,
  });
});

test("history needs the admin and a sane limit", async () => {
  world = await World.start(["a"]);
  const { port } = world.node("a");
  expect((await ask(port, "/api/v1/history?limit=5", admin)).json.entries).toHaveLength(1);
  expect((await ask(port, "/api/v1/history?limit=0", admin)).status).toBe(400);
  expect((await ask(port, "/api/v1/history")).status).toBe(403);
});

test("the drain hook is open to loopback, but to no proxy, web page or wrong token", async () => {
  world = await World.start(["a"]);
  const { port, control } = world.node("a");
  const post = (headers = {}, token: string | null = null) =>
    ask(port, "/internal/agent/drain", { body: { agent: "main" }, token, headers });
  expect((await post()).json).toEqual({ ok: true, shards: ["s1"] });
  expect((await post({ "x-forwarded-for": "127.0.0.1" })).status).toBe(401);
  expect((await post({ origin: "http://evil.example" })).status).toBe(401);
  expect((await post({}, "wrong")).status).toBe(401);
  expect((await post({ "x-forwarded-for": "1.2.3.4" }, ADMIN_TOKEN)).status).toBe(200);
  expect(control.calls).toHaveLength(2);
});

test("metrics: open on loopback, never through a proxy; requests and usage are counted", async () => {
  world = await World.start(["a"]);
  const gateway = await world.fleet.own("s1", "a");
  const { port } = world.node("a");
  await ask(port, "/api/v1/chat", { body: { agent: "helper", message: "x" } });
  gateway.use({ agent: "helper", input: 5, output: 7, toolCalls: [{ kind: "mcp", count: 2 }] });
  gateway.use({ agent: "stranger", input: 1 });
  await ask(port, "/nowhere", { token: null });
  const { status, text } = await ask(port, "/metrics", { token: null });
  expect(status).toBe(200);
  for (const line of [
    'openclaw_fleet_requests_total{route="/api/v1/chat",code="200"} 1',
    'openclaw_fleet_requests_total{route="other",code="404"} 1',
    'openclaw_fleet_tokens_total{agent="helper",kind="output"} 7',
    'openclaw_fleet_tokens_total{agent="other",kind="input"} 1',
    'openclaw_fleet_tool_calls_total{agent="helper",kind="mcp"} 2',
    'openclaw_fleet_shard_state{shard="s1",state="serving"} 1',
    'openclaw_fleet_lease_epoch{shard="s1"} 1',
    'openclaw_fleet_sessions_active{agent="helper"} 1',
    "openclaw_fleet_held_requests 0",
    "openclaw_fleet_store_up 1",
  ]) {
    expect(text).toContain(line);
  }
  expect(text).not.toContain('shard="s2"');
  const proxied = { headers: { "x-forwarded-for": "10.0.0.1" }, token: null };
  expect((await ask(port, "/metrics", proxied)).status).toBe(401);
  world.fleet.config = fleetConfig({ trustedProxies: ["127.0.0.1"] });
  expect((await ask(port, "/metrics", { token: null })).status).toBe(401);
  expect((await ask(port, "/api/v1/metrics", admin)).status).toBe(200);
});

test("a failed shard, which nobody owns, is told by the node that is asked", async () => {
  world = await World.start(["a"]);
  const { port, view } = world.node("a");
  const status = view.status.bind(view);
  view.status = () => {
    const now = status();
    const shards = now.shards.map((shard) =>
      shard.id === "s1" ? { ...shard, owner: null, state: "failed" as const } : shard,
    );
    return { ...now, shards };
  };
  const { text } = await ask(port, "/metrics", { token: null });
  expect(text).toContain('openclaw_fleet_shard_state{shard="s1",state="failed"} 1');
  expect(text).toContain('openclaw_fleet_shard_state{shard="s1",state="serving"} 0');
  expect(text).not.toContain("openclaw_fleet_lease_epoch{");
  expect(text).not.toContain('shard="s2"');
});

test("every metric of the contract exists under its name; labels of what left are removed", async () => {
  const metrics = createMetrics();
  const names = metrics.registry.getMetricsAsArray().map((each) => each.name.slice(15));
  expect(names.sort()).toEqual(
    [
      "requests_total",
      "request_duration_seconds",
      "held_requests",
      "shard_state",
      "shard_transitions_total",
      "turns_cut_total",
      "lease_epoch",
      "failovers_total",
      "failover_duration_seconds",
      "gateway_restarts_total",
      "gateway_memory_bytes",
      "tokens_total",
      "sessions_active",
      "tool_calls_total",
      "replica_lag_seconds",
      "replica_sent_bytes_total",
      "unreplicated",
      "history_lost_total",
      "store_up",
      "session_store_up",
      "node_state",
    ].sort(),
  );
  metrics.failovers.inc({ shard: "s1", reason: "x" });
  metrics.failovers.inc({ shard: "s2", reason: "x" });
  for (const shard of ["s1", "s2"]) {
    metrics.shardTransitions.inc({ shard, to: "serving" });
    metrics.turnsCut.inc({ shard });
  }
  await metrics.prune(new Set(["s2"]), new Set());
  metrics.setNodeStates([{ id: "gone", state: "lost" }]);
  metrics.setNodeStates([{ id: "a", state: "maintenance" }]);
  const text = await metrics.registry.metrics();
  expect(text).not.toContain('shard="s1"');
  expect(text).toContain('shard="s2"');
  expect(text).toContain('openclaw_fleet_node_state{node="a",state="maintenance"} 1');
  expect(text).toContain('openclaw_fleet_node_state{node="a",state="active"} 0');
  expect(text).not.toContain('node="gone"');
});

test("a closing router answers what it has, then refuses connections", async () => {
  world = await World.start(["a"]);
  const gateway = await world.fleet.own("s1", "a", { turnMs: 200 });
  const { port, router } = world.node("a");
  const waiting = ask(port, "/api/v1/chat", { body: { agent: "helper", message: "x" } });
  await until(() => gateway.turnsSent.length === 1);
  await Promise.all([router.close(), waiting]);
  expect((await waiting).json.reply).toBe("echo x");
  await expect(ask(port, "/healthz")).rejects.toThrow(/ECONNREFUSED/);
});

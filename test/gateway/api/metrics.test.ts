import { createServer } from "node:net";
import { afterEach, expect, test } from "vitest";
import { ADMIN_TOKEN, CLIENT_TOKEN, PEER_TOKEN } from "../router/fakes.ts";
import { ask, World } from "../router/world.ts";

let world: World;
afterEach(() => world?.close());

const metrics = async (node: string) =>
  (await ask(world.node(node).port, "/metrics", { token: null })).text;

/** Two nodes, each with a shard that has used tokens. */
async function twoNodes(over: { alone?: boolean } = {}): Promise<void> {
  world = new World();
  for (const node of ["a", "b"]) await world.add(node, over);
  const first = await world.fleet.own("s1", "a");
  const second = await world.fleet.own("s2", "b");
  first.use({ agent: "main", input: 5 });
  second.use({ agent: "main", input: 7 });
}

test("on one machine whoever is asked tells of all nodes", async () => {
  await twoNodes();
  for (const node of ["a", "b"]) {
    const text = await metrics(node);
    for (const line of [
      'openclaw_fleet_shard_state{shard="s1",state="serving"} 1',
      'openclaw_fleet_shard_state{shard="s2",state="serving"} 1',
      'openclaw_fleet_lease_epoch{shard="s2"} 1',
      'openclaw_fleet_tokens_total{agent="main",kind="input"} 12',
      "openclaw_fleet_store_up 1",
      "openclaw_fleet_session_store_up 1",
    ]) {
      expect(text).toContain(`${line}\n`);
    }
  }
});

test("a session store that is away, or does not say, makes no scrape wait for it", async () => {
  await twoNodes();
  const { sessions } = world;
  const down = "openclaw_fleet_session_store_up 0\n";
  sessions.down = true;
  expect(await metrics("a")).toContain(down);
  sessions.ok = () => new Promise(() => {});
  const text = await metrics("a");
  expect(text).toContain(down);
  // A peer that waited for it would not be heard of.
  expect(text).toContain('openclaw_fleet_shard_state{shard="s2",state="serving"} 1\n');
});

test("a node with an address of its own tells of itself alone", async () => {
  await twoNodes({ alone: true });
  const text = await metrics("a");
  expect(text).toContain('openclaw_fleet_tokens_total{agent="main",kind="input"} 5\n');
  expect(text).not.toContain('shard="s2"');
});

test("a peer that is silent is left out, after a second", async () => {
  await twoNodes();
  const mute = createServer(() => undefined);
  await new Promise<void>((resolve) => mute.listen(0, "127.0.0.1", resolve));
  const { port } = mute.address() as { port: number };
  world.fleet.addresses.set("c", `127.0.0.1:${port}`);
  world.fleet.addresses.set("d", "127.0.0.1:1");
  const begin = performance.now();
  const text = await metrics("a");
  expect(performance.now() - begin).toBeLessThan(3_000);
  expect(text).toContain('openclaw_fleet_shard_state{shard="s2",state="serving"} 1\n');
  mute.close();
});

test("the peers' listener tells a node's numbers to nodes alone", async () => {
  await twoNodes();
  const peer = Number(world.node("b").router.peerAddress.split(":")[1]);
  const path = "/internal/metrics";
  for (const token of [null, CLIENT_TOKEN, ADMIN_TOKEN]) {
    expect((await ask(peer, path, { token })).status).toBe(401);
  }
  const headers = { "x-openclaw-fleet-peer": PEER_TOKEN };
  const { json } = await ask(peer, path, { token: null, headers });
  expect(json).toMatchObject({ node: "b", incarnation: "inc-b" });
  // It is no path of the public port.
  expect((await ask(world.node("b").port, path, { token: ADMIN_TOKEN })).status).toBe(404);
});

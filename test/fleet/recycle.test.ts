import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { PrivateFleet } from "./private.ts";

/** An idle gateway takes three quarters of a GiB. */
const TOO_LOW_MIB = 64;

interface Spell {
  shard: string;
  from: number;
  to: number;
}

/** From drain to serving again, each time, as the nodes' logs tell it. */
function recycles(world: PrivateFleet): Spell[] {
  const lines = world.fleet.nodes.flatMap((node) =>
    readFileSync(join(world.fleet.dataDir, "nodes", node, "node.log"), "utf8")
      .split("\n")
      .filter((line) => line.includes("→"))
      .map((line) => JSON.parse(line) as { time: string; shard: string; msg: string }),
  );
  const spells: Spell[] = [];
  for (const { time, shard, msg } of lines.sort((a, b) => a.time.localeCompare(b.time))) {
    const at = Date.parse(time);
    if (msg === "serving → draining")
      spells.push({ shard, from: at, to: Number.POSITIVE_INFINITY });
    const open = spells.findLast((spell) => spell.shard === shard);
    if (msg.endsWith("→ serving") && open) open.to = Math.min(open.to, at);
  }
  return spells;
}

test.skipIf(!process.env.OPENCLAW_FLEET_OPENCLAW)(
  "gateways above their memory limit are restarted in place, one at a time in the fleet",
  { timeout: 600_000 },
  async () => {
    await using world = await PrivateFleet.create({ nodes: 2, shards: 2, modelUrl: null });
    await world.start();
    const before = (await world.fleet.status()).shards;
    // The nodes read both limits in the same moment.
    world.fleet.configure((config) => ({
      ...config,
      shards: config.shards.map((shard) => ({ ...shard, recycleMiB: TOO_LOW_MIB })),
    }));
    await world.until("both were restarted", ({ shards }) => shards.every((s) => s.restarts > 0));
    world.fleet.configure((config) => ({
      ...config,
      shards: config.shards.map((shard) => ({ ...shard, recycleMiB: 4_096 })),
    }));
    const after = (await world.serving()).shards;
    for (const shard of after) {
      const old = before.find(({ id }) => id === shard.id);
      expect(shard.reason).toMatch(/^memory: \d+ MiB used, more than 64$/);
      expect(shard).toMatchObject({ owner: old?.owner, epoch: old?.epoch });
      expect(shard.pid).not.toBe(old?.pid);
    }
    const spells = recycles(world);
    expect(new Set(spells.map(({ shard }) => shard))).toEqual(new Set(["s1", "s2"]));
    for (const [i, spell] of spells.entries()) {
      for (const later of spells.slice(i + 1)) expect(later.from).toBeGreaterThanOrEqual(spell.to);
    }
  },
);

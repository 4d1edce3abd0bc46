import { existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import type { FleetStatus } from "../../gateway/contract.ts";
import { ensureRelease } from "../../toolchain/release.ts";
import { FastFleet, isServed, ownerOf } from "../fleet-fast/fleet.ts";
import { eventually } from "../support/eventually.ts";
import { said } from "./said.ts";

/** Boots of OpenClaw, several in a row, on a machine that does other things too. */
const PATIENCE_MS = 420_000;
const TEST_MS = 1_500_000;

let fleet: FastFleet | undefined;
afterEach(async () => {
  await fleet?.remove();
  fleet = undefined;
}, 60_000);

/** Two nodes, each with a disk of its own, and a directory for the replica. */
async function start(): Promise<FastFleet> {
  const made = new FastFleet({
    shards: 1,
    real: await ensureRelease(),
    replication: (base) => ({ target: { kind: "directory", path: join(base, "replicas") } }),
  });
  fleet = made;
  await made.prepare();
  await Promise.all(made.nodes.map((node) => made.startNode(node)));
  await until(made, "everything serves", (status) => isServed(status, made.shards, 2));
  return made;
}

const until = (made: FastFleet, what: string, wanted: (status: FleetStatus) => boolean) =>
  made.until(what, wanted, PATIENCE_MS);

async function history(made: FastFleet): Promise<string[]> {
  const answer = await made.fetch("/api/v1/history?limit=200", { admin: true });
  const { entries } = (await answer.json()) as { entries: { event: string }[] };
  return entries.map(({ event }) => event);
}

async function ask(made: FastFleet, message: string): Promise<void> {
  expect((await made.chat(message, "talk")).reply).toBe(`You said: ${message}`);
}

const saidIn = (made: FastFleet) =>
  said(`ws://127.0.0.1:${made.port}`, made.tokens.client[0], "talk", /the \w+|kept|lost/);

test(
  "a conversation outlives the node and the disk it was on, and planned moves",
  async () => {
    const made = await start();
    const first = ownerOf(await made.status(), "s1").node;
    const other = made.nodes.find((node) => node !== first) as string;
    await ask(made, "the first");
    await ask(made, "the second");
    // Every commit of a turn is seen within a look, and a look is ten times a second.
    await until(
      made,
      "the replica is current",
      ({ shards: [shard] }) => shard?.replica?.lagMs === 0,
    );
    expect(await saidIn(made)).toEqual(["the first", "the second"]);

    for (const pid of made.family(first)) process.kill(pid, "SIGKILL");
    rmSync(made.diskOf(first), { recursive: true, force: true });
    await until(made, "the other node serves", ({ shards: [shard] }) => {
      return shard?.owner === other && shard.state === "serving";
    });
    expect(await history(made)).toContain("restored");
    expect(await saidIn(made)).toEqual(["the first", "the second"]);
    await ask(made, "the third");
    expect(await saidIn(made)).toEqual(["the first", "the second", "the third"]);

    // A new machine in the old one's place.
    await made.startNode(first);
    await until(made, "both nodes are there", ({ nodes }) => {
      return nodes.filter(({ state }) => state === "active").length === 2;
    });
    await ask(made, "the fourth");
    await made.command("move", { shard: "s1", to: first });
    await until(made, "it was moved back", ({ shards: [shard] }) => {
      return shard?.owner === first && shard.state === "serving";
    });
    expect(await saidIn(made)).toEqual(["the first", "the second", "the third", "the fourth"]);
    expect(await history(made)).not.toContain("history lost");

    const tried = await made.fetch("/api/v1/fleet/restore", {
      admin: true,
      body: { shard: "s1", drill: true },
    });
    expect(await tried.json()).toMatchObject({ shard: "s1", sessions: 1 });
    for (const node of made.nodes) {
      expect(existsSync(join(made.diskOf(node), "nodes", node, "drill"))).toBe(false);
    }
  },
  TEST_MS,
);

test(
  "what was said and is missing after a loss is counted",
  async () => {
    const made = await start();
    const first = ownerOf(await made.status(), "s1").node;
    const other = made.nodes.find((node) => node !== first) as string;
    await ask(made, "kept");
    await until(
      made,
      "the replica is current",
      ({ shards: [shard] }) => shard?.replica?.lagMs === 0,
    );
    // From here on the replica is out of reach, and what is said is on one disk alone.
    const replicas = join(made.base, "replicas", "s1");
    renameSync(replicas, `${replicas}.away`);
    writeFileSync(replicas, "");
    await ask(made, "lost");
    await until(made, "it counts as unreplicated", ({ shards: [shard] }) => {
      return shard?.replica?.unreplicated === true;
    });
    for (const pid of made.family(first)) process.kill(pid, "SIGKILL");
    rmSync(made.diskOf(first), { recursive: true, force: true });
    rmSync(replicas);
    renameSync(`${replicas}.away`, replicas);
    await until(made, "the other node serves", ({ shards: [shard] }) => {
      return shard?.owner === other && shard.state === "serving";
    });
    expect(await saidIn(made)).toEqual(["kept"]);
    expect(await history(made)).toContain("history lost");
    // Whichever router has the port tells of both nodes.
    await eventually(async () => {
      const metrics = await (await made.fetch("/metrics")).text();
      expect(metrics).toMatch(/openclaw_fleet_history_lost_total\{shard="s1"\} [1-9]/);
    });
  },
  TEST_MS,
);

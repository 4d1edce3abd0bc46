import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Launch, RunnerEvent } from "../../../gateway/shard/types.ts";
import type { StateStore } from "../../../gateway/state/store.ts";
import { ShardHost } from "../../../gateway/supervisor/shard-host.ts";
import { FakeKeeper } from "../shard/fakes.ts";
import { World as RunnerWorld } from "../shard/world.ts";

const RELEASE = { id: "1.0.0", node: "/n/node", openclaw: "/o/openclaw.mjs", runtime: "/r" };
const LAUNCH: Launch = { command: "/n", args: [], cwd: "/", env: {}, port: 19_000, token: "t" };

/** Shard s1 on one node, without a replica. Its state says `old`, that of an OpenClaw elsewhere `other`. */
class World {
  readonly folder = mkdtempSync(join(tmpdir(), "fleet-host-"));
  readonly stateDir = join(this.folder, "s1", "state");
  readonly other = join(this.folder, "other");
  readonly remembered: string[] = [];
  readonly heard: RunnerEvent["type"][] = [];
  /** Configurations that were written. */
  launches = 0;
  /** Shards whose conversations were told of, and whether anybody was shown the shard by then. */
  readonly introduced: string[] = [];
  /** Why the session store does not take them. */
  storeFault: string | null = null;
  /** Right after a start has begun to be prepared. */
  preparing: (launch: Promise<Launch>) => void = () => {};
  shard!: RunnerWorld;
  readonly host = new ShardHost({
    fleet: "f",
    node: "a",
    incarnation: "i1",
    bootId: "boot",
    state: {
      marker: async () => null,
      open: async () => ({ stateDir: this.stateDir, position: null }),
      setCage: async () => {},
      finish: async () => null,
    } as Partial<StateStore> as StateStore,
    remember: (event, _, detail) => this.remembered.push(`${event}: ${detail}`),
    keeper: new FakeKeeper(),
    shelf: { find: () => RELEASE },
    trials: { ask: async () => {}, publish: async () => {} },
    runner: ({ launch: prepare, heard }) => {
      const launch = () => {
        const launch = prepare();
        this.preparing(launch);
        return launch;
      };
      const mayServe = async () => void (await this.host.prove("s1"));
      this.shard = new RunnerWorld({ launch, onEvent: heard, mayServe });
      return this.shard.runner;
    },
    introduce: async (shard) => {
      this.introduced.push(`${shard} ${this.shard.state}`);
      if (this.storeFault !== null) throw new Error(this.storeFault);
    },
    launch: async () => {
      this.launches += 1;
      return LAUNCH;
    },
    heard: (_, { type }) => this.heard.push(type),
    log: () => {},
  });

  constructor() {
    for (const [dir, text] of [
      [this.stateDir, "old"],
      [this.other, "other"],
    ] as const) {
      mkdirSync(dir, { recursive: true });
      writeFileSync(join(dir, "note"), text);
    }
  }

  get note(): string {
    return readFileSync(join(this.stateDir, "note"), "utf8");
  }

  get beside(): string[] {
    return readdirSync(dirname(this.stateDir)).filter((name) => name !== "state");
  }

  /** It was started so often, and serves. */
  async serves(starts: number): Promise<void> {
    const now = async () => {
      await this.shard.time.pass(500);
      return `${this.launches} ${this.shard.state}`;
    };
    await expect.poll(now, { timeout: 20_000 }).toBe(`${starts} serving`);
  }

  /** It serves under epoch 1, and the other state is to take the place of its own. */
  async replacing(): Promise<void> {
    this.host.note("s1", "acquire");
    await this.host.opened("s1", 1, { before: 0, published: null, release: RELEASE.id });
    this.host.start("s1", 1);
    await this.serves(1);
    expect(this.host.replace("s1", { kind: "directory", path: this.other })).toBeNull();
  }
}

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => rmSync(world.folder, { recursive: true, force: true }));

test("a state is replaced at a restart, and what was there stays beside it", async () => {
  await world.replacing();
  await world.serves(2);
  expect(world.note).toBe("other");
  expect(world.beside).toEqual([expect.stringMatching(/^aside-1-/)]);
  expect(world.remembered).toEqual([`replaced: a copy of ${world.other}`]);
});

test("what a replaced state has of conversations is told before the shard is shown, and once", async () => {
  await world.replacing();
  expect(world.introduced).toEqual([]);
  world.storeFault = "it is away";
  await world.serves(2);
  expect(world.introduced).toEqual(["s1 starting"]);
  // What could not be told is told at the next start.
  world.storeFault = null;
  for (const starts of [3, 4]) {
    world.shard.keeper.exit(1);
    await world.serves(starts);
    expect(world.introduced).toEqual(["s1 starting", "s1 starting"]);
  }
});

test("a replacement that a drain has called off is not made up for at a later crash", async () => {
  await world.replacing();
  world.host.drain("s1", 1, "maintenance");
  const why = "not replaced: the shard is to leave this node (maintenance)";
  expect(world.remembered).toEqual([why]);
  world.host.undrain("s1", 1);
  await world.serves(1);
  world.shard.keeper.exit(1);
  await world.serves(2);
  expect(world.note).toBe("old");
  expect(world.remembered).toEqual([why]);
  expect(world.host.replace("s1", { kind: "directory", path: world.other })).toBeNull();
});

test("people are told that an end of the shard left a replacement undone", async () => {
  await world.replacing();
  await world.host.kill("s1", 1, "its deadline passed");
  expect(world.remembered).toEqual(["not replaced: its deadline passed"]);
});

test("the same when the keeper has ended it by itself", async () => {
  await world.replacing();
  world.shard.keeper.exit(null, { fenced: true });
  expect(world.heard.at(-2)).toBe("emptied");
  await world.host.finish("s1", 1);
  expect(world.remembered).toEqual(["not replaced: the shard was given up"]);
});

test("a start that was given up while it was prepared touches nothing any more", async () => {
  await world.replacing();
  const { promise: launch, resolve } = Promise.withResolvers<{ end: Promise<Launch> }>();
  world.preparing = (end) => {
    // The copy has just begun; nothing runs, so the lease may be given up at once.
    void world.host.kill("s1", 1, "the lease was lost");
    resolve({ end });
  };
  await world.shard.time.pass(10_000);
  expect(world.heard).toContain("emptied");
  await expect((await launch).end).rejects.toThrow("given up meanwhile");
  expect(world.note).toBe("old");
  expect(world.beside).toEqual([]);
  expect(world.launches).toBe(1);
  expect(world.remembered).toEqual(["not replaced: the shard was given up meanwhile"]);
});

import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { NODE_UNIT } from "../../components/node/unit.ts";
import type { HistoryEntry } from "../../gateway/leases/store.ts";
import { openclawOf } from "../../gateway/supervisor/releases.ts";
import type { Seen } from "../drill/checks/seen.ts";
import { waitFor } from "../drill/conditions.ts";
import { makeProject, type Project, PULUMI } from "../engine/fixtures/project.ts";
import { WsClient } from "../fleet/ws-client.ts";
import { BROKEN_OPENCLAW } from "../support/broken-openclaw.ts";
import { FULL } from "../support/share.ts";
import { cacheOver } from "./support/cache-over.ts";
import { FleetClient, type FleetOutputs } from "./support/fleet-client.ts";
import type { TestHost } from "./support/host.ts";
import { TestHosts } from "./support/lab.ts";
import { openclawAs } from "./support/openclaw-versions.ts";
import { SLOW_BOOT_MS } from "./support/people.ts";
import { whyNoHosts } from "./support/programs.ts";
import { hostsSettings, MODEL_ENV, modelSettings } from "./support/stack-settings.ts";
import { WatchedFleet } from "./support/watched.ts";

const OPENCLAW = process.env.OPENCLAW_FLEET_OPENCLAW;
const NAMES = ["a", "b", "c"];
/** Three hosts one after the other, each drained of turns, and then trials. */
const UP_MS = 1_800_000;
const WAIT_MS = 1_200_000;
/** All hosts share this machine with their clients: turns of up to half a minute, a few at a time. */
const LOAD = {
  chats: 2,
  streams: 1,
  completions: 1,
  sockets: 1,
  bot: null,
  longestTurnMs: 30_000,
  thinkMs: { least: 2_000, most: 6_000 },
};
/** Later than any that the project is built on. */
const [NEWER, BROKEN, NEWEST] = ["9000.1.0", "9000.2.0", "9000.3.0"] as const;

/** What happens to people while a fleet on real hosts gets another release or another OpenClaw. */
describe.skipIf(!FULL || !PULUMI || !OPENCLAW || whyNoHosts() !== null)("upgrades of hosts", () => {
  let folder: string;
  let lab: TestHosts;
  let project: Project;
  let watched: WatchedFleet;
  let fleet: FleetClient;
  let env: Record<string, string>;
  let broken: string[] | null = null;
  const entries: Record<string, string> = {};
  /** Which sessions live on which shard. */
  const talks = new Map<string, string>();

  const up = (openclaw?: string) =>
    project.pulumi(["up", "--yes"], {
      ...env,
      ...(openclaw ? { OPENCLAW_FLEET_OPENCLAW: entries[openclaw] as string } : {}),
    });
  const mustUp = async (openclaw?: string) => {
    const { code, text } = await up(openclaw);
    expect(code, text).toBe(0);
  };
  const versions = async () =>
    new Set((await watched.world.status()).nodes.map(({ version }) => version));
  /** Of a fleet whose every node has it, and every shard runs it. */
  const isWholly = async (openclaw: string) => {
    const { update, nodes } = await watched.world.status();
    expect(update).toBeUndefined();
    expect(nodes.map(({ version }) => openclawOf(version))).toEqual(NAMES.map(() => openclaw));
    for (const shard of talks.keys()) expect(await running(shard)).toBe(openclaw);
  };
  /** What the gateway of a shard says it is. */
  const running = async (shard: string) => {
    const { endpoint, token } = watched.world.target;
    const url = `${endpoint.replace(/^http/, "ws")}/?session=${talks.get(shard)}`;
    const client = await WsClient.connect(url, token);
    client.close();
    return (client.hello.server as { version?: string } | undefined)?.version;
  };
  /** What the fleet wrote down about updates, oldest first, from there on. */
  const updates = async (from = 0) => {
    const { entries: all } = (await fleet.admin("/api/v1/history?limit=500")) as {
      entries: HistoryEntry[];
    };
    return all.filter(({ event }) => event.startsWith("updat")).slice(from);
  };
  /**
   * Nobody was turned away. Requests wait for a minute: where a boot alone takes about as long, those that waited it out are
   * the machine's doing.
   */
  const unnoticed = (seen: Seen) => {
    const { requests, failed, repeated, held, longestBootMs } = seen;
    process.stderr.write(`${inWords(seen)}\n`);
    expect(failed).toEqual([]);
    expect(repeated).toEqual([]);
    expect(requests).toBeGreaterThan(20);
    if (longestBootMs < SLOW_BOOT_MS) expect(held).toEqual([]);
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "fleet-upgrades-"));
    env = { ...cacheOver(join(folder, "cache")), ...MODEL_ENV };
    for (const version of [NEWER, BROKEN, NEWEST]) {
      const code = version === BROKEN ? BROKEN_OPENCLAW : undefined;
      entries[version] = await openclawAs(OPENCLAW as string, join(folder, version), version, code);
    }
    lab = await TestHosts.create({ hosts: NAMES });
    project = await makeProject({ own: true });
    watched = await WatchedFleet.of(lab, "upgrades");
    const models = modelSettings(watched.modelUrl);
    const settings = { preset: "small", shards: 2, monitoring: { enabled: false }, models };
    project.settings(hostsSettings(lab, settings));
    const { code, text } = await project.pulumi(["stack", "init", "test"], env);
    expect(code, text).toBe(0);
    await mustUp();
    const { stdout } = await project.pulumi(["stack", "output", "--json", "--show-secrets"], env);
    const outputs = JSON.parse(stdout) as FleetOutputs;
    await watched.begin(outputs, LOAD);
    const { endpoint } = watched.world.target;
    fleet = new FleetClient({ ...outputs, endpoint });
    for (let i = 0; talks.size < 2 && i < 40; i++) {
      const session = `probe-${i}`;
      talks.set(await watched.probe(session), session);
    }
    expect([...talks.keys()].sort()).toEqual(["s1", "s2"]);
  }, UP_MS);
  afterAll(async () => {
    await watched?.close(broken === null || broken.length > 0);
    project?.remove();
    await lab?.close();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  test("another release goes to one host after the other, and no request fails", {
    timeout: UP_MS,
  }, async () => {
    const before = await versions();
    const seen = await watched.during("release", "planned", async () => {
      // It is part of what a node runs, and nothing else.
      const source = join(project.dir, "gateway/node/main.ts");
      appendFileSync(source, "\nObject.assign(globalThis, { anotherRelease: true });\n");
      await mustUp();
    });
    unnoticed(seen);
    const after = await versions();
    expect(after.size).toBe(1);
    expect(before).not.toContain([...after][0]);
    // From its end until it is ready again, no other host is without its node.
    const away = await Promise.all(lab.hosts.map((host) => restartOf(host)));
    away.sort((one, other) => one.from - other.from);
    for (const [i, { to }] of away.slice(0, -1).entries()) {
      expect(away[i + 1]?.from).toBeGreaterThan(to);
    }
  });

  test("a newer OpenClaw comes to one shard, then to the other, and no request fails", {
    timeout: UP_MS,
  }, async () => {
    const seen = await watched.during("newer OpenClaw", "planned", () => mustUp(NEWER));
    unnoticed(seen);
    await isWholly(NEWER);
    const told = await updates();
    expect(told.map(({ event }) => event)).toEqual(["updating", "updated", "updating", "updated"]);
    const [first, decided, second, last] = told.map(({ shard }) => shard);
    expect([decided, last]).toEqual([first, second]);
    expect(new Set([first, second]).size).toBe(2);
  });

  test("one that does not start is taken back with what it did to the state, and up says so", {
    timeout: UP_MS,
  }, async () => {
    const from = (await updates()).length;
    const seen = await watched.during("broken OpenClaw", "planned", async () => {
      const { code, text } = await up(BROKEN);
      expect(code, text).not.toBe(0);
      expect(text).toMatch(
        new RegExp(`OpenClaw ${BROKEN} failed on shard s[12], which went back to what it ran`),
      );
      expect(text).toContain("no such table: everything");
    });
    unnoticed(seen);
    const told = await updates(from);
    expect(told.map(({ event }) => event)).toEqual(["updating", "update refused"]);
    for (const shard of talks.keys()) expect(await running(shard)).toBe(NEWER);
  });

  test("a host without power in the middle of it: up again brings all to one version, and no conversation is lost", {
    timeout: UP_MS,
  }, async ({ signal }) => {
    const from = (await updates()).length;
    const seen = await watched.during("power-off", "crash", async (takes) => {
      const begun = up(NEWEST);
      let victim = "";
      await waitFor("one shard to have it", WAIT_MS, signal, async () => {
        const { shards, update } = await watched.world.status();
        const [waiting, ...more] = update?.waiting ?? [];
        victim = shards.find(({ id }) => id === waiting)?.owner ?? "";
        return update?.to === NEWEST && more.length === 0 && victim !== "";
      });
      expect((await updates(from))[1]).toMatchObject({ event: "updated" });
      const host = lab.host(victim);
      takes(victim);
      await host.powerOff();
      await waitFor("the others to serve", WAIT_MS, signal, async () => {
        const { shards } = await watched.world.status();
        return shards.every(({ owner, state }) => owner !== victim && state === "serving");
      });
      await host.start();
      // It may have ended either way: the host was away for a part of it.
      await begun;
      await mustUp(NEWEST);
    });
    expect(seen.requests).toBeGreaterThan(20);
    await isWholly(NEWEST);
  });

  test("no law of a drill was broken by any of it", { timeout: UP_MS }, async () => {
    broken = await watched.end();
    expect(broken).toEqual([]);
  });

  /** When the node of a host was last away, µs of the machine's clock. */
  async function restartOf(host: TestHost): Promise<{ from: number; to: number }> {
    const stamps = ["ActiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic"];
    const argv = ["systemctl", "show", NODE_UNIT, "--value", ...stamps.map((name) => `-p${name}`)];
    const [one = 0, other = 0] = (await host.run(argv)).stdout.trim().split("\n").map(Number);
    expect(Math.min(one, other)).toBeGreaterThan(0);
    return { from: Math.min(one, other), to: Math.max(one, other) };
  }
});

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;

const inWords = ({ requests, held, longestTurnMs, longestWaitMs, longestBootMs }: Seen): string =>
  `${requests} requests, ${held.length} held to the end; longest turn ${seconds(longestTurnMs)}, ` +
  `wait ${seconds(longestWaitMs)}, boot ${seconds(longestBootMs)}`;

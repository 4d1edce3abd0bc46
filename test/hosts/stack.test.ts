import { dirname } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { FleetStatus } from "../../gateway/contract.ts";
import { cacheDir } from "../../toolchain/paths.ts";
import { makeProject, type Project, PULUMI } from "../engine/fixtures/project.ts";
import { eventually } from "../support/eventually.ts";
import { FULL } from "../support/share.ts";
import { FleetClient, type FleetOutputs } from "./support/fleet-client.ts";
import type { TestHost } from "./support/host.ts";
import { TestHosts } from "./support/lab.ts";
import { whyNoHosts } from "./support/programs.ts";
import { hostsSettings } from "./support/stack-settings.ts";
import { fleetTraces } from "./support/traces.ts";

const OPENCLAW = process.env.OPENCLAW_FLEET_OPENCLAW;
const NAMES = ["a", "b", "c"];
/** Gateways boot in ten seconds on an idle machine, and wait for each other on a busy one. */
const WAIT_MS = 240_000;
const UP_MS = 900_000;
const SETTINGS = { preset: "small", shards: 2 };

/** Everything real: Pulumi's engine, hosts, etcd, Redis, Nginx with TLS, OpenClaw. */
describe.skipIf(!PULUMI || !OPENCLAW || whyNoHosts() !== null)("a stack of three hosts", () => {
  let lab: TestHosts;
  let project: Project;
  let outputs: FleetOutputs;
  let fleet: FleetClient;
  /** What is there before a fleet is, host by host. */
  let bare: string[];
  const env = { XDG_CACHE_HOME: dirname(cacheDir()) };
  const must = async (...args: string[]) => {
    const run = await project.pulumi(args, env);
    expect(run.code, run.text).toBe(0);
    return run.text;
  };
  const status = () => fleet.status();
  const chat = (session: string) => fleet.chat(session);

  beforeAll(async () => {
    lab = await TestHosts.create({ hosts: NAMES });
    project = await makeProject();
    project.settings(hostsSettings(lab, SETTINGS));
    await must("stack", "init", "test");
    bare = await Promise.all(lab.hosts.map((host) => fleetTraces([host])));
  });
  afterAll(async () => {
    project?.remove();
    await lab?.close();
  });

  test("up makes a fleet of bare hosts, and a chat is answered through TLS", {
    timeout: UP_MS,
  }, async () => {
    await must("up", "--yes");
    const { stdout } = await project.pulumi(["stack", "output", "--json", "--show-secrets"]);
    outputs = JSON.parse(stdout) as FleetOutputs;
    fleet = new FleetClient(outputs);
    expect(outputs.endpoint).toBe(`https://${lab.host("a").address}`);
    expect((await chat("first")).reply).toContain("hello");
    const { nodes, shards, store } = await status();
    expect(nodes.map(({ id }) => id).sort()).toEqual(NAMES);
    expect(shards.map(({ state }) => state)).toEqual(["serving", "serving"]);
    expect(store).toMatchObject({ kind: "etcd", ok: true });
  });

  test("every shard is restored beside the live one from where its replica is, and thrown away", async () => {
    const restored = async ({ id }: FleetStatus["shards"][number]) =>
      (await fleet.admin("/api/v1/fleet/restore", { shard: id, drill: true })) as {
        shard: string;
        sessions: number;
        point: { site: string };
      };
    const { shards } = await status();
    const owners = new Map(shards.map(({ id, owner }) => [id, owner]));
    // What was said is there as soon as a moment after it is.
    await eventually(async () => {
      const tried = [];
      for (const shard of shards) tried.push(await restored(shard));
      expect(tried.reduce((sum, { sessions }) => sum + sessions, 0)).toBeGreaterThan(0);
      for (const { shard, point } of tried) {
        expect(NAMES).toContain(point.site);
        expect(point.site).not.toBe(owners.get(shard));
      }
    }, WAIT_MS);
    for (const host of lab.hosts) {
      const { stdout } = await host.run("ls -d /var/lib/openclaw-fleet/nodes/*/drill || :");
      expect(stdout).toBe("");
    }
  });

  test("no token and no key is readable in the state", async () => {
    const { stdout } = await project.pulumi(["stack", "export"]);
    for (const secret of [outputs.token, outputs.adminToken, "PRIVATE KEY"]) {
      expect(stdout).not.toContain(secret);
    }
  });

  test("up again changes nothing", { timeout: UP_MS }, async () => {
    expect(await must("up", "--yes")).toMatch(/Resources:\s+\d+ unchanged/);
  });

  test("up fails for settings that OpenClaw refuses, and no host sees them", {
    timeout: UP_MS,
  }, async () => {
    const written = () =>
      Promise.all(lab.hosts.map((host) => host.readFile("/var/lib/openclaw-fleet/fleet.json")));
    const good = await written();
    const pids = async () => (await status()).shards.map(({ pid }) => pid);
    const running = await pids();
    project.settings(hostsSettings(lab, { ...SETTINGS, openclaw: { gateway: { nonsense: 1 } } }));
    const { code, text } = await project.pulumi(["up", "--yes"], env);
    project.settings(hostsSettings(lab, SETTINGS));
    expect(code, text).not.toBe(0);
    expect(text).toMatch(/OpenClaw refuses these settings: gateway: .*nonsense/);
    expect(text).toContain("Mend openclaw-fleet:openclaw.gateway");
    expect(await written()).toEqual(good);
    expect((await status()).shards.map(({ reason }) => reason ?? "").join()).not.toContain(
      "refused",
    );
    expect(await pids()).toEqual(running);
    // The way back is no change.
    expect(await must("up", "--yes")).toMatch(/Resources:\s+\d+ unchanged/);
  });

  test.skipIf(!FULL)(
    "refresh sees a file that was edited by hand, and up puts it back",
    {
      timeout: UP_MS,
    },
    async () => {
      const path = "/etc/openclaw-fleet/nginx.conf";
      const read = async () => (await lab.host("b").run(["cat", path])).stdout;
      const planned = await read();
      await lab.host("b").run(["sh", "-c", `echo '# mine' >> ${path}`]);
      expect(await must("refresh", "--yes", "--diff")).toContain(path);
      await must("up", "--yes");
      expect(await read()).toBe(planned);
      await must("up", "--yes", "--expect-no-changes");
    },
  );

  test.skipIf(!FULL)(
    "a host that loses its power takes no conversation with it",
    {
      timeout: UP_MS,
    },
    async () => {
      const { shard } = await chat("kept");
      const { owner } = (await status()).shards.find(({ id }) => id === shard) ?? {};
      // The front that is asked must stay: it is the first host's.
      const victim = owner === "a" ? null : (owner as string);
      if (victim === null) await fleet.admin("/api/v1/fleet/move", { shard, to: "b" });
      const lost = victim ?? "b";
      await eventually(async () => {
        const found = (await status()).shards.find(({ id }) => id === shard);
        expect(found).toMatchObject({ owner: lost, state: "serving" });
      }, WAIT_MS);
      await lab.host(lost).powerOff();
      const again = await eventually(() => chat("kept"), WAIT_MS);
      expect(again.shard).toBe(shard);
      const now = (await status()).shards.find(({ id }) => id === shard);
      expect(now?.owner).not.toBe(lost);
      expect(now?.epoch).toBeGreaterThan(1);
      await lab.host(lost).start();
      await eventually(async () => {
        expect((await status()).nodes.find(({ id }) => id === lost)?.state).toBe("active");
      }, WAIT_MS);
    },
  );

  // As ./fleet up and destroy say it to the engine on hosts.
  const GO_ON = "--continue-on-error";

  test.skipIf(!FULL)(
    "a host that does not answer stops its own step of up and of destroy, and no other host's",
    {
      timeout: 2 * UP_MS,
    },
    async () => {
      const [a, b, c] = NAMES.map((name) => lab.host(name)) as [TestHost, TestHost, TestHost];
      const changed = { ...SETTINGS, openclaw: { cron: { skipMissedJobs: true } } };
      const has = async (host: TestHost) =>
        (await host.readFile("/var/lib/openclaw-fleet/fleet.json"))?.includes("skipMissedJobs");
      await c.powerOff();
      project.settings(hostsSettings(lab, changed));
      const up = await project.pulumi(["up", "--yes", GO_ON], env);
      expect(up.code, up.text).not.toBe(0);
      expect(up.text).toMatch(/\bc\b.* cannot be reached/);
      expect([await has(a), await has(b)]).toEqual([true, true]);
      await c.start();
      await must("up", "--yes", GO_ON);
      expect(await has(c)).toBe(true);
      expect((await chat("kept")).reply).toContain("hello");

      await c.powerOff();
      const down = await project.pulumi(["destroy", "--yes", GO_ON], env);
      expect(down.code, down.text).not.toBe(0);
      expect(down.text).toContain("OPENCLAW_FLEET_FORGET_HOSTS");
      await c.start();
      const left = await Promise.all([a, b, c].map((host) => fleetTraces([host])));
      expect(left.slice(0, 2)).toEqual(bare.slice(0, 2));
      expect(left[2]).not.toBe(bare[2]);
    },
  );

  test("destroy leaves no trace", { timeout: UP_MS }, async () => {
    await must("destroy", "--yes");
    expect(await Promise.all(lab.hosts.map((host) => fleetTraces([host])))).toEqual(bare);
  });
});

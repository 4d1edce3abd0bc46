import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { FLEET_USER } from "../../components/host/types.ts";
import { NODE_UNIT } from "../../components/node/unit.ts";
import { connectGateway } from "../../gateway/openclaw/client.ts";
import type { DrillResult, PointInTime } from "../../gateway/replication/thread-protocol.ts";
import { ensureRelease } from "../../toolchain/release.ts";
import { PULUMI } from "../engine/fixtures/project.ts";
import { eventually } from "../support/eventually.ts";
import { makeAlone, runAlone } from "../support/openclaw-alone.ts";
import { FULL } from "../support/share.ts";
import { FleetClient } from "./support/fleet-client.ts";
import { TestHosts } from "./support/lab.ts";
import type { People } from "./support/people.ts";
import { whyNoHosts } from "./support/programs.ts";
import { SERVES_MS, TypedFleet } from "./support/typed-fleet.ts";

const HOSTS = ["a", "b", "c"];
const CHANGE_MS = 1_800_000;
const ADOPTED = "/srv/alone";
/** Far above what is used, MiB. */
const MEMORY_MAX = 16_384;
const FAULT = `/etc/systemd/system/${NODE_UNIT}.d/fault.conf`;

/** Everything real, by the commands that people type, on a fleet whose hosts stay the same. */
describe.skipIf(!FULL || !PULUMI || !process.env.OPENCLAW_FLEET_OPENCLAW || whyNoHosts() !== null)(
  "what people do with a fleet",
  { timeout: CHANGE_MS },
  () => {
    let lab: TestHosts;
    let fleet: TypedFleet;
    let folder: string;
    let people: People | null = null;

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), "fleet-commands-"));
      lab = await TestHosts.create({ hosts: HOSTS });
      fleet = new TypedFleet(lab, { preset: "medium", shards: 3, monitoring: { enabled: false } });
      fleet.hosts(HOSTS);
      await fleet.up();
      await fleet.bringHome(HOSTS);
    }, CHANGE_MS);
    // Of a test that failed; while there is a fleet to answer what they asked.
    afterEach(async () => {
      await people?.leave();
      people = null;
    }, CHANGE_MS);
    afterAll(async () => {
      // In whatever state a test left it: its hosts end with the lab.
      fleet?.remove();
      await lab?.close();
      rmSync(folder, { recursive: true, force: true });
    }, CHANGE_MS);

    const epochs = async () => (await fleet.status()).shards.map(({ id, epoch }) => [id, epoch]);

    test("adopt takes over an OpenClaw that ran alone: its conversation goes on, and the original is as it was", async () => {
      const alone = join(folder, "alone");
      const makings = await makeAlone(await ensureRelease(), alone);
      await runAlone(
        makings,
        async ({ port, token }) => {
          const gateway = connectGateway({ port, token });
          await gateway.ready(AbortSignal.timeout(SERVES_MS));
          const turn = { agent: "main", session: "kept", mayHaveRun: false, budgetMs: SERVES_MS };
          const runId = "6f1c1f0e-5a0e-4c55-8a3e-2f4e0c1d9b7a";
          await gateway.runTurn({ ...turn, runId, message: "the first" });
          gateway.close();
        },
        { end: "SIGTERM", bootMs: SERVES_MS },
      ).finally(() => makings.close());
      const empty = (await fleet.status()).shards.find(({ sessions }) => sessions === 0);
      const { id: shard, owner } = empty as NonNullable<typeof empty>;
      const host = lab.host(owner as string);
      const stdin = execFileSync("tar", ["-C", alone, "-cf", "-", "."], { maxBuffer: 2 ** 30 });
      await host.run(
        `mkdir ${ADOPTED} && tar -C ${ADOPTED} -xf - && chown -R ${FLEET_USER}: ${ADOPTED}`,
        { stdin },
      );
      const original = async () =>
        (await host.run(`cd ${ADOPTED} && find . -type f -exec sha256sum {} + | sort`)).stdout;
      const before = await original();
      expect(before).toContain(".sqlite");
      await fleet.json("adopt", ADOPTED, "--shard", shard, "--yes");
      expect(await original()).toBe(before);
      const more = await fleet.json<{ reply: string; shard: string }>(
        ...["chat", "--session", "kept", "the second"],
      );
      expect(more).toMatchObject({ reply: "You said: the second", shard });
      expect(await fleet.said("kept", /the \w+/)).toEqual(["the first", "the second"]);
      expect((await fleet.owners())[shard]).toBe(owner);
      await host.run(["rm", "-r", ADOPTED]);
    });

    test("backup, backups, and a restore of every shard beside the live one", async () => {
      type Moments = { shards: { id: string; points: PointInTime[] }[] };
      const { shards } = await fleet.json<{ shards: ({ id: string } & Partial<PointInTime>)[] }>(
        "backup",
      );
      expect(shards.map(({ id }) => id)).toEqual(fleet.shards);
      const listed = await fleet.json<Moments>("backups");
      for (const { id, at } of shards) {
        const points = listed.shards.find((one) => one.id === id)?.points ?? [];
        expect(points.map((point) => point.at)).toContain(at);
      }
      const owners = await fleet.owners();
      const before = await epochs();
      const drilled = await fleet.json<{
        shards: ({ shard: string } & DrillResult)[];
        faults: unknown[];
      }>("restore", "--drill");
      expect(drilled.faults).toEqual([]);
      expect(drilled.shards.map(({ shard }) => shard)).toEqual(fleet.shards);
      for (const { shard, point, tookMs, bytes } of drilled.shards) {
        expect(point.site).not.toBe(owners[shard]);
        expect(Math.min(tookMs, bytes)).toBeGreaterThan(0);
      }
      // The one that was adopted has its conversation in its replica.
      expect(drilled.shards.some(({ sessions }) => (sessions ?? 0) > 0)).toBe(true);
      expect(await epochs()).toEqual(before);
    });

    test("doctor finds nothing, and support packs the hosts' logs without a secret", async () => {
      const { ok, checks } = await fleet.json<{
        ok: boolean;
        checks: { id: string; state: string }[];
      }>("doctor");
      expect(ok, JSON.stringify(checks)).toBe(true);
      expect(checks.find(({ id }) => id === "fleet")).toMatchObject({ state: "ok" });
      const out = join(folder, "support.tar.gz");
      expect((await fleet.ok(["support", "--out", out])).stdout.trim()).toBe(out);
      execFileSync("tar", ["-C", folder, "-xzf", out]);
      const packed = join(folder, `fleet-support-${fleet.name}`);
      const names = readdirSync(packed);
      for (const host of HOSTS) {
        expect(names).toEqual(expect.arrayContaining([`node-${host}.log`, `host-${host}.log`]));
        expect(readFileSync(join(packed, `node-${host}.log`), "utf8")).toContain('"instanceId"');
        expect(readFileSync(join(packed, `host-${host}.log`), "utf8")).toContain("etcd");
      }
      const text = names.map((name) => readFileSync(join(packed, name), "utf8")).join("\n");
      const secrets = await secretsOf(fleet);
      expect(Object.keys(secrets)).toEqual(
        expect.arrayContaining(["token.admin", "token.client", "token.peer", "tls.a.key"]),
      );
      for (const [name, value] of Object.entries(secrets)) {
        expect(text.includes(value), `${name} is in the bundle`).toBe(false);
      }
      expect(text).not.toMatch(/PRIVATE KEY-----\n/);
    });

    test("a shard goes back to a moment, and from there to another host", async () => {
      await fleet.json("backup");
      const at = new Date().toISOString();
      const { shard } = await fleet.json<{ shard: string }>("chat", "--session", "kept", "the end");
      const owners = await fleet.owners();
      const to = HOSTS.find((host) => host !== owners[shard]) as string;
      await fleet.json("restore", shard, "--at", at, "--to", to, "--yes");
      await eventually(async () => {
        expect(await fleet.owners()).toEqual({ ...owners, [shard]: to });
      }, SERVES_MS);
      expect(await fleet.said("kept", /the \w+/)).toEqual(["the first", "the second"]);
      await fleet.bringHome(HOSTS);
      await fleet.json("chat", "--session", "kept", "the third");
      expect(await fleet.said("kept", /the \w+/)).toEqual(["the first", "the second", "the third"]);
    });

    test("a change that a host does not take goes back there, and the other hosts never see it", async () => {
      people = await fleet.people();
      const starts = await fleet.shown(HOSTS, "ExecMainStartTimestampMonotonic");
      const unit = `/etc/systemd/system/${NODE_UNIT}`;
      const refuses = `[Service]\nExecStartPre=/bin/sh -c "! grep ^MemoryMax ${unit} || { echo 'this host cannot do that'; exit 1; }"\n`;
      for (const host of lab.hosts) {
        await host.run(`mkdir -p $(dirname ${FAULT}) && cat > ${FAULT}`, { stdin: refuses });
      }
      fleet.set({ sizes: { nodeMemoryMaxMiB: MEMORY_MAX } });
      const { code, stdout, stderr } = await fleet.run(["up", "--yes"]);
      const text = stdout + stderr;
      expect(code, text).toBe(1);
      expect(text).toContain("this host cannot do that");
      expect(text).toContain("What was there before is in place again");
      const failed = /was not touched, because host (\w) failed/.exec(text)?.[1];
      expect(HOSTS, text).toContain(failed);
      expect(await fleet.shown(HOSTS, "MemoryMax")).toEqual(HOSTS.map(() => "infinity"));
      const now = await fleet.shown(HOSTS, "ExecMainStartTimestampMonotonic");
      const again = HOSTS.filter((_, n) => now[n] !== starts[n]);
      expect(again).toEqual([failed]);
      await eventually(() => fleet.owners(), SERVES_MS);
      await people.noticedNothing();
    });

    test("once the host can take it, the same change comes to all of them, and nobody notices", async () => {
      for (const host of lab.hosts) {
        await host.run(["rm", FAULT]);
        await host.run(["systemctl", "daemon-reload"]);
      }
      people = await fleet.people();
      await fleet.up();
      const limit = String(MEMORY_MAX * 1024 ** 2);
      expect(await fleet.shown(HOSTS, "MemoryMax")).toEqual(HOSTS.map(() => limit));
      expect((await fleet.status()).nodes.map(({ state }) => state)).toEqual(
        HOSTS.map(() => "active"),
      );
      await people.noticedNothing();
    });

    test("rotate-certs --authority: another authority, and no node restarts or gives a shard away", async () => {
      await fleet.bringHome(HOSTS);
      const old = fleet.outputs.caCertificate;
      const pids = await fleet.shown(HOSTS, "MainPID");
      await fleet.ok(["rotate-certs", "--authority", "--yes"]);
      await fleet.readOutputs();
      expect(fleet.outputs.caCertificate).not.toContain(old.trim());
      expect(await fleet.owners()).toEqual(fleet.homes(HOSTS));
      expect(await fleet.shown(HOSTS, "MainPID")).toEqual(pids);
      const answered = await fleet.json<{ reply: string }>(
        "chat",
        "--session",
        "kept",
        "the fourth",
      );
      expect(answered.reply).toBe("You said: the fourth");
      const late = new FleetClient({ ...fleet.outputs, caCertificate: old });
      await expect(late.status()).rejects.toThrow(/unable to verify/);
      const { ok, checks } = await fleet.json<{ ok: boolean; checks: unknown[] }>("doctor");
      expect(ok, JSON.stringify(checks)).toBe(true);
    });
  },
);

/** What a stack keeps secret, by the names that its plans use; what is public by nature is left out. */
async function secretsOf(fleet: TypedFleet): Promise<Record<string, string>> {
  const { stdout } = await fleet.ok(["pulumi", "stack", "export", "--show-secrets"]);
  const { resources } = (
    JSON.parse(stdout) as {
      deployment: { resources: { type: string; outputs?: Record<string, unknown> }[] };
    }
  ).deployment;
  const made = resources.find(({ type }) => type === "openclaw:host:Credentials");
  const { plaintext } = (made?.outputs?.secrets ?? {}) as { plaintext?: string };
  const all = Object.entries(JSON.parse(plaintext ?? "{}") as Record<string, string>);
  return Object.fromEntries(
    all
      .filter(([, value]) => !/BEGIN CERTIFICATE|^(ssh|ecdsa)-/.test(value))
      // The journal has line by line what a file has whole.
      .map(([name, value]) => [
        name,
        value.split("\n").find((line) => !/^-|^$/.test(line)) ?? value,
      ]),
  );
}

import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { ETCD_UNIT } from "../../components/etcd/plan.ts";
import { FLEET_USER, HOST_PATHS } from "../../components/host/types.ts";
import { NODE_UNIT } from "../../components/node/unit.ts";
import { connectGateway } from "../../gateway/openclaw/client.ts";
import { rank } from "../../gateway/placement.ts";
import type { DrillResult, PointInTime } from "../../gateway/replication/thread-protocol.ts";
import { ensureRelease } from "../../toolchain/release.ts";
import { PULUMI } from "../engine/fixtures/project.ts";
import { WsClient } from "../fleet/ws-client.ts";
import { eventually } from "../support/eventually.ts";
import { makeAlone, runAlone } from "../support/openclaw-alone.ts";
import { FULL } from "../support/share.ts";
import type { TestHost } from "./support/host.ts";
import { TestHosts } from "./support/lab.ts";
import { whyNoHosts } from "./support/programs.ts";
import { fleetTraces } from "./support/traces.ts";
import { type People, TypedFleet } from "./support/typed-fleet.ts";

const ALL = ["a", "b", "c", "d"];
const SHARDS = ["s1", "s2", "s3"];
const CHANGE_MS = 1_800_000;
/** Ten quiet minutes, then a drain and a boot, on a machine that does other things too. */
const HOME_MS = 1_200_000;
/** A boot, or several one after the other, on such a machine. */
const SERVES_MS = 600_000;
const ADOPTED = "/srv/alone";

/** What every shard prefers when these nodes are there. */
const best = (nodes: readonly string[]) =>
  Object.fromEntries(SHARDS.map((shard) => [shard, rank(shard, nodes)[0] as string]));

/** Everything real, by the commands that people type, with people who talk to the fleet while its hosts change. */
describe.skipIf(!FULL || !PULUMI || !process.env.OPENCLAW_FLEET_OPENCLAW || whyNoHosts() !== null)(
  "hosts come and go",
  { timeout: CHANGE_MS },
  () => {
    let lab: TestHosts;
    let fleet: TypedFleet;
    let folder: string;
    let people: People | null = null;
    const bare = new Map<string, string>();
    const traces = (host: TestHost) => fleetTraces([host]);

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), "fleet-members-"));
      lab = await TestHosts.create({ hosts: ALL });
      for (const host of lab.hosts) bare.set(host.name, await traces(host));
      const monitoring = { enabled: false };
      fleet = new TypedFleet(lab, { preset: "medium", shards: SHARDS.length, monitoring });
      fleet.hosts(["a", "b", "c"]);
    }, CHANGE_MS);
    // Of a test that failed; while there is a fleet to answer what they asked.
    afterEach(async () => {
      await people?.leave();
      people = null;
    }, CHANGE_MS);
    afterAll(async () => {
      fleet?.remove();
      await lab?.close();
      rmSync(folder, { recursive: true, force: true });
    }, CHANGE_MS);

    /** Value of a unit's property on each host. */
    const shown = (names: readonly string[], property: string, unit = NODE_UNIT) =>
      Promise.all(
        names.map(async (name) => {
          const argv = ["systemctl", "show", "--value", "-p", property, unit];
          return (await lab.host(name).run(argv)).stdout.trim();
        }),
      );
    /** Hosts that etcd counts, as its member on this one says. */
    const members = async (name: string): Promise<string[]> => {
      const { address } = lab.host(name);
      const etc = `${HOST_PATHS.etc}/etcd`;
      const tls = `--cacert=${etc}/ca.pem --cert=${etc}/member.pem --key=${etc}/member.key`;
      const program = `$(ls ${HOST_PATHS.releases}/*/bin/etcdctl | head -n 1)`;
      const { stdout } = await lab
        .host(name)
        .run(`${program} --endpoints=https://${address}:2379 ${tls} member list --write-out=json`);
      const list = JSON.parse(stdout) as { members: { name?: string; isLearner?: boolean }[] };
      return list.members.map(({ name: member = "?", isLearner }) => {
        return isLearner ? `${member} (no vote yet)` : member;
      });
    };
    /** Each shard has the owner that these nodes give it. */
    const settled = (nodes: readonly string[], ms: number) =>
      eventually(async () => expect(await fleet.owners()).toEqual(best(nodes)), ms);
    const nobodyNoticed = async () => {
      const { answered, failed } = (await people?.leave()) ?? { answered: 0, failed: [] };
      people = null;
      expect(failed).toEqual([]);
      expect(answered).toBeGreaterThan(20);
    };

    test("up of three hosts; move brings each shard to where it belongs", async () => {
      await fleet.up();
      // A node that was slow to start lost its shards to the others, and would have them after ten minutes.
      for (const [shard, node] of Object.entries(best(["a", "b", "c"]))) {
        await fleet.json("move", shard, node, "--yes");
        await fleet.json("move", shard, "auto");
      }
      await settled(["a", "b", "c"], SERVES_MS);
      expect((await members("a")).sort()).toEqual(["a", "b", "c"]);
    });

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
      const { endpoint, token } = fleet.outputs;
      const url = `${endpoint.replace("https:", "wss:")}/?session=kept`;
      const client = await WsClient.connect(url, token);
      try {
        const { messages } = await client.call("chat.history", { sessionKey: "agent:main:kept" });
        const said = (messages as { role: string; content: unknown }[])
          .filter(({ role }) => role === "user")
          .map(({ content }) => /the (first|second)/.exec(JSON.stringify(content))?.[0]);
        expect(said).toEqual(["the first", "the second"]);
      } finally {
        client.close();
      }
      expect((await fleet.owners())[shard]).toBe(owner);
      await host.run(["rm", "-r", ADOPTED]);
    });

    test("backup, backups, and a restore of every shard beside the live one", async () => {
      type Moments = { shards: { id: string; points: PointInTime[] }[] };
      const { shards } = await fleet.json<{ shards: ({ id: string } & Partial<PointInTime>)[] }>(
        "backup",
      );
      expect(shards.map(({ id }) => id)).toEqual(SHARDS);
      const listed = await fleet.json<Moments>("backups");
      for (const { id, at } of shards) {
        const points = listed.shards.find((one) => one.id === id)?.points ?? [];
        expect(points.map((point) => point.at)).toContain(at);
      }
      const owners = await fleet.owners();
      const epochs = async () => (await fleet.status()).shards.map(({ id, epoch }) => [id, epoch]);
      const before = await epochs();
      const drilled = await fleet.json<{
        shards: ({ shard: string } & DrillResult)[];
        faults: unknown[];
      }>("restore", "--drill");
      expect(drilled.faults).toEqual([]);
      expect(drilled.shards.map(({ shard }) => shard)).toEqual(SHARDS);
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
      for (const host of ["a", "b", "c"]) {
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

    test("a fourth host is added under load: at first nothing moves", async () => {
      people = await fleet.people();
      const before = await fleet.owners();
      const pids = await shown(["a", "b", "c"], "MainPID");
      fleet.hosts(ALL);
      await fleet.up();
      expect(await fleet.owners()).toEqual(before);
      expect((await fleet.status()).nodes.map(({ id }) => id).sort()).toEqual(ALL);
      expect(await shown(["a", "b", "c"], "MainPID")).toEqual(pids);
      expect((await members("a")).sort()).toEqual(["a", "b", "c"]);
      await nobodyNoticed();
    });

    test("rotate-certs under load: every host shows another certificate, and no node restarts", async () => {
      people = await fleet.people();
      const certificate = async (host: TestHost) =>
        await host.readFile(`${HOST_PATHS.tls}/node.pem`);
      const before = await Promise.all(lab.hosts.map(certificate));
      const pids = await shown(ALL, "MainPID");
      const owners = await fleet.owners();
      await fleet.ok(["rotate-certs", "--yes"]);
      const after = await Promise.all(lab.hosts.map(certificate));
      for (const [i, text] of after.entries()) expect(text).not.toBe(before[i]);
      expect(await shown(ALL, "MainPID")).toEqual(pids);
      const now = await fleet.owners();
      for (const shard of SHARDS) expect([owners[shard], "d"]).toContain(now[shard]);
      await nobodyNoticed();
    });

    test("after ten quiet minutes the fourth host has the shards that prefer it, and no other moved", async () => {
      people = await fleet.people();
      expect(Object.values(best(ALL))).toContain("d");
      await settled(ALL, HOME_MS);
      await nobodyNoticed();
    });

    test("a host is taken out under load: its shards move, no other does, and nothing is left of it there", async () => {
      people = await fleet.people();
      const epochs = async () =>
        Object.fromEntries((await fleet.status()).shards.map(({ id, epoch }) => [id, epoch]));
      const [before, owners] = [await epochs(), await fleet.owners()];
      fleet.hosts(["a", "c", "d"]);
      await fleet.up();
      const [after, now] = [await epochs(), await fleet.owners()];
      for (const shard of SHARDS) {
        const was = [before[shard], owners[shard]];
        if (owners[shard] === "b") expect(now[shard]).not.toBe("b");
        else expect([after[shard], now[shard]]).toEqual(was);
      }
      expect(await traces(lab.host("b"))).toBe(bare.get("b"));
      await eventually(async () => {
        expect((await members("a")).sort()).toEqual(["a", "c", "d"]);
      }, SERVES_MS);
      await nobodyNoticed();
    });

    test("a host that is dead for good is replaced: up goes on without it", async () => {
      await lab.host("d").powerOff();
      await eventually(() => fleet.owners(), SERVES_MS);
      fleet.hosts(["a", "c", "b"]);
      await fleet.up({ OPENCLAW_FLEET_FORGET_HOSTS: "d" });
      expect((await fleet.status()).nodes.map(({ id }) => id).sort()).toEqual(["a", "b", "c"]);
      expect(await shown(["b"], "ActiveState", ETCD_UNIT)).toEqual(["active"]);
      await eventually(async () => {
        expect((await members("a")).sort()).toEqual(["a", "b", "c"]);
      }, SERVES_MS);
      const kept = await fleet.json<{ reply: string }>("chat", "--session", "kept", "the third");
      expect(kept.reply).toBe("You said: the third");
    });

    test("destroy leaves no trace on the hosts that are there", async () => {
      await fleet.ok(["destroy", "--yes"]);
      for (const name of ["a", "b", "c"]) {
        expect(await traces(lab.host(name)), name).toBe(bare.get(name));
      }
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

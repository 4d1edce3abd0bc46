import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { ETCD_UNIT } from "../../components/etcd/plan.ts";
import { HOST_PATHS } from "../../components/host/types.ts";
import { PULUMI } from "../engine/fixtures/project.ts";
import { eventually } from "../support/eventually.ts";
import { FULL } from "../support/share.ts";
import { etcdMembers } from "./support/etcd-members.ts";
import type { TestHost } from "./support/host.ts";
import { TestHosts } from "./support/lab.ts";
import type { People } from "./support/people.ts";
import { whyNoHosts } from "./support/programs.ts";
import { fleetTraces } from "./support/traces.ts";
import { SERVES_MS, TypedFleet } from "./support/typed-fleet.ts";

const ALL = ["a", "b", "c", "d"];
const CHANGE_MS = 1_800_000;
/** Ten quiet minutes, then a drain and a boot, on a machine that does other things too. */
const HOME_MS = 1_200_000;

/** Everything real, by the commands that people type, with people who talk to the fleet meanwhile. */
describe.skipIf(!FULL || !PULUMI || !process.env.OPENCLAW_FLEET_OPENCLAW || whyNoHosts() !== null)(
  "hosts come and go",
  { timeout: CHANGE_MS },
  () => {
    let lab: TestHosts;
    let fleet: TypedFleet;
    let people: People | null = null;
    const bare = new Map<string, string>();
    const traces = (host: TestHost) => fleetTraces([host]);

    beforeAll(async () => {
      lab = await TestHosts.create({ hosts: ALL });
      for (const host of lab.hosts) bare.set(host.name, await traces(host));
      const monitoring = { enabled: false };
      fleet = new TypedFleet(lab, { preset: "medium", shards: 3, monitoring });
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
    }, CHANGE_MS);

    const members = (name: string) => etcdMembers(lab.host(name));

    test("up of three hosts; move brings each shard to where it belongs", async () => {
      await fleet.up();
      // A node that was slow to start lost its shards to the others, and would have them after ten minutes.
      await fleet.bringHome(["a", "b", "c"]);
      expect(await members("a")).toEqual(["a", "b", "c"]);
    });

    test("a fourth host is added under load: at first nothing moves", async () => {
      await fleet.json("chat", "--session", "kept", "the first");
      people = await fleet.people();
      const before = await fleet.owners();
      const pids = await fleet.shown(["a", "b", "c"], "MainPID");
      fleet.hosts(ALL);
      await fleet.up();
      expect(await fleet.owners()).toEqual(before);
      expect((await fleet.status()).nodes.map(({ id }) => id).sort()).toEqual(ALL);
      expect(await fleet.shown(["a", "b", "c"], "MainPID")).toEqual(pids);
      expect(await members("a")).toEqual(["a", "b", "c"]);
      await people.noticedNothing();
    });

    test("rotate-certs under load: every host shows another certificate, and no node restarts", async () => {
      people = await fleet.people();
      const certificate = async (host: TestHost) =>
        await host.readFile(`${HOST_PATHS.tls}/node.pem`);
      const before = await Promise.all(lab.hosts.map(certificate));
      const pids = await fleet.shown(ALL, "MainPID");
      const owners = await fleet.owners();
      await fleet.ok(["rotate-certs", "--yes"]);
      const after = await Promise.all(lab.hosts.map(certificate));
      for (const [i, text] of after.entries()) expect(text).not.toBe(before[i]);
      expect(await fleet.shown(ALL, "MainPID")).toEqual(pids);
      const now = await fleet.owners();
      for (const shard of fleet.shards) expect([owners[shard], "d"]).toContain(now[shard]);
      await people.noticedNothing();
    });

    test("after ten quiet minutes the fourth host has the shards that prefer it, and no other moved", async () => {
      people = await fleet.people();
      expect(Object.values(fleet.homes(ALL))).toContain("d");
      await fleet.settled(ALL, HOME_MS);
      await people.noticedNothing();
    });

    test("a host is taken out under load: its shards move, no other does, and nothing is left of it there", async () => {
      people = await fleet.people();
      const epochs = async () =>
        Object.fromEntries((await fleet.status()).shards.map(({ id, epoch }) => [id, epoch]));
      const [before, owners] = [await epochs(), await fleet.owners()];
      fleet.hosts(["a", "c", "d"]);
      await fleet.up();
      const [after, now] = [await epochs(), await fleet.owners()];
      for (const shard of fleet.shards) {
        const was = [before[shard], owners[shard]];
        if (owners[shard] === "b") expect(now[shard]).not.toBe("b");
        else expect([after[shard], now[shard]]).toEqual(was);
      }
      expect(await traces(lab.host("b"))).toBe(bare.get("b"));
      await eventually(async () => {
        expect(await members("a")).toEqual(["a", "c", "d"]);
      }, SERVES_MS);
      await people.noticedNothing();
    });

    test("a host that is dead for good is replaced: up goes on without it", async () => {
      await lab.host("d").powerOff();
      await eventually(() => fleet.owners(), SERVES_MS);
      fleet.hosts(["a", "c", "b"]);
      await fleet.up({ OPENCLAW_FLEET_FORGET_HOSTS: "d" });
      expect((await fleet.status()).nodes.map(({ id }) => id).sort()).toEqual(["a", "b", "c"]);
      expect(await fleet.shown(["b"], "ActiveState", ETCD_UNIT)).toEqual(["active"]);
      await eventually(async () => {
        expect(await members("a")).toEqual(["a", "b", "c"]);
      }, SERVES_MS);
      await fleet.json("chat", "--session", "kept", "the second");
      expect(await fleet.said("kept", /the \w+/)).toEqual(["the first", "the second"]);
    });

    test("destroy leaves no trace on the hosts that are there", async () => {
      await fleet.ok(["destroy", "--yes"]);
      for (const name of ["a", "b", "c"]) {
        expect(await traces(lab.host(name)), name).toBe(bare.get(name));
      }
    });
  },
);

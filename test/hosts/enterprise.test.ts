import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HOST_PATHS } from "../../components/host/types.ts";
import { redisUnit } from "../../components/redis/plan.ts";
import { PULUMI } from "../engine/fixtures/project.ts";
import { eventually } from "../support/eventually.ts";
import { FULL } from "../support/share.ts";
import { etcdMembers } from "./support/etcd-members.ts";
import type { TestHost } from "./support/host.ts";
import { TestHosts } from "./support/lab.ts";
import { whyNoHosts } from "./support/programs.ts";
import { fleetTraces } from "./support/traces.ts";
import { SERVES_MS, TypedFleet } from "./support/typed-fleet.ts";

const HOSTS = ["a", "b", "c", "d", "e"];
const CHANGE_MS = 1_800_000;

/** The largest preset: five members of etcd and a Redis Cluster, of which two hosts at once may be lost. */
describe.skipIf(!FULL || !PULUMI || !process.env.OPENCLAW_FLEET_OPENCLAW || whyNoHosts() !== null)(
  "enterprise on five hosts",
  { timeout: CHANGE_MS },
  () => {
    let lab: TestHosts;
    let fleet: TypedFleet;
    let bare: string;

    beforeAll(async () => {
      lab = await TestHosts.create({ hosts: HOSTS });
      bare = await fleetTraces(lab.hosts);
      const monitoring = { enabled: false };
      fleet = new TypedFleet(lab, { preset: "enterprise", shards: HOSTS.length, monitoring });
      fleet.hosts(HOSTS);
    }, CHANGE_MS);
    afterAll(async () => {
      fleet?.remove();
      await lab?.close();
    }, CHANGE_MS);

    /** The cluster's state as the first server of a host has it, by its names. */
    const redis = async (host: TestHost): Promise<Record<string, string>> => {
      const ca = `${HOST_PATHS.etc}/redis/tls/ca.pem`;
      const who = "--user health --pass none --no-auth-warning";
      const { stdout } = await host.run(
        `redis-cli --tls --cacert ${ca} ${who} -h ${host.address} -p 6379 CLUSTER INFO`,
      );
      return Object.fromEntries(stdout.split("\r\n").map((line) => line.split(":", 2)));
    };
    const whole = async () => {
      expect(await etcdMembers(lab.host("a"))).toEqual(HOSTS);
      const state = { cluster_state: "ok", cluster_slots_ok: "16384", cluster_size: "3" };
      for (const host of lab.hosts) expect(await redis(host)).toMatchObject(state);
      const { nodes } = await fleet.status();
      expect(nodes.map(({ id, state }) => [id, state])).toEqual(HOSTS.map((id) => [id, "active"]));
    };
    const talk = async (message: string) => {
      for (const session of ["one", "two", "three", "four", "five"]) {
        const { reply } = await fleet.client.chat(session, message);
        expect(reply).toBe(`You said: ${message}`);
      }
    };

    test("up makes five members of etcd and a Redis Cluster of them", async () => {
      await fleet.up();
      await eventually(whole, SERVES_MS);
      expect(await fleet.shown(["a"], "ActiveState", redisUnit(1))).toEqual(["active"]);
      await fleet.bringHome(HOSTS);
      await talk("the first");
    });

    test("two hosts lose their power at once: the others take all shards, and every conversation goes on", async () => {
      for (const name of ["d", "e"]) await lab.host(name).powerOff();
      await eventually(async () => {
        const owners = Object.values(await fleet.owners());
        expect(owners.filter((node) => node === "d" || node === "e")).toEqual([]);
      }, SERVES_MS);
      await talk("the second");
      for (const session of ["one", "two", "three", "four", "five"]) {
        expect(await fleet.said(session, /the \w+/)).toEqual(["the first", "the second"]);
      }
    });

    test("both come back by themselves: every member, every server and every node", async () => {
      for (const name of ["d", "e"]) await lab.host(name).start();
      await eventually(whole, SERVES_MS);
      await talk("the third");
      const { ok, checks } = await fleet.json<{ ok: boolean; checks: unknown[] }>("doctor");
      expect(ok, JSON.stringify(checks)).toBe(true);
    });

    test("destroy leaves no trace", async () => {
      await fleet.ok(["destroy", "--yes"]);
      expect(await fleetTraces(lab.hosts)).toBe(bare);
    });
  },
);

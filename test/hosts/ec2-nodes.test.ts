import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DEFAULT_PORT } from "../../gateway/contract.ts";
import { type Balancer, startBalancer } from "../drill/hosts/balancer.ts";
import { PULUMI } from "../engine/aws/harness.ts";
import { eventually } from "../support/eventually.ts";
import { FULL } from "../support/share.ts";
import { Ec2Stack } from "./support/ec2-stack.ts";
import { FleetClient } from "./support/fleet-client.ts";
import { whyNoHosts } from "./support/programs.ts";

const OPENCLAW = process.env.OPENCLAW_FLEET_OPENCLAW;
const NODES = ["a", "b", "c"];
const UP_MS = 1_800_000;
const WAIT_MS = 240_000;
const IMAGE = "ami-0aaaaaaaaaaaaaaaa";
const LARGER = "m7i.2xlarge";
const HTTP = 80;

/** Three machines behind a balancer, with etcd on them, a cache and replicas in a bucket. */
describe.skipIf(!FULL || !PULUMI || !OPENCLAW || whyNoHosts() !== null)("machines on EC2", () => {
  let made: Ec2Stack;
  let balancer: Balancer;
  let fleet: FleetClient;

  beforeAll(async () => {
    made = await Ec2Stack.make({
      preset: "small",
      nodes: NODES,
      settings: { edge: { front: "alb" }, shards: 2 },
      ec2: { ami: IMAGE },
    });
    const addresses = made.lab.hosts.map(({ address }) => address);
    const at = { host: made.lab.machine, port: HTTP };
    balancer = await startBalancer(addresses, null, DEFAULT_PORT, at);
  });
  afterAll(async () => {
    await balancer?.close();
    await made?.close();
  });

  test("up makes a fleet of nothing, and the balancer brings a chat to it", {
    timeout: UP_MS,
  }, async () => {
    await made.up();
    const outputs = await made.outputs();
    fleet = new FleetClient(outputs);
    expect(outputs.endpoint).toBe(`http://${made.lab.machine}`);
    expect((await fleet.chat("first")).reply).toContain("hello");
    const { nodes, shards, store } = await fleet.status();
    expect(nodes.map(({ id }) => id).sort()).toEqual(NODES);
    expect(shards.map(({ state }) => state)).toEqual(["serving", "serving"]);
    expect(store).toMatchObject({ kind: "etcd", ok: true });
    await eventually(async () => {
      const { shards: now } = await fleet.status();
      expect(now.map(({ replica }) => replica?.unreplicated)).toEqual([false, false]);
    }, WAIT_MS);
    expect(made.aws.s3.keys(made.bucket).length).toBeGreaterThan(0);
  });

  test("another class stops one machine after the other, and nobody who asks meanwhile is turned away", {
    timeout: UP_MS,
  }, async () => {
    const before = made.machines.log.length;
    const over = new AbortController();
    const asked = Promise.all(["one", "two"].map((session) => keepAsking(session, over.signal)));
    made.wish({ ami: IMAGE, instanceType: LARGER });
    await made.up().finally(() => over.abort());
    for (const answers of await asked) expect(answers).toBeGreaterThan(0);
    const restarted = made.machines.log.slice(before).map((line) => line.split(" ")[0]);
    expect(restarted).toEqual(NODES);
    const { nodes } = await fleet.status();
    expect(nodes.map(({ state }) => state)).toEqual(["active", "active", "active"]);
  });

  test("destroy leaves nothing in the account", { timeout: UP_MS }, async () => {
    const { code, text } = await made.stack.destroy();
    expect(code, text).toBe(0);
    for (const { before, after } of made.machines.traces.values()) expect(after).toBe(before);
    expect((await made.stack.state()).resources).toEqual([]);
  });

  /**
   * One question after the other in a session; a bad answer fails the test, but for the one that says that a shard still
   * boots after all that time. How many were answered.
   */
  async function keepAsking(session: string, over: AbortSignal): Promise<number> {
    let answers = 0;
    while (!over.aborted) {
      try {
        expect((await fleet.chat(session)).reply).toContain("hello");
        answers++;
      } catch (error) {
        if (!(error as Error).message.includes('"code":"no_owner"')) throw error;
      }
    }
    return answers;
  }
});

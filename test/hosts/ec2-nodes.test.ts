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
});

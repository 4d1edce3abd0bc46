import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PULUMI } from "../engine/aws/harness.ts";
import { INSTANCE } from "../standin/rules/compute.ts";
import { eventually } from "../support/eventually.ts";
import { FULL } from "../support/share.ts";
import { Ec2Stack } from "./support/ec2-stack.ts";
import { FleetClient, type FleetOutputs } from "./support/fleet-client.ts";
import { whyNoHosts } from "./support/programs.ts";

const OPENCLAW = process.env.OPENCLAW_FLEET_OPENCLAW;
const UP_MS = 900_000;
/** Gateways boot in ten seconds on an idle machine, and wait for each other on a busy one. */
const WAIT_MS = 240_000;
const IMAGE = "ami-0aaaaaaaaaaaaaaaa";
const NEWER_IMAGE = "ami-0bbbbbbbbbbbbbbbb";
const LARGER = "m7i.large";
const UNCHANGED = /Resources:\s+\d+ unchanged/;

/** From nothing to a fleet that answers, through everything that may happen to its machine, to nothing again. */
describe.skipIf(!PULUMI || !OPENCLAW || whyNoHosts() !== null)("one machine on EC2", () => {
  let made: Ec2Stack;
  let outputs: FleetOutputs;
  let fleet: FleetClient;
  /** Tokens that the model was given with the first question of a session. */
  let firstInput: number;
  const inputOf = async (session: string) => (await fleet.chat(session)).usage.input as number;

  beforeAll(async () => {
    made = await Ec2Stack.make({
      preset: "solo",
      nodes: ["a"],
      settings: { edge: { publicTo: ["203.0.113.0/24"] } },
      ec2: { ami: IMAGE },
    });
  });
  afterAll(async () => {
    await made?.close();
  });

  test("up makes a fleet of nothing, and a chat is answered through TLS", {
    timeout: UP_MS,
  }, async () => {
    await made.up();
    outputs = await made.outputs();
    fleet = new FleetClient(outputs);
    expect(outputs.endpoint).toBe(`https://${made.lab.host("a").address}`);
    firstInput = await inputOf("kept");
    const { nodes, shards, store } = await fleet.status();
    expect(nodes.map(({ id }) => id)).toEqual(["a"]);
    expect(shards.map(({ state }) => state)).toEqual(["serving"]);
    expect(store).toMatchObject({ kind: "sqlite", ok: true });
  });

  test("its replica is in the bucket, by what the machine's role gives", async () => {
    await eventually(async () => {
      const { shards } = await fleet.status();
      expect(shards.map(({ replica }) => replica?.unreplicated)).toEqual([false]);
      expect(made.aws.s3.keys(made.bucket).length).toBeGreaterThan(0);
    }, WAIT_MS);
  });

  test("no token and no key is readable in the state", async () => {
    const { text } = await made.stack.state();
    for (const secret of [outputs.token, outputs.adminToken, "PRIVATE KEY"]) {
      expect(text).not.toContain(secret);
    }
  });

  test.skipIf(!FULL)("up again changes nothing", { timeout: UP_MS }, async () => {
    expect(await made.up()).toMatch(UNCHANGED);
  });

  test.skipIf(!FULL)(
    "another class is a stop and a start of its machine, after which it serves",
    { timeout: UP_MS },
    async () => {
      made.wish({ ami: IMAGE, instanceType: LARGER });
      expect(await made.up()).not.toContain("replaced");
      expect(made.machines.log).toEqual([
        expect.stringMatching(/^a boots as i-/),
        expect.stringMatching(/^a boots as i-.*, m7i\.large$/),
      ]);
      expect(await inputOf("kept")).toBeGreaterThan(firstInput);
      expect(await made.up()).toMatch(UNCHANGED);
    },
  );

  test.skipIf(!FULL)(
    "another machine under its name gets the release, and goes on with its conversations",
    { timeout: UP_MS },
    async () => {
      const { hostKey } = made.lab.host("a");
      made.wish({ ami: NEWER_IMAGE, instanceType: LARGER });
      await made.up();
      expect(made.machines.log.slice(-2)).toEqual([
        expect.stringMatching(/^a ends as i-/),
        expect.stringMatching(/^a boots as i-/),
      ]);
      expect(made.lab.host("a").hostKey).not.toBe(hostKey);
      expect(await inputOf("fresh")).toBe(firstInput);
      expect(await inputOf("kept")).toBeGreaterThan(firstInput);
      expect(await made.up()).toMatch(UNCHANGED);
    },
  );

  test("destroy takes the fleet off the machine before it ends, and leaves nothing in the account", {
    timeout: UP_MS,
  }, async () => {
    const { code, text } = await made.stack.destroy();
    expect(code, text).toBe(0);
    const { before, after } = [...made.machines.traces.values()].at(-1) ?? {};
    expect(after).toBe(before);
    expect(made.stack.account((world) => world.of(INSTANCE))).toEqual([]);
    expect((await made.stack.state()).resources).toEqual([]);
  });
});

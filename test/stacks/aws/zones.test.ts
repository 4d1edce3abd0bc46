import { describe, expect, test } from "vitest";
import { ConfigError } from "../../../components/errors.ts";
import type { AwsStackSettings } from "../../../stacks/aws/plan.ts";
import { inZonesOf, keepZones, zoneNotes } from "../../../stacks/aws/zones.ts";
import { settingsSchema } from "../../../stacks/settings-schema.ts";

const settings = (zones?: string[], network: object = {}) =>
  settingsSchema.parse({
    target: "ec2",
    aws: { region: "eu-central-1", accountId: "123456789012", ...(zones ? { zones } : {}) },
    network,
  }) as AwsStackSettings;
const two = { zones: ["euc1-az2", "euc1-az3"] };
const three = { zones: ["euc1-az2", "euc1-az3", "euc1-az1"] };

const faultsOf = (...args: Parameters<typeof keepZones>) => refusals(() => keepZones(...args));

function refusals(work: () => unknown): string[] {
  try {
    work();
  } catch (error) {
    if (error instanceof ConfigError) return error.faults.map(({ setting }) => setting);
    throw error;
  }
  return [];
}

describe("zones that a stack stands in", () => {
  test("are kept without being written down", () => {
    expect(keepZones(settings(), two, 2).aws?.zones).toEqual(two.zones);
  });

  test("are kept where a smaller preset has fewer, which a note says", () => {
    expect(keepZones(settings(), three, 2).aws?.zones).toEqual(three.zones);
    expect(zoneNotes(2, 3, three)).toEqual([expect.stringContaining("stays in 3 zones")]);
    expect(zoneNotes(3, 3, three)).toEqual([]);
    expect(zoneNotes(2, 3, {})).toEqual([]);
  });

  test("leave the choice of a further one open, and a new stack has none to keep", () => {
    expect(keepZones(settings(), two, 3).aws?.zones).toBeUndefined();
    expect(keepZones(settings(), {}, 2).aws?.zones).toBeUndefined();
  });

  test("may be written down, with one more behind them", () => {
    expect(keepZones(settings(two.zones), two, 2).aws?.zones).toEqual(two.zones);
    expect(keepZones(settings(three.zones), two, 3).aws?.zones).toEqual(three.zones);
  });

  test.each([
    ["others", ["euc1-az1", "euc1-az2"], two],
    ["another order", ["euc1-az3", "euc1-az2"], two],
    ["one put before them", ["euc1-az1", "euc1-az2", "euc1-az3"], two],
    ["fewer", two.zones, three],
  ])("are not left for %s", (_, zones, stood) => {
    expect(faultsOf(settings(zones), stood, zones.length)).toEqual(["aws.zones"]);
  });

  test("are not taken back by a number", () => {
    expect(faultsOf(settings(undefined, { zones: 2 }), three, 2)).toEqual(["network.zones"]);
    expect(faultsOf(settings(undefined, { zones: 3 }), two, 3)).toEqual([]);
  });

  test("of an adopted network are its owner's, and only their order is kept", () => {
    const subnets = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"];
    const adopt = {
      vpcId: "vpc-0123456789abcdef0",
      publicSubnetIds: subnets,
      privateSubnetIds: subnets,
      dataSubnetIds: subnets,
    };
    expect(keepZones(settings(undefined, { adopt }), two, 2).aws?.zones).toEqual(two.zones);
    expect(keepZones(settings(undefined, { adopt }), three, 2).aws?.zones).toBeUndefined();
    expect(faultsOf(settings(["euc1-az1", "euc1-az2"], { adopt }), two, 2)).toEqual([]);
  });
});

describe("zones of a base that another stack made", () => {
  test("are those of its subnets, in their order, however many the preset has", () => {
    expect(inZonesOf(settings(), three.zones).aws?.zones).toEqual(three.zones);
    expect(inZonesOf(settings(two.zones), two.zones).aws?.zones).toEqual(two.zones);
  });

  test("are not others, nor another number", () => {
    const others = settings(["euc1-az1", "euc1-az2"], { zones: 3 });
    expect(refusals(() => inZonesOf(others, two.zones))).toEqual(["aws.zones", "network.zones"]);
  });
});

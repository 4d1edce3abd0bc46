import { expect, test } from "vitest";
import { keepZones } from "../../../stacks/aws/lookups.ts";
import type { AwsStackSettings } from "../../../stacks/aws/plan.ts";
import { settingsSchema } from "../../../stacks/settings-schema.ts";

const settings = (zones?: string[]) =>
  settingsSchema.parse({
    target: "ec2",
    aws: { region: "eu-central-1", accountId: "123456789012", ...(zones ? { zones } : {}) },
  }) as AwsStackSettings;
const recorded = { zones: ["euc1-az2", "euc1-az3"] };

test("zones that a stack stands in are kept without being written down", () => {
  expect(keepZones(settings(), recorded, 2).aws?.zones).toEqual(recorded.zones);
});

test("zones that are written down are the person's own", () => {
  const own = ["euc1-az1", "euc1-az2"];
  expect(keepZones(settings(own), recorded, 2).aws?.zones).toEqual(own);
});

test("another number of zones is chosen anew, and a new stack has none to keep", () => {
  expect(keepZones(settings(), recorded, 3).aws?.zones).toBeUndefined();
  expect(keepZones(settings(), {}, 2).aws?.zones).toBeUndefined();
});

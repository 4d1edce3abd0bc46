import { describe, expect, test } from "vitest";
import { POLICIES } from "../../policies/all.ts";
import { readExceptions } from "../../policies/exceptions.ts";

const URN = "urn:pulumi:prod::openclaw-fleet::aws:ec2/subnet:Subnet::prod-network-public-a";
const GOOD = {
  policy: "exposure-public-addresses",
  urn: URN,
  reason: "the old proxy lives here until it is moved",
  owner: "platform@example.com",
  expires: "2027-01-31",
};
const yaml = (entry: Record<string, string>) =>
  `exceptions:\n  - ${Object.entries(entry)
    .map(([key, value]) => `${key}: ${value}`)
    .join("\n    ")}\n`;
const read = (text: string, today = "2026-11-21") =>
  readExceptions(text, { policies: POLICIES, today, file: "exceptions.yaml" });

describe("exceptions of a stack", () => {
  test("hold with policy, urn, reason, owner and a last day", () => {
    expect(read(yaml(GOOD))).toEqual({ held: [GOOD], faults: [] });
    expect(read(yaml(GOOD), "2027-01-31").held).toHaveLength(1);
    expect(read("").faults).toEqual([]);
    expect(read("exceptions:\n").faults).toEqual([]);
  });

  test.each([
    [
      "expired",
      { ...GOOD, expires: "2026-11-20" },
      `for exposure-public-addresses expired on 2026-11-20: mend ${URN}`,
    ],
    ["too far away", { ...GOOD, expires: "2028-01-01" }, "more than a year from now"],
    ["no day", { ...GOOD, expires: "soon" }, "expires on soon, which is no day such as 2027-01-31"],
    ["no such day", { ...GOOD, expires: "2027-13-41" }, "which is no day"],
    [
      "for a misspelt policy",
      { ...GOOD, policy: "exposure-public-adress" },
      "is no policy. Did you mean exposure-public-addresses?",
    ],
    [
      "for a mandatory policy",
      { ...GOOD, policy: "exposure-open-ingress" },
      "which is mandatory and knows no exception",
    ],
    [
      "for no resource",
      { ...GOOD, urn: "prod-network-public-a" },
      "for a urn; ./fleet policy prints URNs",
    ],
    ["without a reason", { ...GOOD, reason: '""' }, "has no reason"],
    [
      "with a strange field",
      { ...GOOD, because: "x" },
      "has a field because; known are policy, urn",
    ],
  ])("%s: a fault, and it does not hold", (_, entry, fault) => {
    const { held, faults } = read(yaml(entry));
    expect(held).toEqual([]);
    expect(faults.join("\n")).toContain(`exceptions.yaml: exceptions[0] `);
    expect(faults.join("\n")).toContain(fault);
  });

  test("one wrong entry does not take the right ones along", () => {
    const both =
      yaml(GOOD) +
      yaml({ ...GOOD, policy: "nonsense" })
        .split("\n")
        .slice(1)
        .join("\n");
    expect(read(both).held).toEqual([GOOD]);
    expect(read(both).faults).toHaveLength(1);
  });

  test.each([
    ["no YAML", "exceptions: [", "is not YAML"],
    ["another key", "exeptions: []", "exeptions is not known here"],
    ["no list", "exceptions: all", "exceptions is no list"],
  ])("a file with %s is a fault", (_, text, fault) => {
    expect(read(text).faults.join()).toContain(fault);
  });
});

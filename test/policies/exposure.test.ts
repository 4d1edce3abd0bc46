import { expect, test } from "vitest";
import * as rules from "../../policies/exposure.ts";
import { isWide } from "../../policies/ingress.ts";
import { TYPE } from "../../policies/resources.ts";
import { resourceCases, stackCases } from "./cases.ts";
import { ec2, eks, madeBy, RESOURCES, STACKS } from "./exposure-cases.ts";
import { facts, judge, pick, stackOf, withValue } from "./support.ts";

resourceCases(RESOURCES);
stackCases(STACKS);

test("an Ingress is a way in of its own", async () => {
  const service = pick(await eks(), "kubernetes:core/v1:Service");
  const made = { ...service, type: "kubernetes:networking.k8s.io/v1:Ingress" };
  expect(judge(rules.serviceWayIn, made).found).toEqual(["an Ingress"]);
});

test("only the edge opens 443 to everybody, whatever a rule is called", async () => {
  const made = pick(await ec2(), TYPE.ingress, "https-from-0-0-0-0-0");
  const elsewhere = madeBy(made, "openclaw-fleet:data:Cache");
  expect(judge(rules.openIngress, elsewhere).found).toEqual(["tcp port 443 from 0.0.0.0/0"]);
});

test("a public API is open to a list of ranges, none of them everybody", async () => {
  const made = pick(await eks(), TYPE.cluster);
  const open = withValue(made, "vpcConfig.endpointPublicAccess", true);
  const listed = withValue(open, "vpcConfig.publicAccessCidrs", ["203.0.113.0/24"]);
  expect(judge(rules.clusterEndpoint, listed).found).toEqual([]);
  const all = withValue(open, "vpcConfig.publicAccessCidrs", ["203.0.113.0/24", "0.0.0.0/0"]);
  expect(judge(rules.clusterEndpoint, all).found).toEqual(["the API is open to 0.0.0.0/0"]);
});

test.each([
  ["0.0.0.0/0", true],
  ["::/0", true],
  ["128.0.0.0/1", true],
  ["203.0.113.0/24", false],
  ["10.0.0.0/7", false],
  ["10.0.0.0/8", false],
  ["2001:db8::/32", false],
  ["198.51.100.7/32", false],
])("%s is everybody: %s", (range, wide) => {
  expect(isWide(range)).toBe(wide);
});

test("public hosts of small presets are reached through the edge's group alone", async () => {
  for (const preset of ["solo", "small"] as const) {
    const made = await stackOf("ec2", preset);
    const cards = made.filter((r) => r.type === "aws:ec2/networkInterface:NetworkInterface");
    // The hosts' own group, and the edge's.
    expect(cards.length).toBeGreaterThan(0);
    expect(cards.every((card) => card.inputs.securityGroups.length === 2)).toBe(true);
    expect(judge(rules.hostByAddress, made, facts({}, { preset })).found).toEqual([]);
  }
});

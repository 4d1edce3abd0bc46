import { expect, test } from "vitest";
import * as rules from "../../policies/encryption.ts";
import { TYPE } from "../../policies/resources.ts";
import { resourceCases, stackCases } from "./cases.ts";
import { ec2, RESOURCES, STACKS } from "./encryption-cases.ts";
import { facts, judge, pick, withValue } from "./support.ts";

resourceCases(RESOURCES);
stackCases(STACKS);

test("plain HTTP may answer outside of prod, where a fleet may have no domain", async () => {
  const made = withValue(
    pick(await ec2(), TYPE.listener, "http"),
    "defaultActions.0.type",
    "forward",
  );
  expect(judge(rules.tlsListener, made, facts({ environment: "staging" })).found).toEqual([]);
});

test("a proxy of the database wants TLS", async () => {
  const database = pick(await ec2(), TYPE.database);
  const proxy = { ...database, type: "aws:rds/proxy:Proxy" };
  expect(judge(rules.tlsStores, { ...proxy, inputs: { requireTls: true } }).found).toEqual([]);
  expect(judge(rules.tlsStores, { ...proxy, inputs: {} }).found).toEqual(["requireTls is not set"]);
});

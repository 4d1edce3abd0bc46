import { expect, test } from "vitest";
import * as rules from "../../policies/identity.ts";
import { TYPE } from "../../policies/resources.ts";
import { resourceCases, stackCases } from "./cases.ts";
import { ATTACHMENT, allow, ec2, RESOURCES, STACKS } from "./identity-cases.ts";
import { changed, facts, judge, pick, stackOf, UNKNOWN_TEXT, withValue } from "./support.ts";

resourceCases(RESOURCES);
stackCases(STACKS);

test.each([
  "aws:iam/user:User",
  "aws:iam/accessKey:AccessKey",
  "aws:iam/userPolicy:UserPolicy",
  "aws:ec2/keyPair:KeyPair",
])("%s is refused by its type, which is always known; a role is not", async (type) => {
  const role = pick(await ec2(), TYPE.role);
  expect(judge(rules.noUsers, role).found).toEqual([]);
  expect(judge(rules.noUsers, { ...role, type }).found).toHaveLength(1);
  expect(judge(rules.noUsers, { ...role, type, inputs: {} }).found).toHaveLength(1);
});

test("reading calls may stand for everything; nothing is asked of a stack without a boundary", async () => {
  expect(rules.broadStatements(allow(["ec2:Describe*", "s3:List*", "s3:Get*"]))).toEqual([]);
  expect(rules.broadStatements(allow("s3:*", "arn:aws:s3:::bucket/*"))).toEqual([]);
  const bare = withValue(pick(await ec2(), TYPE.role), "permissionsBoundary", undefined);
  expect(judge(rules.boundary, bare, facts({ permissionsBoundaryArn: undefined })).found).toEqual(
    [],
  );
});

test("a managed policy whose ARN is not known yet waits for up", async () => {
  const made = await stackOf("eks", "medium", {}, true);
  const hidden = changed(
    made,
    (r) => r.type === ATTACHMENT && r.name.includes("cluster-node-"),
    (r) => withValue(r, "policyArn", UNKNOWN_TEXT),
  );
  const judged = judge(rules.nodeCredentials, hidden);
  expect(judged.found).toEqual([]);
  expect(judged.waits.length).toBeGreaterThan(0);
});

import { describe, expect, test } from "vitest";
import { deployIdentity, deployInfrastructure } from "../../bootstrap/deploy-rights.ts";
import { boundaryArn, DEPLOY_ROLE, FLEET_PATH, stateBucket } from "../../bootstrap/names.ts";
import {
  boundary,
  bucketPolicy,
  document,
  githubTrust,
  keyPolicy,
  POLICY_MAX,
  type PolicyPlace,
  type Statement,
} from "../../bootstrap/policies.ts";
import { previewRights } from "../../bootstrap/preview-rights.ts";

/** The longest names that there are: policies must fit with them. */
const PLACE: PolicyPlace = {
  accountId: "210987654321",
  region: "ap-southeast-1",
  partition: "aws-us-gov",
  keyArn: "arn:aws-us-gov:kms:ap-southeast-1:210987654321:key/01234567-89ab-cdef-0123-456789abcdef",
};

const ROLES: readonly (readonly [string, Statement[]])[] = [
  ["boundary", boundary(PLACE)],
  ["deploy-infrastructure", deployInfrastructure(PLACE)],
  ["deploy-identity", deployIdentity(PLACE)],
  ["preview", previewRights(PLACE)],
];

const allows = (statements: readonly Statement[]) =>
  statements.filter(({ Effect }) => Effect === "Allow");
const actionsOf = (statements: readonly Statement[]) =>
  statements.flatMap(({ Action = [] }) => Action);

describe.each(ROLES)("policy %s", (_, statements) => {
  test("fits into a managed policy", () => {
    expect(document(statements).length).toBeLessThanOrEqual(POLICY_MAX);
  });

  test("is of its partition, with a name a statement and none twice", () => {
    const text = document(statements);
    expect(text).not.toContain("arn:aws:");
    const sids = statements.map(({ Sid }) => Sid);
    expect(new Set(sids).size).toBe(sids.length);
    for (const sid of sids) expect(sid).toMatch(/^[A-Za-z0-9]+$/);
  });

  test("says what and on what, and never everything", () => {
    for (const { Action, NotAction, Resource, Effect } of statements) {
      expect(Action === undefined).toBe(NotAction !== undefined);
      expect(Resource?.length).toBeGreaterThan(0);
      if (Effect === "Allow") expect(Action ?? []).not.toContain("*");
    }
  });
});

describe("the deploy role", () => {
  const identity = deployIdentity(PLACE);

  test("makes and equips only roles below the path and within the boundary", () => {
    const risky = ["iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy"];
    const granting = allows(identity).filter(({ Action = [] }) =>
      Action.some((action) => risky.includes(action)),
    );
    expect(granting).toHaveLength(1);
    expect(granting[0]?.Resource).toEqual([
      `arn:${PLACE.partition}:iam::${PLACE.accountId}:role${FLEET_PATH}*`,
    ]);
    expect(granting[0]?.Condition).toEqual({
      StringEquals: { "iam:PermissionsBoundary": boundaryArn(PLACE, PLACE.partition) },
    });
  });

  test("hands roles only to services, and cannot take a boundary away", () => {
    const passing = allows(identity).filter(({ Action }) => Action?.includes("iam:PassRole"));
    expect(passing.map(({ Condition }) => Object.keys(Condition?.StringEquals ?? {}))).toEqual([
      ["iam:PassedToService"],
    ]);
    expect(actionsOf(allows(identity))).not.toContain("iam:DeleteRolePermissionsBoundary");
  });

  test("has no users, keys or groups to give", () => {
    for (const action of actionsOf(allows([...identity, ...deployInfrastructure(PLACE)]))) {
      expect(action).not.toMatch(/User|AccessKey|LoginProfile|Group$|^iam:\*$|^\*$/);
    }
  });

  test("works in its region alone", () => {
    const services = deployInfrastructure(PLACE).find(({ Sid }) => Sid === "Services");
    expect(services?.Condition).toEqual({
      StringEquals: { "aws:RequestedRegion": PLACE.region },
    });
  });

  test("is refused what was made here: bucket, key, roles, boundary", () => {
    const denied = document(deployInfrastructure(PLACE).filter(({ Effect }) => Effect === "Deny"));
    for (const part of [stateBucket(PLACE), PLACE.keyArn, `role/${DEPLOY_ROLE}`, "oidc-provider"]) {
      expect(denied).toContain(part);
    }
  });
});

describe("the preview role", () => {
  const rights = previewRights(PLACE);

  test("only looks", () => {
    for (const action of actionsOf(allows(rights))) {
      expect(action).toMatch(/^[a-z0-9-]+:(Describe|Get|List|View|Simulate)|^kms:Decrypt$/);
    }
  });

  test("reads no data but states", () => {
    const data = /^s3:GetObject|secretsmanager:GetSecretValue|^s3:Get\*|^s3:\*|^dynamodb/;
    const reading = allows(rights).filter(({ Action = [] }) => Action.some((a) => data.test(a)));
    expect(reading.map(({ Resource }) => Resource)).toEqual([
      [`arn:${PLACE.partition}:s3:::${stateBucket(PLACE)}/*`],
    ]);
  });
});

test("roles of stacks read no state, and give no rights", () => {
  const denied = boundary(PLACE).filter(({ Effect }) => Effect === "Deny");
  expect(denied.some(({ Sid }) => Sid === "NoState")).toBe(true);
  const services = boundary(PLACE).find(({ Sid }) => Sid === "Services");
  expect(services?.NotAction).toEqual(expect.arrayContaining(["iam:*", "organizations:*"]));
});

test("trust names who may come exactly: no wildcard, and only for AWS", () => {
  const [trust] = githubTrust("arn:x", ["repo:ann/fleet:ref:refs/heads/main"]);
  expect(trust?.Condition).toEqual({
    StringEquals: {
      "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
      "token.actions.githubusercontent.com:sub": ["repo:ann/fleet:ref:refs/heads/main"],
    },
  });
});

test("the bucket refuses everybody without TLS 1.2, and the key knows the account alone", () => {
  expect(bucketPolicy(PLACE).every(({ Effect }) => Effect === "Deny")).toBe(true);
  expect(document(bucketPolicy(PLACE))).toContain('"aws:SecureTransport":"false"');
  expect(keyPolicy(PLACE)).toHaveLength(1);
});

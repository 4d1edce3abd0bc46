import { expect, test } from "vitest";
import { VALKEY } from "../../components/cache/catalog.ts";
import { VERSIONS } from "../../components/cluster/catalog.ts";
import { POSTGRES } from "../../components/database/catalog.ts";
import { KUBERNETES_UNTIL, POSTGRES_UNTIL, VALKEY_UNTIL } from "../../policies/catalog.ts";
import * as rules from "../../policies/hygiene.ts";
import { TYPE } from "../../policies/resources.ts";
import { resourceCases } from "./cases.ts";
import { facts, judge, later, pick, stackOf, withValue } from "./support.ts";

const ec2 = () => stackOf("ec2", "medium");
const eks = () => stackOf("eks", "medium");
/** Of the form of a credential, and nobody's. */
const AWS_KEY = `AKIA${"ABCD1234".repeat(2)}`;
const MODEL_KEY = `sk-ant-${"abcdef0123".repeat(3)}`;

resourceCases([
  {
    policy: rules.pinnedCharts,
    made: later(eks, TYPE.release, "platform-load-balancer"),
    breaks: [
      ["version", "^3.6.0", "version is ^3.6.0"],
      ["version", undefined, "version is not set"],
      ["repositoryOpts.repo", "http://charts.example.com", "repo is http://charts.example.com"],
      ["repositoryOpts", undefined, "repositoryOpts.repo is not set"],
    ],
    unknown: [["version", "refused"]],
  },
  {
    policy: rules.engineSupport,
    of: "the cluster",
    made: later(eks, TYPE.cluster),
    breaks: [
      ["version", "1.33", "standard support of Kubernetes 1.33 ended on 2026-07-29"],
      ["version", "1.29", "Kubernetes 1.29 is not in the table"],
      ["version", undefined, "the version of Kubernetes is not set"],
    ],
    unknown: [["version", "refused"]],
  },
  {
    policy: rules.engineSupport,
    of: "the database",
    made: later(ec2, TYPE.database),
    breaks: [
      ["engineVersion", "13.20", "standard support of PostgreSQL 13.20 ended on 2026-02-28"],
      ["engineVersion", "11", "PostgreSQL 11 is not in the table"],
    ],
    unknown: [["engineVersion", "refused"]],
  },
  {
    policy: rules.engineSupport,
    of: "the cache",
    made: later(ec2, TYPE.cache),
    breaks: [["engineVersion", "6.2", "Valkey 6.2 is not in the table"]],
    unknown: [["engineVersion", "refused"]],
  },
  {
    policy: rules.engineEnding,
    made: later(eks, TYPE.cluster),
    breaks: [["version", "1.34", "Kubernetes 1.34 ends on 2026-12-02, in 11 days"]],
    unknown: [["version", "passes"]],
  },
  {
    policy: rules.defaultVpc,
    made: later(ec2, "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"),
    breaks: [
      [
        "egress",
        [{ protocol: "-1", cidrBlocks: ["0.0.0.0/0"] }],
        "the default security group has egress rules",
      ],
    ],
    unknown: [["ingress", "refused"]],
  },
  {
    policy: rules.plainSecrets,
    of: "values of a chart",
    made: later(eks, TYPE.release),
    breaks: [
      ["values.apiKey", MODEL_KEY, "a key of a model provider in values.apiKey"],
      ["values.env", [{ name: "K", value: AWS_KEY }], "an AWS access key in values.env[0].value"],
    ],
    unknown: [["values", "waits"]],
  },
  {
    policy: rules.plainSecrets,
    of: "a ConfigMap",
    made: later(eks, "kubernetes:core/v1:ConfigMap"),
    breaks: [
      ["data.id_rsa", "-----BEGIN OPENSSH PRIVATE KEY-----\nx", "a private key in data.id_rsa"],
      ["data.github", `token ghp_${"a1".repeat(18)}`, "a GitHub token in data.github"],
    ],
    unknown: [["data", "waits"]],
  },
  {
    policy: rules.plainSecrets,
    of: "what a machine starts with",
    made: later(ec2, TYPE.instance),
    breaks: [
      ["userData", `#!/bin/sh\nexport K=${AWS_KEY}`, "an AWS access key in userData"],
      [
        "userData",
        Buffer.from(`export KEY_OF_ALL=${AWS_KEY} # here`).toString("base64"),
        "an AWS access key in userData",
      ],
    ],
    unknown: [["userData", "waits"]],
  },
  {
    policy: rules.names,
    of: "the database",
    made: later(ec2, TYPE.database),
    breaks: [
      ["identifier", "knowledge", "identifier is knowledge"],
      ["tags.openclaw-fleet", "another", "tags.openclaw-fleet is another"],
    ],
    unknown: [["identifier", "waits"]],
  },
  {
    policy: rules.systemNamespace,
    made: later(eks, "kubernetes:core/v1:ConfigMap"),
    breaks: [
      ["metadata.namespace", "default", "metadata.namespace is default"],
      ["metadata.namespace", undefined, "metadata.namespace is not set"],
    ],
    unknown: [["metadata.namespace", "passes"]],
  },
]);

test("a finding names the place of a secret and never shows it", async () => {
  const made = withValue(pick(await eks(), TYPE.release), "values.apiKey", MODEL_KEY);
  expect(JSON.stringify(judge(rules.plainSecrets, made))).not.toContain(MODEL_KEY);
});

test("secrets in the open in the stack's file are found by their shape and by their name", async () => {
  const stack = { ...pick(await ec2(), TYPE.plan), type: "pulumi:pulumi:Stack", inputs: {} };
  const found = (openSettings: Record<string, unknown>) =>
    judge(rules.plainSecrets, stack, facts({ openSettings })).found;
  expect(found({ "openclaw-fleet:models": { providers: { a: { apiKey: MODEL_KEY } } } })).toEqual([
    "a key of a model provider in openclaw-fleet:models.providers.a.apiKey",
    "a value in the open at openclaw-fleet:models.providers.a.apiKey",
  ]);
  expect(found({ "openclaw-fleet:tokens": { client: ["hunter2-hunter2-hunter2"] } })).toEqual([
    "a value in the open at openclaw-fleet:tokens.client[0]",
  ]);
  const fine = {
    "openclaw-fleet:models": { providers: { a: { apiKey: "env:ANTHROPIC_API_KEY" } } },
    // What Pulumi encrypted is left out before.
    "openclaw-fleet:tokens": { client: [undefined] },
    "openclaw-fleet:aws": { accountId: "123456789012" },
  };
  expect(found(fine)).toEqual([]);
});

test.each(["DefaultVpc", "DefaultSubnet", "DefaultRouteTable"])(
  "a %s is refused by its type",
  async (kind) => {
    const made = {
      ...pick(await ec2(), TYPE.subnet),
      type: `aws:ec2/default${kind.slice(7)}:${kind}`,
    };
    expect(judge(rules.defaultVpc, made).found).toEqual([`a ${kind}`]);
  },
);

test("logical names begin with the stack's", async () => {
  const made = { ...pick(await ec2(), TYPE.database), name: "knowledge" };
  expect(judge(rules.names, made).found).toContain(
    "the logical name knowledge does not begin with team-",
  );
});

test("support ends on a day: on the day before it is said, on the day after it is refused", async () => {
  const made = withValue(pick(await eks(), TYPE.cluster), "version", "1.34");
  const on = (today: string) => [
    judge(rules.engineSupport, made, facts({ today })).found.length,
    judge(rules.engineEnding, made, facts({ today })).found.length,
  ];
  expect(on("2026-08-01")).toEqual([0, 0]);
  expect(on("2026-12-02")).toEqual([0, 1]);
  expect(on("2026-12-03")).toEqual([1, 0]);
});

test("the tables of support know every version that components make, with the same ends", () => {
  for (const [version, { standardUntil }] of Object.entries(VERSIONS))
    expect([version, KUBERNETES_UNTIL[version]]).toEqual([version, standardUntil]);
  expect(Object.keys(POSTGRES_UNTIL)).toContain(POSTGRES.version);
  expect(Object.keys(VALKEY_UNTIL)).toContain(VALKEY.version.split(".")[0]);
});

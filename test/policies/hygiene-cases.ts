import * as rules from "../../policies/hygiene.ts";
import { TYPE } from "../../policies/resources.ts";
import type { ResourceCase, StackCase } from "./cases.ts";
import { later, stackOf } from "./support.ts";

export const ec2 = () => stackOf("ec2", "medium");

export const eks = () => stackOf("eks", "medium");

/** Of the form of a credential, and nobody's. */
export const AWS_KEY = `AKIA${"ABCD1234".repeat(2)}`;

export const MODEL_KEY = `sk-ant-${"abcdef0123".repeat(3)}`;

/** Cases of single resources. */
export const RESOURCES: readonly ResourceCase[] = [
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
];

/** Cases of whole stacks. */
export const STACKS: readonly StackCase[] = [];

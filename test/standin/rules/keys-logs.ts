import type { Props } from "../../../plugin/values.ts";
import type { Residue, Row, World } from "../world.ts";
import { principals } from "./iam.ts";
import { arn, arnOf, need, notJson, parsed, present, ref } from "./parts.ts";
import type { Need, Rules } from "./types.ts";

export const KEY = "aws:kms/key:Key";
export const LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup";

/** Days CloudWatch knows; others are refused. */
const RETENTION = [
  0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
  3288, 3653,
];

/** A key given by ARN or id that exists; AWS's own aliases always do. */
export function keyRef(path: string, by: "arn" | "either" = "arn"): Need {
  return ref(path, KEY, {
    by: "arn",
    allow: by === "arn" ? /^alias\/aws\// : /^alias\/aws\/|^[0-9a-f-]{36}$/,
  });
}

/** Whether a key's policy lets a service use it. */
export function keyAdmits(
  path: string,
  service: (row: Row) => string,
  when: (row: Row) => boolean = () => true,
) {
  return need(`the key's policy admits the service (${path})`, (row, world) => {
    const key = world.find(KEY, "arn", row.inputs[path]);
    if (!key || !when(row)) return null;
    const wanted = service(row);
    const policies = [
      key.inputs.policy,
      ...world
        .of("aws:kms/keyPolicy:KeyPolicy")
        .filter((one) => one.inputs.keyId === key.id)
        .map((one) => one.inputs.policy),
    ];
    return policies.some((policy) => JSON.stringify(parsed(policy) ?? {}).includes(wanted))
      ? null
      : `AccessDenied: the policy of key ${key.id} does not name ${wanted}`;
  });
}

const deletedLater = (row: Row): Residue[] => [
  { kind: "KMS key pending deletion", name: row.id, unavoidable: true },
];

export const KEYS_LOGS: Rules = {
  [KEY]: {
    source: "kms/key.go",
    id: (made) =>
      [8, 4, 4, 4, 12]
        .map((n, i) =>
          made
            .hex(40)
            .slice(i * 8, i * 8 + n)
            .padEnd(n, "0"),
        )
        .join("-"),
    replaces: ["customKeyStoreId", "customerMasterKeySpec", "keyUsage", "multiRegion", "xksKeyId"],
    values: {
      deletionWindowInDays: [7, 30],
      rotationPeriodInDays: [90, 2560],
      keyUsage: ["ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT"],
      description: /^.{0,8192}$/s,
    },
    faults: (i) => [
      notJson(i, "policy"),
      present(i.rotationPeriodInDays) && i.enableKeyRotation !== true
        ? "rotationPeriodInDays needs enableKeyRotation"
        : null,
      rootFault(i),
    ],
    needs: [principals("policy")],
    computed: (made, id) => ({ arn: arnOf(made, "kms", `key/${id}`), keyId: id }),
    leaves: (row, _, when) => (when === "delete" ? deletedLater(row) : []),
  },
  "aws:kms/alias:Alias": {
    source: "kms/alias.go",
    id: (made) => String(made.inputs.name),
    name: { property: "name", max: 256, pattern: /^alias\/(?!aws\/)[\w/-]+$/ },
    replaces: ["name", "namePrefix"],
    needs: [
      need("targetKeyId names a key", (row, world) =>
        world.of(KEY).some((one) => [one.id, one.state.arn].includes(row.inputs.targetKeyId))
          ? null
          : `NotFoundException: there is no key ${row.inputs.targetKeyId}`,
      ),
    ],
    computed: (made, id) => ({
      arn: arnOf(made, "kms", id),
      targetKeyArn: arnOf(made, "kms", `key/${String(made.inputs.targetKeyId).split("/").at(-1)}`),
    }),
  },
  "aws:kms/keyPolicy:KeyPolicy": {
    source: "kms/key_policy.go",
    id: (made) => String(made.inputs.keyId),
    replaces: ["keyId"],
    unique: [["keyId"]],
    faults: (i) => [notJson(i, "policy"), rootFault(i)],
    needs: [ref("keyId", KEY), principals("policy")],
  },
  [LOG_GROUP]: {
    source: "logs/group.go",
    id: (made) => String(made.inputs.name),
    name: { property: "name", max: 512, pattern: /^[\w./#-]+$/ },
    replaces: ["logGroupClass", "name", "namePrefix"],
    values: { logGroupClass: ["STANDARD", "INFREQUENT_ACCESS", "DELIVERY"], kmsKeyId: arn("kms") },
    faults: (i) => [
      present(i.retentionInDays) &&
      typeof i.retentionInDays === "number" &&
      !RETENTION.includes(i.retentionInDays)
        ? `retentionInDays ${i.retentionInDays} is none that CloudWatch has`
        : null,
    ],
    needs: [
      keyRef("kmsKeyId"),
      keyAdmits("kmsKeyId", (row) => `logs.${row.scope.region}.amazonaws.com`),
      need(
        "a log group is made before what writes to it",
        (row, world) =>
          world.residue.has(`log group ${row.inputs.name}`)
            ? `ResourceAlreadyExists: the log group ${row.inputs.name} exists already`
            : null,
        ["create"],
      ),
    ],
    computed: (made, id) => ({ arn: arnOf(made, "logs", `log-group:${id}`) }),
  },
  "aws:cloudwatch/logResourcePolicy:LogResourcePolicy": {
    source: "logs/resource_policy.go",
    id: (made) => String(made.inputs.policyName ?? made.inputs.resourceArn),
    replaces: ["policyName", "resourceArn"],
    faults: (i) => [notJson(i, "policyDocument")],
  },
};

/** A key that its account may not administer can never be changed again: KMS refuses it. */
function rootFault(inputs: Props): string | null {
  const policy = parsed(inputs.policy);
  if (!policy || inputs.bypassPolicyLockoutSafetyCheck === true) return null;
  return JSON.stringify(policy).includes(":root")
    ? null
    : "MalformedPolicyDocument: the policy lets nobody of the account change it later";
}

/** Log groups that a service makes by itself when nobody made them before. */
export function ownLogGroup(name: string, world: World): Residue[] {
  return world.find(LOG_GROUP, "id", name) ? [] : [{ kind: "log group", name }];
}

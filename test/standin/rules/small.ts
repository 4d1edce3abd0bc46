import { textAt, valuesAt } from "../world.ts";
import { principals, ROLE } from "./iam.ts";
import { KEY, keyRef, LOG_GROUP } from "./keys-logs.ts";
import { arnOf, exclusive, idFrom, need, notJson, oneOf, parsed, present, ref } from "./parts.ts";
import type { Rules } from "./types.ts";

export const SECRET = "aws:secretsmanager/secret:Secret";
export const QUEUE = "aws:sqs/queue:Queue";
const TOPIC = "aws:sns/topic:Topic";
const RULE = "aws:cloudwatch/eventRule:EventRule";

/** Queues, topics, events, alarms, secrets, parameters, budgets. */
export const SMALL: Rules = {
  [QUEUE]: {
    source: "sqs/queue.go",
    id: (made) =>
      `https://sqs.${made.scope.region}.amazonaws.com/${made.scope.account}/${made.inputs.name}`,
    name: { property: "name", max: 80, pattern: /^[\w-]+(\.fifo)?$/ },
    replaces: ["fifoQueue", "name", "namePrefix"],
    values: { messageRetentionSeconds: [60, 1_209_600], visibilityTimeoutSeconds: [0, 43_200] },
    faults: (i) => [
      notJson(i, "policy"),
      present(i.kmsMasterKeyId) && i.sqsManagedSseEnabled === true
        ? "kmsMasterKeyId and sqsManagedSseEnabled exclude each other"
        : null,
    ],
    needs: [
      need("kmsMasterKeyId names a key", (row, world) => {
        const key = row.inputs.kmsMasterKeyId;
        if (!present(key) || /^alias\/aws\//.test(String(key))) return null;
        const found = world
          .of("aws:kms/key:Key")
          .some((one) => [one.id, one.state.arn].includes(key));
        return found || world.find("aws:kms/alias:Alias", "name", key)
          ? null
          : `there is no key ${key}`;
      }),
    ],
    computed: (made, id) => ({ arn: arnOf(made, "sqs", String(made.inputs.name)), url: id }),
  },
  "aws:sqs/queuePolicy:QueuePolicy": {
    source: "sqs/queue_policy.go",
    id: idFrom("queueUrl"),
    replaces: ["queueUrl"],
    unique: [["queueUrl"]],
    faults: (i) => [notJson(i, "policy")],
    needs: [ref("queueUrl", QUEUE), principals("policy")],
  },
  [TOPIC]: {
    source: "sns/topic.go",
    id: (made) => arnOf(made, "sns", String(made.inputs.name)),
    name: { property: "name", max: 256, pattern: /^[\w-]+(\.fifo)?$/ },
    replaces: ["fifoTopic", "name", "namePrefix"],
    faults: (i) => [notJson(i, "policy")],
    needs: [
      need("kmsMasterKeyId names a key", (row, world) => {
        const key = row.inputs.kmsMasterKeyId;
        if (!present(key) || /^alias\/aws\//.test(String(key))) return null;
        return world.of("aws:kms/key:Key").some((one) => [one.id, one.state.arn].includes(key))
          ? null
          : `there is no key ${key}`;
      }),
    ],
    computed: (made, id) => ({ arn: id, owner: made.scope.account }),
  },
  "aws:sns/topicPolicy:TopicPolicy": {
    source: "sns/topic_policy.go",
    id: idFrom("arn"),
    replaces: ["arn"],
    unique: [["arn"]],
    faults: (i) => [notJson(i, "policy")],
    needs: [ref("arn", TOPIC)],
  },
  "aws:sns/topicSubscription:TopicSubscription": {
    source: "sns/topic_subscription.go",
    id: (made) => `${made.inputs.topic}:${made.hex(8)}-${made.hex(4)}-4000-8000-${made.hex(12)}`,
    replaces: ["endpoint", "protocol", "topic"],
    values: {
      protocol: [
        "sqs",
        "lambda",
        "firehose",
        "application",
        "sms",
        "email",
        "email-json",
        "http",
        "https",
      ],
    },
    needs: [ref("topic", TOPIC, { by: "arn" })],
    computed: (made, id) => ({ arn: id, ownerId: made.scope.account }),
  },
  [RULE]: {
    source: "events/rule.go",
    id: idFrom("name"),
    name: { property: "name", max: 64, pattern: /^[\w.-]+$/ },
    replaces: ["eventBusName", "name", "namePrefix"],
    faults: (i) => [notJson(i, "eventPattern"), oneOf(i, "eventPattern", "scheduleExpression")],
    computed: (made, id) => ({ arn: arnOf(made, "events", `rule/${id}`) }),
    refusesDelete: (row, world) =>
      row.inputs.forceDestroy !== true &&
      world.find("aws:cloudwatch/eventTarget:EventTarget", "rule", row.id)
        ? "ValidationException: it has targets"
        : null,
  },
  "aws:cloudwatch/eventTarget:EventTarget": {
    source: "events/target.go",
    id: (made) => `${made.inputs.rule}-${made.inputs.targetId ?? `terraform-${made.hex(26)}`}`,
    replaces: ["eventBusName", "rule", "targetId"],
    needs: [
      ref("rule", RULE),
      need("an event's target exists", (row, world) =>
        world.find([QUEUE, TOPIC], "arn", row.inputs.arn) ||
        world.find(LOG_GROUP, "arn", String(row.inputs.arn).replace(/:\*$/, ""))
          ? null
          : `there is no target ${row.inputs.arn}`,
      ),
      need(
        "an event's target admits events, and so does its key",
        (row, world) => {
          const target = world.find([QUEUE, TOPIC], "arn", row.inputs.arn);
          if (!target) return null;
          const policies = [
            target.inputs.policy,
            world.find("aws:sqs/queuePolicy:QueuePolicy", "queueUrl", target.id)?.inputs.policy,
            world.find("aws:sns/topicPolicy:TopicPolicy", "arn", target.id)?.inputs.policy,
          ];
          const admits = (policy: unknown) =>
            JSON.stringify(parsed(policy) ?? {}).includes("events.amazonaws.com");
          if (!policies.some(admits))
            return `events are lost: the policy of ${target.id} does not admit them`;
          const named = target.inputs.kmsMasterKeyId;
          const key = world.of(KEY).find((one) => [one.id, one.state.arn].includes(named));
          return !key || admits(key.inputs.policy)
            ? null
            : `events are lost: the policy of key ${key.id} does not admit them`;
        },
        ["settled"],
      ),
    ],
    computed: (made) => ({ targetId: made.inputs.targetId ?? `terraform-${made.hex(26)}` }),
  },
  "aws:cloudwatch/metricAlarm:MetricAlarm": {
    source: "cloudwatch/metric_alarm.go",
    id: idFrom("name"),
    name: { property: "name", max: 255 },
    replaces: ["name"],
    values: {
      comparisonOperator: [
        "GreaterThanOrEqualToThreshold",
        "GreaterThanThreshold",
        "LessThanThreshold",
        "LessThanOrEqualToThreshold",
        "LessThanLowerOrGreaterThanUpperThreshold",
        "LessThanLowerThreshold",
        "GreaterThanUpperThreshold",
      ],
      statistic: ["SampleCount", "Average", "Sum", "Minimum", "Maximum"],
      treatMissingData: ["breaching", "notBreaching", "ignore", "missing"],
    },
    faults: (i) => [
      exclusive(i, "metricName", "metricQueries"),
      exclusive(i, "statistic", "extendedStatistic"),
    ],
    needs: [ref("alarmActions[]", TOPIC, { by: "arn", allow: /:automate:|:swf:/ })],
    computed: (made, id) => ({ arn: arnOf(made, "cloudwatch", `alarm:${id}`) }),
  },
  "aws:cloudwatch/dashboard:Dashboard": {
    source: "cloudwatch/dashboard.go",
    id: idFrom("dashboardName"),
    name: { property: "dashboardName", max: 255, required: true, pattern: /^[\w-]+$/ },
    replaces: ["dashboardName"],
    faults: (i) => [notJson(i, "dashboardBody")],
  },
  [SECRET]: {
    source: "secretsmanager/secret.go",
    id: (made) => arnOf(made, "secretsmanager", `secret:${made.inputs.name}-${made.hex(6)}`),
    name: { property: "name", max: 512, pattern: /^[\w/+=.@-]+$/ },
    replaces: ["name", "namePrefix"],
    faults: (i) => {
      const days = i.recoveryWindowInDays;
      return [
        typeof days === "number" && days !== 0 && (days < 7 || days > 30)
          ? "recoveryWindowInDays is 0 or 7 to 30"
          : null,
        notJson(i, "policy"),
      ];
    },
    needs: [
      keyRef("kmsKeyId", "either"),
      need(
        "a secret's name is free again",
        (row, world) =>
          world.residue.has(`secret pending deletion ${row.inputs.name}`)
            ? `InvalidRequestException: a secret ${row.inputs.name} is scheduled for deletion`
            : null,
        ["create"],
      ),
    ],
    computed: (_, id) => ({ arn: id }),
    leaves: (row, _, when) =>
      when === "delete" && row.inputs.recoveryWindowInDays !== 0
        ? [{ kind: "secret pending deletion", name: String(row.inputs.name) }]
        : [],
    takesAlong: (row, world) =>
      world
        .of("aws:secretsmanager/secretVersion:SecretVersion")
        .filter((one) => one.inputs.secretId === row.id),
  },
  "aws:secretsmanager/secretVersion:SecretVersion": {
    source: "secretsmanager/secret_version.go",
    id: (made) => `${made.inputs.secretId}|${made.hex(32)}`,
    replaces: ["secretBinary", "secretId", "secretString"],
    faults: (i) => [exclusive(i, "secretBinary", "secretString", "secretStringWo")],
    needs: [ref("secretId", SECRET)],
    computed: (made) => ({ arn: made.inputs.secretId, versionId: made.hex(32) }),
  },
  "aws:secretsmanager/secretPolicy:SecretPolicy": {
    source: "secretsmanager/secret_policy.go",
    id: idFrom("secretArn"),
    replaces: ["secretArn"],
    faults: (i) => [notJson(i, "policy")],
    needs: [ref("secretArn", SECRET)],
  },
  "aws:ssm/parameter:Parameter": {
    source: "ssm/parameter.go",
    id: idFrom("name"),
    name: { property: "name", max: 2048, pattern: /^(?!\/?(aws|ssm)\b)[\w./-]+$/ },
    replaces: ["name", "dataType"],
    values: {
      type: ["String", "StringList", "SecureString"],
      tier: ["Standard", "Advanced", "Intelligent-Tiering"],
    },
    needs: [keyRef("keyId", "either")],
    computed: (made, id) => ({
      arn: arnOf(made, "ssm", `parameter/${id.replace(/^\//, "")}`),
      version: 1,
    }),
  },
  "aws:budgets/budget:Budget": {
    source: "budgets/budget.go",
    id: (made) => `${made.scope.account}:${made.inputs.name}`,
    name: { property: "name", max: 100, pattern: /^[^:\\]+$/ },
    replaces: ["name", "namePrefix"],
    values: {
      budgetType: [
        "USAGE",
        "COST",
        "RI_UTILIZATION",
        "RI_COVERAGE",
        "SAVINGS_PLANS_UTILIZATION",
        "SAVINGS_PLANS_COVERAGE",
      ],
      timeUnit: ["DAILY", "MONTHLY", "QUARTERLY", "ANNUALLY"],
      limitAmount: /^\d+(\.\d+)?$/,
      "notifications[].comparisonOperator": ["GREATER_THAN", "LESS_THAN", "EQUAL_TO"],
      "notifications[].notificationType": ["ACTUAL", "FORECASTED"],
      "notifications[].thresholdType": ["PERCENTAGE", "ABSOLUTE_VALUE"],
    },
    faults: (i) => [
      exclusive(i, "limitAmount", "autoAdjustData", "plannedLimits"),
      ...valuesAt(i, "notifications[]").map((one) =>
        valuesAt(one, "subscriberEmailAddresses[]").length +
          valuesAt(one, "subscriberSnsTopicArns[]").length ===
          0 && !JSON.stringify(one).includes("04da6b54")
          ? "a notification has a subscriber"
          : null,
      ),
    ],
    needs: [
      ref("notifications[].subscriberSnsTopicArns[]", TOPIC, { by: "arn" }),
      need(
        "the topic of a budget admits budgets",
        (row, world) => {
          for (const arn of valuesAt(row.inputs, "notifications[].subscriberSnsTopicArns[]")) {
            const topic = world.find(TOPIC, "arn", arn);
            const policy =
              topic?.inputs.policy ??
              world.find("aws:sns/topicPolicy:TopicPolicy", "arn", arn)?.inputs.policy;
            if (!String(policy ?? "").includes("budgets.amazonaws.com")) {
              return `the policy of ${arn} does not admit budgets.amazonaws.com`;
            }
          }
          return null;
        },
        ["settled"],
      ),
    ],
    computed: (made) => ({
      arn: arnOf(made, "budgets", `budget/${made.inputs.name}`, true),
      accountId: made.scope.account,
    }),
  },
  "aws:costexplorer/costAllocationTag:CostAllocationTag": {
    source: "ce/cost_allocation_tag.go",
    id: idFrom("tagKey"),
    replaces: ["tagKey"],
    values: { status: ["Active", "Inactive"] },
  },
  "aws:dlm/lifecyclePolicy:LifecyclePolicy": {
    source: "dlm/lifecycle_policy.go",
    id: (made) => `policy-0${made.hex(16)}`,
    replaces: [],
    values: { state: ["ENABLED", "DISABLED"], description: /^[0-9A-Za-z _-]{1,500}$/ },
    needs: [
      ref("executionRoleArn", ROLE, { by: "arn" }),
      need(
        "the role of a snapshot policy may take snapshots",
        (row, world) => {
          const role = textAt(row.inputs, "executionRoleArn")?.split("/").at(-1);
          return world
            .of(
              "aws:iam/rolePolicy:RolePolicy",
              "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            )
            .some((one) => one.inputs.role === role)
            ? null
            : `role ${role} has no policy`;
        },
        ["settled"],
      ),
    ],
    computed: (made, id) => ({ arn: arnOf(made, "dlm", `policy/${id}`) }),
  },
};

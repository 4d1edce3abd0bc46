import { nameOf } from "./cloud.ts";
import type { Dropped, Replay, Step } from "./replay.ts";
import { textAt, valuesAt } from "./world.ts";

/**
 * Orders that AWS does not enforce by refusing, and that still must be: two calls at once would collide,
 * or something would start with less than it needs. Read off the graph, without making anything.
 */
export interface Order {
  readonly says: string;
  /** Pairs `[later, earlier]` that the graph must order. */
  readonly pairs: (steps: readonly Step[]) => readonly (readonly [Step, Step])[];
}

const of = (steps: readonly Step[], ...types: readonly string[]) =>
  steps.filter(({ type }) => types.some((end) => type.endsWith(`:${end}`)));

const roleOf = (arn: unknown) => String(arn).split("/").at(-1);

/** Rights of a role, but for those that a later layer adds for one target group. */
function rightsOf(steps: readonly Step[], role: unknown): Step[] {
  return of(steps, "RolePolicy", "RolePolicyAttachment").filter(
    ({ inputs }) => inputs.role === role && !String(inputs.policy).includes('"ChangeTargets"'),
  );
}

function profileRole(steps: readonly Step[], name: unknown): unknown {
  return of(steps, "InstanceProfile").find(({ inputs }) => inputs.name === name)?.inputs.role;
}

export const ORDERS: readonly Order[] = [
  {
    says: "who takes on a role finds it with all of its rights",
    pairs: (steps) => {
      const users: [Step, unknown][] = [
        ...of(steps, "Instance")
          .filter(({ type }) => type.includes("ec2"))
          .map((one): [Step, unknown] => [one, profileRole(steps, one.inputs.iamInstanceProfile)]),
        ...of(steps, "EC2NodeClass").map((one): [Step, unknown] => [
          one,
          profileRole(steps, textAt(one.inputs, "spec.instanceProfile")),
        ]),
        ...of(steps, "NodeGroup").map((one): [Step, unknown] => [
          one,
          roleOf(one.inputs.nodeRoleArn),
        ]),
        ...of(steps, "PodIdentityAssociation", "Proxy", "FlowLog").map((one): [Step, unknown] => [
          one,
          roleOf(one.inputs.roleArn ?? one.inputs.iamRoleArn),
        ]),
      ];
      return users.flatMap(([user, role]) =>
        rightsOf(steps, role).map((right): [Step, Step] => [user, right]),
      );
    },
  },
  {
    says: "S3 answers 409 to two of these at once: a bucket's owner, public access block, policy",
    pairs: (steps) => {
      const parts = of(steps, "BucketOwnershipControls", "BucketPublicAccessBlock", "BucketPolicy");
      return parts.flatMap((one, i) =>
        parts
          .slice(i + 1)
          .filter((other) => other.inputs.bucket === one.inputs.bucket)
          .map((other): [Step, Step] => [one, other]),
      );
    },
  },
  {
    says: "a file system is mounted only once its policy asks for TLS",
    pairs: (steps) =>
      of(steps, "MountTarget").flatMap((mount) =>
        of(steps, "FileSystemPolicy")
          .filter(({ inputs }) => inputs.fileSystemId === mount.inputs.fileSystemId)
          .map((policy): [Step, Step] => [mount, policy]),
      ),
  },
  {
    says: "what uses an address comes after the internet gateway",
    pairs: (steps) =>
      of(steps, "NatGateway", "EipAssociation").flatMap((user) =>
        of(steps, "InternetGateway").map((gateway): [Step, Step] => [user, gateway]),
      ),
  },
  {
    says: "hosts change one after the other, each with its volume and its place behind the front",
    pairs: (steps) => {
      const hosts = of(steps, "Instance").filter(({ type }) => type.includes("ec2"));
      const around = (host: Step) => [
        host,
        ...of(steps, "VolumeAttachment", "TargetGroupAttachment", "EipAssociation").filter(
          ({ inputs }) => [inputs.instanceId, inputs.targetId].includes(host.id),
        ),
      ];
      return hosts.flatMap((one, i) =>
        hosts.slice(i + 1).flatMap((other) => {
          const [first, second] = nameOf(one.urn) < nameOf(other.urn) ? [one, other] : [other, one];
          return around(first).map((part): [Step, Step] => [second, part]);
        }),
      );
    },
  },
  {
    says: "Karpenter hears of interruptions before its first node, and until after its last",
    pairs: (steps) => {
      const queues = of(steps, "Queue").map(({ id }) => id);
      const events = [
        ...of(steps, "EventTarget"),
        ...of(steps, "QueuePolicy").filter(({ inputs }) =>
          queues.includes(String(inputs.queueUrl)),
        ),
      ];
      return of(steps, "NodePool").flatMap((pool) =>
        events.map((one): [Step, Step] => [pool, one]),
      );
    },
  },
  {
    says: "what sends finds who receives",
    pairs: (steps) => {
      const chart = (name: string) =>
        of(steps, "Release").filter(({ inputs }) => String(inputs.chart).endsWith(name));
      const pairs = (from: string, to: string) =>
        chart(from).flatMap((one) => chart(to).map((other): [Step, Step] => [one, other]));
      return [...pairs("vector", "loki"), ...pairs("opentelemetry-collector", "tempo")];
    },
  },
  {
    says: "the operator's webhook looks at rules and monitors, so it is there, or is not yet",
    pairs: (steps) =>
      of(steps, "PrometheusRule", "ServiceMonitor").flatMap((one) =>
        of(steps, "Release")
          .filter(({ inputs }) => inputs.chart === "kube-prometheus-stack")
          .map((stack): [Step, Step] => [one, stack]),
      ),
  },
  {
    says: "a certificate is asked for when its issuer is there",
    pairs: (steps) => {
      const issuers = of(steps, "Issuer", "ClusterIssuer");
      const certificates = of(steps, "Certificate").filter(({ type }) =>
        type.includes("cert-manager"),
      );
      return [
        ...certificates.flatMap((one) =>
          issuers
            .filter(
              ({ inputs }) =>
                textAt(inputs, "metadata.name") === textAt(one.inputs, "spec.issuerRef.name"),
            )
            .map((issuer): [Step, Step] => [one, issuer]),
        ),
        ...issuers.flatMap((one) =>
          certificates
            .filter(({ inputs }) =>
              valuesAt(one.inputs, "spec.ca.secretName").includes(
                textAt(inputs, "spec.secretName"),
              ),
            )
            .map((certificate): [Step, Step] => [one, certificate]),
        ),
      ];
    },
  },
];

/** Collisions are avoided by either order. */
const EITHER_WAY = /409/;

/** Pairs that are not in order, in words. */
export function disorder(replay: Replay, without?: Dropped): string[] {
  const steps = [...replay.steps.values()];
  const ancestors = new Map<string, Set<string>>();
  const before = (urn: string) => {
    const known = ancestors.get(urn) ?? replay.ancestors(urn, without);
    ancestors.set(urn, known);
    return known;
  };
  return ORDERS.flatMap(({ says, pairs }) =>
    pairs(steps).flatMap(([later, earlier]) => {
      const ordered =
        before(later.urn).has(earlier.urn) ||
        (EITHER_WAY.test(says) && before(earlier.urn).has(later.urn));
      return ordered
        ? []
        : [`${says}: ${nameOf(later.urn)} does not wait for ${nameOf(earlier.urn)}`];
    }),
  );
}

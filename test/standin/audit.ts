import { parsed } from "./rules/parts.ts";
import { type Row, textAt, valuesAt, type World } from "./world.ts";

/** What must hold of an account after a deployment, though AWS itself would refuse nothing. */
export interface Law {
  readonly says: string;
  readonly broken: (world: World) => readonly string[];
}

const each =
  (type: string, wrong: (row: Row, world: World) => string | false | null | undefined) =>
  (world: World): string[] =>
    world.of(type).flatMap((row) => {
      const what = wrong(row, world);
      return what ? [`${row.urn.split("::").at(-1)}: ${what}`] : [];
    });

const has = (world: World, type: string, property: string, value: unknown) =>
  world.of(type).some((one) => one.inputs[property] === value);

const BUCKET = "aws:s3/bucket:Bucket";
const part = (name: string) => `aws:s3/${name.charAt(0).toLowerCase()}${name.slice(1)}:${name}`;
const INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule";
const EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule";
const SUBNET = "aws:ec2/subnet:Subnet";
const BALANCER = "aws:lb/loadBalancer:LoadBalancer";
const LISTENER = "aws:lb/listener:Listener";
const NAMESPACE = "kubernetes:core/v1:Namespace";
const RELEASE = "kubernetes:helm.sh/v3:Release";

/** Whether a group lets somebody in at a port. */
function opens(world: World, group: unknown, port: unknown): boolean {
  return world.of(INGRESS).some((rule) => {
    const { securityGroupId, ipProtocol, fromPort, toPort } = rule.inputs;
    if (securityGroupId !== group) return false;
    return (
      ipProtocol === "-1" || (Number(fromPort) <= Number(port) && Number(port) <= Number(toPort))
    );
  });
}

const someOpen = (row: Row, path: string, port: unknown, world: World) =>
  valuesAt(row.inputs, path).some((group) => opens(world, group, port))
    ? null
    : `nobody may connect to its port ${port}`;

/** Actions that a role's policies allow. */
function actionsOf(world: World, role: unknown): Set<string> {
  const inline = world
    .of("aws:iam/rolePolicy:RolePolicy")
    .filter((one) => one.inputs.role === role);
  const attached = world
    .of("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
    .filter((one) => one.inputs.role === role)
    .flatMap((one) => world.find("aws:iam/policy:Policy", "arn", one.inputs.policyArn) ?? []);
  const statements = [...inline, ...attached].flatMap((one) =>
    [parsed(one.inputs.policy)?.Statement ?? []].flat(),
  );
  return new Set(statements.flatMap((one) => valuesAt(one, "Action")).flat() as string[]);
}

/** What a controller's service account must be allowed, from its own documentation. */
const MUST_DO: Readonly<Record<string, readonly string[]>> = {
  // karpenter.sh/docs/reference/cloudformation, 1.13 and later
  karpenter: [
    "ec2:CreateFleet",
    "ec2:RunInstances",
    "ec2:CreateLaunchTemplate",
    "ec2:CreateTags",
    "ec2:TerminateInstances",
    "ec2:DeleteLaunchTemplate",
    "ec2:DescribeInstanceTypes",
    "ssm:GetParameter",
    "pricing:GetProducts",
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "iam:PassRole",
    "iam:GetInstanceProfile",
    "eks:DescribeCluster",
    "kms:CreateGrant",
  ],
  "aws-load-balancer-controller": [
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
    "elasticloadbalancing:RegisterTargets",
    "elasticloadbalancing:DeregisterTargets",
  ],
  "external-secrets": ["secretsmanager:GetSecretValue", "kms:Decrypt"],
  vector: ["s3:PutObject", "kms:GenerateDataKey"],
  "ebs-csi-controller-sa": ["kms:CreateGrant", "kms:GenerateDataKeyWithoutPlaintext"],
};

const allowed = (actions: ReadonlySet<string>, wanted: string) =>
  [...actions].some((one) => new RegExp(`^${one.replaceAll("*", ".*")}$`).test(wanted));

export const LAWS: readonly Law[] = [
  {
    says: "a bucket is closed to the public, owned by its account, encrypted, and forgets begun uploads",
    broken: each(BUCKET, (row, world) => {
      const parts = [
        "BucketPublicAccessBlock",
        "BucketOwnershipControls",
        "BucketServerSideEncryptionConfiguration",
        "BucketLifecycleConfiguration",
      ];
      const missing = parts.find((name) => !has(world, part(name), "bucket", row.id));
      if (missing) return `it has no ${missing}`;
      const block = world.find(part("BucketPublicAccessBlock"), "bucket", row.id);
      const open = [
        "blockPublicAcls",
        "blockPublicPolicy",
        "ignorePublicAcls",
        "restrictPublicBuckets",
      ].find((key) => block?.inputs[key] !== true);
      if (open) return `${open} is not set`;
      const life = world.find(part("BucketLifecycleConfiguration"), "bucket", row.id);
      return (
        valuesAt(life?.inputs, "rules[].abortIncompleteMultipartUpload").length === 0 &&
        "begun uploads stay for ever"
      );
    }),
  },
  {
    says: "a bucket refuses what does not come over TLS",
    broken: each(BUCKET, (row, world) => {
      const policy = world.find(part("BucketPolicy"), "bucket", row.id);
      return (
        !String(policy?.inputs.policy).includes('"aws:SecureTransport":"false"') &&
        "its policy admits plain HTTP"
      );
    }),
  },
  {
    says: "a VPC's default security group is emptied, S3 is reached without NAT, and its traffic is logged if there is a log for it",
    broken: each("aws:ec2/vpc:Vpc", (row, world) => {
      if (!has(world, "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", "vpcId", row.id))
        return "its default group lets everything through";
      return (
        !has(world, "aws:ec2/vpcEndpoint:VpcEndpoint", "vpcId", row.id) &&
        "S3 is reached through NAT"
      );
    }),
  },
  {
    says: "a subnet follows a route table of ours",
    broken: each(SUBNET, (row, world) =>
      has(world, "aws:ec2/routeTableAssociation:RouteTableAssociation", "subnetId", row.id)
        ? null
        : "it follows the VPC's main table",
    ),
  },
  {
    says: "what has a public address has a way to the internet",
    broken: (world) => {
      const subnets = [
        ...world.of("aws:ec2/natGateway:NatGateway").map((one) => one.inputs.subnetId),
        ...world.of(BALANCER).flatMap((one) => valuesAt(one.inputs, "subnets[]")),
        ...world
          .of("aws:ec2/instance:Instance")
          .filter((one) => one.inputs.associatePublicIpAddress === true)
          .map((one) => one.inputs.subnetId),
      ].filter((id) => id !== undefined);
      return subnets.flatMap((id) => {
        const association = world.find(
          "aws:ec2/routeTableAssociation:RouteTableAssociation",
          "subnetId",
          id,
        );
        const way = world
          .of("aws:ec2/route:Route")
          .some(
            (one) =>
              one.inputs.routeTableId === association?.inputs.routeTableId &&
              one.inputs.gatewayId !== undefined,
          );
        return way ? [] : [`${id} has no route to an internet gateway`];
      });
    },
  },
  {
    says: "a log group is written to",
    broken: each("aws:cloudwatch/logGroup:LogGroup", (row, world) => {
      const name = String(row.inputs.name);
      if (/^\/aws\/(eks|rds)\//.test(name)) return null;
      const users = world.of(
        "aws:ec2/flowLog:FlowLog",
        "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration",
        "aws:elasticache/replicationGroup:ReplicationGroup",
      );
      return (
        !users.some((one) => JSON.stringify(one.inputs).includes(name)) && "nobody writes to it"
      );
    }),
  },
  {
    says: "a key has a name",
    broken: each("aws:kms/key:Key", (row, world) =>
      world
        .of("aws:kms/alias:Alias")
        .some((one) => [row.id, row.state.arn].includes(one.inputs.targetKeyId))
        ? null
        : "it has no alias",
    ),
  },
  {
    says: "a secret has a value",
    broken: each(
      "aws:secretsmanager/secret:Secret",
      (row, world) =>
        !has(world, "aws:secretsmanager/secretVersion:SecretVersion", "secretId", row.id) &&
        "it is empty",
    ),
  },
  {
    says: "an event rule has a target",
    broken: each(
      "aws:cloudwatch/eventRule:EventRule",
      (row, world) =>
        !has(world, "aws:cloudwatch/eventTarget:EventTarget", "rule", row.id) &&
        "its events go nowhere",
    ),
  },
  {
    says: "somebody may connect to every store",
    broken: (world) => [
      ...each("aws:elasticache/replicationGroup:ReplicationGroup", (row) =>
        someOpen(row, "securityGroupIds[]", row.inputs.port ?? 6379, world),
      )(world),
      ...each("aws:rds/instance:Instance", (row) =>
        someOpen(row, "vpcSecurityGroupIds[]", row.state.port, world),
      )(world),
      ...each("aws:rds/proxy:Proxy", (row) => someOpen(row, "vpcSecurityGroupIds[]", 5432, world))(
        world,
      ),
      ...each("aws:efs/mountTarget:MountTarget", (row) =>
        someOpen(row, "securityGroups[]", 2049, world),
      )(world),
    ],
  },
  {
    says: "an account with users of a cache has the cache, and one with a user group of it",
    broken: (world) =>
      world.of("aws:elasticache/userGroup:UserGroup").length >
      world.of("aws:elasticache/replicationGroup:ReplicationGroup").length
        ? ["a user group without a cache"]
        : [],
  },
  {
    says: "a database group, proxy and parameter group belong to something",
    broken: (world) => [
      ...each(
        "aws:rds/subnetGroup:SubnetGroup",
        (row) =>
          !has(world, "aws:rds/instance:Instance", "dbSubnetGroupName", row.id) &&
          "no database is in it",
      )(world),
      ...each(
        "aws:rds/proxy:Proxy",
        (row) =>
          !has(world, "aws:rds/proxyTarget:ProxyTarget", "dbProxyName", row.id) &&
          "it leads nowhere",
      )(world),
    ],
  },
  {
    says: "a file system has a mount target a zone of the data subnets",
    broken: each("aws:efs/fileSystem:FileSystem", (row, world) => {
      const targets = world
        .of("aws:efs/mountTarget:MountTarget")
        .filter((one) => one.inputs.fileSystemId === row.id);
      const zones = new Set(world.of(SUBNET).map((one) => one.state.availabilityZone));
      return (
        targets.length < zones.size && `${targets.length} mount targets for ${zones.size} zones`
      );
    }),
  },
  {
    says: "a balancer listens with TLS, redirects HTTP, closes internal paths, and is let in and out",
    broken: each(BALANCER, (row, world) => {
      const listeners = world.of(LISTENER).filter((one) => one.inputs.loadBalancerArn === row.id);
      const tls = listeners.find((one) => one.inputs.protocol === "HTTPS");
      const plain = listeners.find((one) => one.inputs.protocol === "HTTP");
      if (!tls) return "nothing listens with TLS";
      if (plain && textAt(plain.inputs, "defaultActions[].type") !== "redirect")
        return "HTTP is answered";
      if (!plain) return "HTTP is not redirected";
      if (!has(world, "aws:lb/listenerRule:ListenerRule", "listenerArn", tls.id))
        return "internal paths are open";
      const [group] = valuesAt(row.inputs, "securityGroups[]");
      const shut = listeners.find((one) => !opens(world, group, one.inputs.port));
      if (shut) return `nobody may connect to port ${shut.inputs.port}`;
      if (world.of(EGRESS).some((one) => one.inputs.securityGroupId === group)) return null;
      return "it may reach no target";
    }),
  },
  {
    says: "a balancer's name leads to it, for IPv4 and, where it has any, IPv6; its web ACL is in front of it",
    broken: (world) => {
      const acls = world
        .of("aws:wafv2/webAcl:WebAcl")
        .filter(
          (one) =>
            !has(
              world,
              "aws:wafv2/webAclAssociation:WebAclAssociation",
              "webAclArn",
              one.state.arn,
            ),
        );
      const named = each(BALANCER, (row) => {
        const records = world
          .of("aws:route53/record:Record")
          .filter((one) => valuesAt(one.inputs, "aliases[].name").includes(row.state.dnsName));
        const wanted = row.inputs.ipAddressType === "dualstack" ? ["A", "AAAA"] : ["A"];
        if (world.of("aws:route53/zone:Zone").length === 0) return null;
        const missing = wanted.find((type) => !records.some((one) => one.inputs.type === type));
        return missing && `there is no record ${missing}`;
      });
      return [...named(world), ...acls.map((one) => `${one.id} is associated with nothing`)];
    },
  },
  {
    says: "every target group gets targets: machines, or a binding and the way from the balancer to its pods",
    broken: each("aws:lb/targetGroup:TargetGroup", (row, world) => {
      if (row.inputs.targetType !== "ip") {
        const count = world
          .of("aws:lb/targetGroupAttachment:TargetGroupAttachment")
          .filter((one) => one.inputs.targetGroupArn === row.id).length;
        const hosts = world.of("aws:ec2/instance:Instance").length;
        return count < hosts && `${count} of ${hosts} hosts are targets`;
      }
      const bound = world
        .of("kubernetes:elbv2.k8s.aws/v1beta1:TargetGroupBinding")
        .some((one) => textAt(one.inputs, "spec.targetGroupARN") === row.id);
      if (!bound) return "nothing is bound to it";
      const clusters = world
        .of("aws:eks/cluster:Cluster")
        .map((one) => textAt(one.state, "vpcConfig.clusterSecurityGroupId"));
      return (
        !clusters.some((group) => opens(world, group, row.inputs.port)) &&
        "the balancer may not reach its pods"
      );
    }),
  },
  {
    says: "controllers may do what their documentation lists",
    broken: each("aws:eks/podIdentityAssociation:PodIdentityAssociation", (row, world) => {
      const role = world.find("aws:iam/role:Role", "arn", row.inputs.roleArn);
      const actions = actionsOf(world, role?.id);
      const missing = (MUST_DO[String(row.inputs.serviceAccount)] ?? []).find(
        (one) => !allowed(actions, one),
      );
      return missing && `${row.inputs.serviceAccount} may not ${missing}`;
    }),
  },
  {
    says: "a namespace of ours is closed but for what is named",
    broken: each(NAMESPACE, (row, world) => {
      const name = textAt(row.inputs, "metadata.name");
      const policies = world
        .of("kubernetes:networking.k8s.io/v1:NetworkPolicy")
        .filter((one) => textAt(one.inputs, "metadata.namespace") === name);
      const inside = policies.some((one) => textAt(one.inputs, "metadata.name") === "from-inside");
      return !inside && "anybody in the cluster may reach it, or its own pods may not";
    }),
  },
  {
    says: "a cluster has pools of nodes, a class of volumes, and measures its pods",
    broken: each("aws:eks/cluster:Cluster", (row, world) => {
      const pools = world
        .of("kubernetes:karpenter.sh/v1:NodePool")
        .map((one) => textAt(one.inputs, "metadata.name"));
      for (const pool of ["gateways", "workers"])
        if (!pools.includes(pool)) return `there is no pool ${pool}`;
      if (world.of("kubernetes:storage.k8s.io/v1:StorageClass").length === 0)
        return "there is no default class of volumes";
      const addons = world
        .of("aws:eks/addon:Addon")
        .filter((one) => one.inputs.clusterName === row.id);
      return (
        !addons.some((one) => one.inputs.addonName === "metrics-server") && "pods are not measured"
      );
    }),
  },
  {
    says: "machines have what the session manager and the registry ask for",
    broken: (world) => {
      const roles = [
        ...world.of("aws:iam/instanceProfile:InstanceProfile").map((one) => one.inputs.role),
        ...world
          .of("aws:eks/nodeGroup:NodeGroup")
          .map((one) => String(one.inputs.nodeRoleArn).split("/").at(-1)),
      ];
      const cluster = world.of("aws:eks/cluster:Cluster").length > 0;
      const wanted = [
        "AmazonSSMManagedInstanceCore",
        ...(cluster ? ["AmazonEC2ContainerRegistryPullOnly"] : []),
      ];
      const may = (role: unknown, policy: string) =>
        world
          .of("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
          .some(
            (one) =>
              one.inputs.role === role && String(one.inputs.policyArn).endsWith(`/${policy}`),
          ) ||
        (policy.startsWith("AmazonSSM") &&
          ["ssm:UpdateInstanceInformation", "ssmmessages:OpenDataChannel"].every((action) =>
            allowed(actionsOf(world, role), action),
          ));
      return roles.flatMap((role) =>
        wanted
          .filter((policy) => !may(role, policy))
          .map((policy) => `role ${role} lacks ${policy}`),
      );
    },
  },
  {
    says: "what reads secrets and certificates in the cluster is there",
    broken: (world) => {
      const certificates = world.of("kubernetes:cert-manager.io/v1:Certificate");
      const issuers = world
        .of("kubernetes:cert-manager.io/v1:Issuer", "kubernetes:cert-manager.io/v1:ClusterIssuer")
        .map((one) => textAt(one.inputs, "metadata.name"));
      const stores = world
        .of("kubernetes:external-secrets.io/v1:ClusterSecretStore")
        .map((one) => textAt(one.inputs, "metadata.name"));
      const secrets = certificates.map((one) => textAt(one.inputs, "spec.secretName"));
      return [
        ...certificates.flatMap((one) =>
          issuers.includes(textAt(one.inputs, "spec.issuerRef.name") ?? "")
            ? []
            : [`${one.id}: no issuer`],
        ),
        ...world.of("kubernetes:cert-manager.io/v1:Issuer").flatMap((one) => {
          const secret = textAt(one.inputs, "spec.ca.secretName");
          return !secret || secrets.includes(secret)
            ? []
            : [`${one.id}: nobody makes its Secret ${secret}`];
        }),
        ...world
          .of("kubernetes:external-secrets.io/v1:ExternalSecret")
          .flatMap((one) =>
            stores.includes(textAt(one.inputs, "spec.secretStoreRef.name") ?? "")
              ? []
              : [`${one.id}: no store`],
          ),
        ...(world.of(RELEASE).some((one) => String(one.inputs.chart).endsWith("cert-manager")) &&
        issuers.length < 2
          ? ["the fleet has no issuer"]
          : []),
        ...(world
          .of(RELEASE)
          .some((one) => String(one.inputs.chart).endsWith("external-secrets")) &&
        stores.length === 0
          ? ["there is no way to the account's secrets"]
          : []),
      ];
    },
  },
];

/** Everything that is not as it should be, in words. */
export function audit(world: World): string[] {
  return LAWS.flatMap(({ says, broken }) => broken(world).map((what) => `${says}: ${what}`));
}

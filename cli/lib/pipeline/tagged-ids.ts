/** Tags by key. */
export type Tags = Readonly<Record<string, string>>;

/** A resource that AWS lists by its tags. */
export interface Tagged {
  readonly arn: string;
  readonly tags: Tags;
}

/** What is looked for: a resource that was begun, by its type and the tags it would have. */
export interface Wanted {
  readonly urn: string;
  readonly type: string;
  readonly tags: Tags;
}

/** Its id out of the last part of its ARN, where that part begins so. */
const last =
  (service: string, kind: string) =>
  (arn: string): string | undefined => {
    const [, , itsService, , , ...resource] = arn.split(":");
    const path = resource.join(":").split("/");
    return itsService === service && path.length === 2 && path[0] === kind ? path[1] : undefined;
  };

/** Its id is its ARN. */
const whole =
  (form: RegExp) =>
  (arn: string): string | undefined =>
    form.test(arn) ? arn : undefined;

const balancing = (kind: string) =>
  whole(new RegExp(`^arn:[\\w-]+:elasticloadbalancing:[\\w-]+:\\d+:${kind}/`));

/**
 * How the id that a resource is imported by stands in its ARN. Sources: "Import" of each resource's page,
 * and the ARNs of docs.aws.amazon.com/service-authorization/latest/reference.
 */
const FORMS: Readonly<Record<string, (arn: string) => string | undefined>> = {
  "aws:acm/certificate:Certificate": whole(/^arn:[\w-]+:acm:[\w-]+:\d+:certificate\//),
  "aws:ebs/volume:Volume": last("ec2", "volume"),
  "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": last("ec2", "security-group"),
  "aws:ec2/eip:Eip": last("ec2", "elastic-ip"),
  "aws:ec2/flowLog:FlowLog": last("ec2", "vpc-flow-log"),
  "aws:ec2/instance:Instance": last("ec2", "instance"),
  "aws:ec2/internetGateway:InternetGateway": last("ec2", "internet-gateway"),
  "aws:ec2/launchTemplate:LaunchTemplate": last("ec2", "launch-template"),
  "aws:ec2/natGateway:NatGateway": last("ec2", "natgateway"),
  "aws:ec2/networkInterface:NetworkInterface": last("ec2", "network-interface"),
  "aws:ec2/routeTable:RouteTable": last("ec2", "route-table"),
  "aws:ec2/securityGroup:SecurityGroup": last("ec2", "security-group"),
  "aws:ec2/subnet:Subnet": last("ec2", "subnet"),
  "aws:ec2/vpc:Vpc": last("ec2", "vpc"),
  "aws:ec2/vpcEndpoint:VpcEndpoint": last("ec2", "vpc-endpoint"),
  "aws:efs/accessPoint:AccessPoint": last("elasticfilesystem", "access-point"),
  "aws:efs/fileSystem:FileSystem": last("elasticfilesystem", "file-system"),
  "aws:eks/podIdentityAssociation:PodIdentityAssociation": (arn) =>
    /:podidentityassociation\/([^/]+)\/([^/]+)$/.exec(arn)?.slice(1).join(","),
  "aws:kms/key:Key": last("kms", "key"),
  "aws:lb/listener:Listener": balancing("listener"),
  "aws:lb/listenerRule:ListenerRule": balancing("listener-rule"),
  "aws:lb/loadBalancer:LoadBalancer": balancing("loadbalancer"),
  "aws:lb/targetGroup:TargetGroup": balancing("targetgroup"),
  "aws:route53/healthCheck:HealthCheck": last("route53", "healthcheck"),
  "aws:secretsmanager/secret:Secret": whole(/^arn:[\w-]+:secretsmanager:[\w-]+:\d+:secret:/),
  "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": last("ec2", "security-group-rule"),
  "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": last("ec2", "security-group-rule"),
  "aws:wafv2/webAcl:WebAcl": (arn) => {
    const [, name, id] = /:regional\/webacl\/([^/]+)\/([^/]+)$/.exec(arn) ?? [];
    return name && id ? `${id}/${name}/REGIONAL` : undefined;
  },
};

/** Whether AWS can be asked for one of its type by tags, because it bears them from its first moment. */
export const isTaggable = (type: string): boolean => FORMS[type] !== undefined;

/** Of no region: each partition lists them with its first one. */
const GLOBAL = /^aws:route53\//;

/** The region that lists such a type, where it is another than the stack's own. */
export function listedAlsoIn(type: string, region: string): string | undefined {
  if (!GLOBAL.test(type)) return undefined;
  if (region.startsWith("cn-")) return "cn-northwest-1";
  return region.startsWith("us-gov-") ? "us-gov-west-1" : "us-east-1";
}

/** What became of the search for one resource. */
export type Found =
  | { readonly urn: string; readonly id: string }
  | { readonly urn: string; readonly id: null; readonly candidates: readonly string[] };

/**
 * Which of the listed resources are the wanted ones: of its type, with every tag that it would have. A
 * fleet gives no two of a type the same tags; where two have them all the same, nobody can tell.
 */
export function matchTagged(wanted: readonly Wanted[], listed: readonly Tagged[]): Found[] {
  const claims = wanted.map(({ urn, type, tags }) => ({
    urn,
    ids: listed.flatMap((one) => {
      const id = FORMS[type]?.(one.arn);
      const same = Object.entries(tags).every(([key, value]) => one.tags[key] === value);
      return id !== undefined && same ? [id] : [];
    }),
  }));
  return claims.map(({ urn, ids }) => {
    const [id] = ids;
    const claimed = claims.filter((other) => id !== undefined && other.ids.includes(id)).length;
    return ids.length === 1 && claimed === 1 && id !== undefined
      ? { urn, id }
      : { urn, id: null, candidates: ids };
  });
}

import type { PricedBy, PriceTable } from "../cost.ts";

/** TLS 1.3 and 1.2, forward secrecy and authenticated ciphers only.
 *  Source: docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html (2026-11-21). */
export const TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06";

/**
 * What AWS accepts. Source: docs.aws.amazon.com/elasticloadbalancing/latest/application (load balancer
 * and target group attributes), hashicorp/terraform-provider-aws internal/service/elbv2/target_group.go,
 * docs.aws.amazon.com/acm/latest/userguide/acm-limits.html (2026-11-21).
 */
export const LIMITS = {
  /** Characters of the name of a balancer or target group. */
  nameLength: 32,
  idleSeconds: { min: 1, max: 4_000 },
  drainSeconds: { min: 0, max: 3_600 },
  probeIntervalSeconds: { min: 5, max: 300 },
  probeTimeoutSeconds: { min: 2, max: 120 },
  probeThreshold: { min: 2, max: 10 },
  /** Characters of a fixed answer. */
  fixedAnswerLength: 1_024,
  /** Values in all conditions of one rule. */
  ruleValues: 5,
  /** Characters of a certificate's first name. */
  certificateNameLength: 64,
  /** Names of one certificate. */
  certificateNames: 10,
  /** Inbound rules of a security group, without a quota request. Source: the quotas page of Amazon VPC. */
  securityGroupRules: 60,
  /** Zones a balancer must stand in. */
  zones: 2,
} as const;

/** Quotas that an edge uses up. Source: the Service Quotas pages of EC2 and Elastic Load Balancing (2026-11-21). */
export const QUOTAS = {
  balancers: {
    service: "elasticloadbalancing",
    code: "L-53DA6B97",
    name: "Application Load Balancers per Region",
  },
  addresses: { service: "ec2", code: "L-0263D0A3", name: "EC2-VPC Elastic IPs" },
} as const;

/**
 * Route 53 health checks: an endpoint must take the connection within 4 s and answer within 2 s after it.
 * Source: docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html (2026-11-21).
 */
export const DNS_CHECK = {
  /** Seconds between two checks: 10 is the fast kind. */
  intervalSeconds: 10,
  /** Checks in a row that must fail. Many checkers judge together, so one is enough. */
  failures: 1,
  answerSeconds: 6,
  /** Seconds a resolver keeps an address. */
  ttlSeconds: 5,
} as const;

/** Characters that Pulumi adds to a name that it makes: a dash and seven digits. */
export const AUTO_NAME_SUFFIX = 8;

export type EdgePrice =
  | "balancerHour"
  | "capacityUnitHour"
  | "publicIpv4Hour"
  | "firewall"
  | "firewallRule"
  | "firewallMillionRequests"
  | "healthCheck"
  | "dataOutGb";

const EVERYWHERE = {
  publicIpv4Hour: 0.005,
  firewall: 5,
  firewallRule: 1,
  firewallMillionRequests: 0.6,
  /** Of an endpoint on AWS: 0.50, and 1.00 each for HTTPS and for the fast interval. */
  healthCheck: 2.5,
  /** To the internet, the first 10 TB of a month. */
  dataOutGb: 0.09,
};

/** US dollars without tax. */
export const EDGE_PRICES: PriceTable<EdgePrice> = {
  date: "2026-11-21",
  source:
    "aws.amazon.com/elasticloadbalancing/pricing, /vpc/pricing, /waf/pricing, /route53/pricing, /ec2/pricing/on-demand; from memory, to be checked",
  regions: {
    "us-east-1": { ...EVERYWHERE, balancerHour: 0.0225, capacityUnitHour: 0.008 },
    "eu-central-1": { ...EVERYWHERE, balancerHour: 0.027, capacityUnitHour: 0.008 },
    "eu-west-1": { ...EVERYWHERE, balancerHour: 0.0252, capacityUnitHour: 0.008 },
  },
};

/** What one capacity unit of a balancer carries. Source: aws.amazon.com/elasticloadbalancing/pricing (2026-11-21). */
export const CAPACITY_UNIT = {
  newConnectionsPerSecond: 25,
  activeConnectionsPerMinute: 3_000,
  gbPerHour: 1,
} as const;

/** What turns and users are taken to ask of the way in, for costs by use; assumptions, not measured. */
export const USE = {
  /** Requests of one turn: the question, its history, a retry. */
  requestsPerTurn: 3,
  kbPerTurn: 40,
  /** Connections that a user keeps open. */
  connectionsPerUser: 1,
} as const;

/** How each type that the component can register is paid for. */
export const PRICED: Readonly<Record<string, PricedBy>> = {
  "openclaw-fleet:fleet:Edge": { free: "groups resources" },
  "aws:lb/loadBalancer:LoadBalancer": {
    lines: [
      "balancer hours",
      "balancer capacity units",
      "balancer's public IPv4 addresses",
      "answers to the internet",
    ],
  },
  "aws:lb/targetGroup:TargetGroup": { free: "part of the balancer" },
  "aws:lb/listener:Listener": { free: "part of the balancer" },
  "aws:lb/listenerRule:ListenerRule": {
    free: "ten rules a listener are free, and there are at most two",
  },
  "aws:ec2/securityGroup:SecurityGroup": { free: "AWS asks nothing for it" },
  "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": { free: "AWS asks nothing for it" },
  "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": { free: "AWS asks nothing for it" },
  "aws:acm/certificate:Certificate": { free: "certificates that stay in AWS are free" },
  "aws:acm/certificateValidation:CertificateValidation": { free: "only waits" },
  "aws:route53/record:Record": {
    free: "the zone is priced by dns; answers that point at AWS's own balancers are free",
  },
  "aws:route53/healthCheck:HealthCheck": { lines: ["DNS health checks"] },
  "aws:ec2/eip:Eip": { lines: ["fixed public IPv4 addresses", "answers to the internet"] },
  "aws:wafv2/webAcl:WebAcl": {
    lines: ["web firewall", "web firewall rules", "web firewall requests"],
  },
  "aws:wafv2/webAclAssociation:WebAclAssociation": { free: "part of the firewall" },
};

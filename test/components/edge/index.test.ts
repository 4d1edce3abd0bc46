import * as pulumi from "@pulumi/pulumi";
import { describe, expect, test } from "vitest";
import { PRICED } from "../../../components/edge/catalog.ts";
import { Edge, type EdgeArgs } from "../../../components/edge/index.ts";
import { type EdgeNeed, planEdge } from "../../../components/edge/plan.ts";
import type { EdgeSettings } from "../../../components/edge/settings.ts";
import { LIFETIMES } from "../../../components/lifetime.ts";
import { record, settled } from "../../support/pulumi-mocks.ts";
import { context, needOf } from "./needs.ts";

const computed = {
  "aws:acm/certificate:Certificate": (inputs: Record<string, unknown>) => ({
    domainValidationOptions: [
      inputs.domainName as string,
      ...((inputs.subjectAlternativeNames as string[]) ?? []),
    ].map((domainName) => ({
      domainName,
      resourceRecordName: `_x.${domainName.replace("*.", "")}`,
      resourceRecordType: "CNAME",
      resourceRecordValue: `_y.${domainName.replace("*.", "")}.acm-validations.aws`,
    })),
  }),
  "aws:lb/loadBalancer:LoadBalancer": () => ({ dnsName: "lb.example.aws", zoneId: "ZLB" }),
  "aws:ec2/eip:Eip": (_: unknown, name: string) => ({
    publicIp: "198.51.100.7",
    allocationId: `${name}-allocation`,
  }),
  "aws:lb/targetGroup:TargetGroup": () => ({ name: "prod-edge-tg-1234567" }),
};

function build(
  changes: Partial<EdgeNeed> = {},
  args: Partial<EdgeArgs> = {},
  settings: Partial<EdgeSettings> = {},
) {
  const plan = planEdge(needOf(changes, settings));
  return record(
    () =>
      new Edge("prod-edge", {
        context,
        plan,
        vpcId: "vpc-1",
        vpcCidr: "10.0.0.0/16",
        publicSubnetIds: ["subnet-a", "subnet-b", "subnet-c"],
        zoneId: "Z1",
        accessLogsBucket: "logs",
        runtime: true,
        ...args,
      }),
    { computed },
  );
}

const LB = "aws:lb/loadBalancer:LoadBalancer";
const LISTENER = "aws:lb/listener:Listener";
const RULE = "aws:lb/listenerRule:ListenerRule";
const RECORD = "aws:route53/record:Record";
const INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule";

describe("a balancer", () => {
  test("waits long, drops bad headers, resists desync, and passes the client's address on", async () => {
    const { inputs } = (await build()).one(LB);
    expect(inputs).toMatchObject({
      loadBalancerType: "application",
      internal: false,
      subnets: ["subnet-a", "subnet-b", "subnet-c"],
      securityGroups: ["prod-edge-sg-id"],
      idleTimeout: 3_600,
      dropInvalidHeaderFields: true,
      desyncMitigationMode: "defensive",
      xffHeaderProcessingMode: "append",
      accessLogs: { bucket: "logs", enabled: true },
      preserveHostHeader: true,
      enableWafFailOpen: true,
      enableDeletionProtection: true,
      tags: { fleet: "prod", Name: "prod-edge-lb" },
    });
    expect(inputs.name).toBeUndefined();
  });

  test("can be deleted where nothing is protected", async () => {
    const staging = { ...context, lifetime: LIFETIMES.staging };
    const { inputs } = (await build({}, { context: staging })).one(LB);
    expect(inputs.enableDeletionProtection).toBe(false);
  });

  test("probes readiness as the contract says and gives leaving routers a drain's time", async () => {
    const { inputs } = (await build()).one("aws:lb/targetGroup:TargetGroup");
    expect(inputs).toMatchObject({
      vpcId: "vpc-1",
      targetType: "ip",
      port: 18_789,
      protocol: "HTTP",
      loadBalancingAlgorithmType: "least_outstanding_requests",
      deregistrationDelay: 330,
      stickiness: { enabled: false, type: "lb_cookie" },
      healthCheck: {
        path: "/readyz",
        matcher: "200",
        interval: 5,
        timeout: 2,
        healthyThreshold: 2,
        unhealthyThreshold: 2,
        port: "traffic-port",
      },
    });
    // AWS takes a slow start with other algorithms only.
    expect(inputs.slowStart).toBeUndefined();
  });

  test("redirects to HTTPS and forwards everything else to the routers", async () => {
    const made = await build();
    expect(made.one(LISTENER, "prod-edge-http").inputs.defaultActions).toEqual([
      { type: "redirect", redirect: { protocol: "HTTPS", port: "443", statusCode: "HTTP_301" } },
    ]);
    expect(made.one(LISTENER, "prod-edge-https").inputs).toMatchObject({
      port: 443,
      protocol: "HTTPS",
      sslPolicy: "ELBSecurityPolicy-TLS13-1-2-Res-2021-06",
      defaultActions: [
        {
          type: "forward",
          targetGroupArn: "arn:aws:lb:eu-central-1:123456789012:prod-edge-tg",
        },
      ],
    });
  });

  test("answers 404 for what is for inside, before anything else", async () => {
    const made = await build();
    const { inputs } = made.one(RULE);
    expect(inputs.priority).toBe(1);
    expect(inputs.conditions).toEqual([
      { pathPattern: { values: ["/metrics", "/api/v1/metrics", "/internal/*"] } },
    ]);
    const [action] = inputs.actions;
    expect(action.type).toBe("fixed-response");
    expect(action.fixedResponse).toMatchObject({
      statusCode: "404",
      contentType: "application/json",
    });
    expect(JSON.parse(action.fixedResponse.messageBody).error.code).toBe("not_found");
    expect(inputs.listenerArn).toContain("prod-edge-https");
  });

  test("says no_fleet in our own form of errors while no routers run", async () => {
    const made = await build({}, { runtime: false });
    const [action] = made.one(LISTENER, "prod-edge-https").inputs.defaultActions;
    expect(action.type).toBe("fixed-response");
    expect(action.fixedResponse.statusCode).toBe("503");
    expect(JSON.parse(action.fixedResponse.messageBody)).toEqual({
      error: {
        code: "no_fleet",
        message: expect.any(String),
        retryable: true,
        requestId: expect.any(String),
      },
    });
    expect(action.fixedResponse.messageBody.length).toBeLessThanOrEqual(1_024);
  });

  test("without a domain speaks HTTP, with the same rules, and asks for no certificate", async () => {
    const made = await build({ domain: undefined, tlsRequired: false }, {});
    expect(made.of(LISTENER).map(({ name }) => name)).toEqual(["prod-edge-http"]);
    expect(made.one(LISTENER).inputs.defaultActions[0].type).toBe("forward");
    expect(made.one(RULE).inputs.listenerArn).toContain("prod-edge-http");
    expect(made.of("aws:acm/certificate:Certificate")).toEqual([]);
    expect(made.of(RECORD)).toEqual([]);
    expect(made.of(INGRESS).map(({ inputs }) => inputs.fromPort)).toEqual([80]);
    expect(await settled(made.value.endpoint)).toBe("http://lb.example.aws");
  });

  test("is open to whom the settings say, on two ports, and talks to routers only", async () => {
    const publicTo = ["203.0.113.0/24", "198.51.100.7/32"];
    const made = await build({}, {}, { publicTo });
    const open = made
      .of(INGRESS)
      .map(({ inputs }) => [inputs.fromPort, inputs.toPort, inputs.cidrIpv4]);
    expect(open.sort()).toEqual([
      [443, 443, "198.51.100.7/32"],
      [443, 443, "203.0.113.0/24"],
      [80, 80, "198.51.100.7/32"],
      [80, 80, "203.0.113.0/24"],
    ]);
    const egress = made.one("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule").inputs;
    expect(egress).toMatchObject({
      ipProtocol: "tcp",
      fromPort: 18_789,
      toPort: 18_789,
      cidrIpv4: "10.0.0.0/16",
    });
  });

  test("gives out what others compose with", async () => {
    const { value } = await build();
    expect(await settled(value.endpoint)).toBe("https://chat.example.com");
    expect(await settled(value.dnsName)).toBe("lb.example.aws");
    expect(await settled(value.targetGroupName as pulumi.Output<string>)).toBe(
      "prod-edge-tg-1234567",
    );
    expect(value.addresses).toEqual({});
  });
});

describe("a certificate", () => {
  const names = { alternativeNames: ["*.chat.example.com", "www.chat.example.com"] };

  test("is made before the old one goes, and is used only once it is valid", async () => {
    const made = await build();
    expect(made.one("aws:acm/certificate:Certificate").inputs).toMatchObject({
      domainName: "chat.example.com",
      validationMethod: "DNS",
    });
    expect(made.one("aws:acm/certificate:Certificate").options.deleteBeforeReplace).toBe(false);
    const validated = made.one("aws:acm/certificateValidation:CertificateValidation");
    expect(made.one(LISTENER, "prod-edge-https").dependencies).toContain(validated.urn);
  });

  test("has one validation record for each distinct name", async () => {
    const made = await build({}, {}, names);
    const records = made.of(RECORD).filter(({ inputs }) => inputs.type === "CNAME");
    expect(records.map(({ inputs }) => inputs.name).sort()).toEqual([
      "_x.chat.example.com",
      "_x.www.chat.example.com",
    ]);
    const validation = made.one("aws:acm/certificateValidation:CertificateValidation");
    for (const { urn } of records) expect(validation.dependencies).toContain(urn);
  });

  test("every name leads to the balancer, over both kinds of addresses", async () => {
    const made = await build({}, {}, names);
    const aliases = made.of(RECORD).filter(({ inputs }) => inputs.aliases);
    expect(aliases.map(({ inputs }) => `${inputs.type} ${inputs.name}`).sort()).toEqual([
      "A *.chat.example.com",
      "A chat.example.com",
      "A www.chat.example.com",
      "AAAA *.chat.example.com",
      "AAAA chat.example.com",
      "AAAA www.chat.example.com",
    ]);
    for (const { inputs } of aliases) {
      expect(inputs.aliases).toEqual([
        { name: "lb.example.aws", zoneId: "ZLB", evaluateTargetHealth: true },
      ]);
      expect(inputs.ttl).toBeUndefined();
    }
  });
});

describe("a firewall", () => {
  test("stands before the balancer, answers in our form, and shows nobody's words", async () => {
    const made = await build();
    const { inputs } = made.one("aws:wafv2/webAcl:WebAcl");
    expect(inputs.scope).toBe("REGIONAL");
    expect(inputs.defaultAction).toEqual({ allow: {} });
    for (const { content } of inputs.customResponseBodies) {
      expect(JSON.parse(content).error.code).toMatch(/^(rate_limited|forbidden)$/);
    }
    const visible = [inputs, ...inputs.rules].map((each) => each.visibilityConfig);
    expect(visible.every((each) => each.sampledRequestsEnabled === false)).toBe(true);
    expect(made.one("aws:wafv2/webAclAssociation:WebAclAssociation").inputs).toEqual({
      resourceArn: "arn:aws:lb:eu-central-1:123456789012:prod-edge-lb",
      webAclArn: "arn:aws:wafv2:eu-central-1:123456789012:prod-edge-waf",
    });
  });

  test("lets AWS's groups only label", async () => {
    const { rules } = (await build()).one("aws:wafv2/webAcl:WebAcl").inputs;
    // biome-ignore lint/suspicious/noExplicitAny: inputs as a provider gets them
    const groups = rules.filter((rule: any) => rule.statement.managedRuleGroupStatement);
    expect(groups).toHaveLength(4);
    for (const rule of groups) {
      expect(rule.action).toBeUndefined();
      expect(rule.overrideAction).toEqual({ count: {} });
      for (const each of rule.statement.managedRuleGroupStatement.ruleActionOverrides) {
        expect(each.actionToUse).toEqual({ count: {} });
      }
    }
  });

  test("counts requests of a token by its header, and of an address by itself", async () => {
    const { rules } = (await build()).one("aws:wafv2/webAcl:WebAcl").inputs;
    expect(rules[0]).toMatchObject({
      name: "rate-per-token",
      action: { block: { customResponse: { responseCode: 429 } } },
      statement: {
        rateBasedStatement: {
          limit: 120_000,
          evaluationWindowSec: 300,
          aggregateKeyType: "CUSTOM_KEYS",
          customKeys: [
            {
              header: {
                name: "authorization",
                textTransformations: [{ priority: 0, type: "NONE" }],
              },
            },
          ],
        },
      },
    });
    expect(rules[1].statement.rateBasedStatement).toMatchObject({ aggregateKeyType: "IP" });
    expect(rules[1].statement.rateBasedStatement.customKeys).toBeUndefined();
  });

  test("is absent where the plan has none", async () => {
    const made = await build({ waf: false });
    expect(made.of("aws:wafv2/webAcl:WebAcl")).toEqual([]);
    expect(made.of("aws:wafv2/webAclAssociation:WebAclAssociation")).toEqual([]);
    expect(made.value.wafArn).toBeNull();
  });
});

test("records of every front can stand beside each other, so that one can follow another", async () => {
  const fronts = [
    await build({ target: "ec2", waf: false }),
    await build({ target: "ec2", front: "dns", waf: false }),
  ];
  const records = fronts
    .flatMap((made) => made.of(RECORD))
    .filter(({ inputs }) => inputs.name === "chat.example.com" && inputs.type === "A");
  const identifiers = records.map(({ inputs }) => inputs.setIdentifier);
  expect(identifiers.sort()).toEqual(["a", "alb", "b", "c"]);
  for (const { inputs } of records) {
    expect(inputs.weightedRoutingPolicies).toEqual([{ weight: 1 }]);
  }
});

describe("hosts that clients reach directly", () => {
  test("have no balancer; each has an address, a check and a record of its own", async () => {
    const made = await build({ target: "ec2", front: "dns", waf: false, nodes: ["a", "b"] });
    expect(made.of(LB)).toEqual([]);
    expect(made.of("aws:ec2/eip:Eip").map(({ name }) => name)).toEqual([
      "prod-edge-address-a",
      "prod-edge-address-b",
    ]);
    expect(made.one("aws:route53/healthCheck:HealthCheck", "prod-edge-check-a").inputs).toEqual({
      type: "HTTPS",
      ipAddress: "198.51.100.7",
      port: 443,
      fqdn: "chat.example.com",
      enableSni: true,
      resourcePath: "/readyz",
      requestInterval: 10,
      failureThreshold: 1,
      tags: { fleet: "prod", Name: "prod-edge-check-a" },
    });
    expect(made.one(RECORD, "prod-edge-a-chat-example-com-b").inputs).toEqual({
      zoneId: "Z1",
      name: "chat.example.com",
      type: "A",
      ttl: 5,
      records: ["198.51.100.7"],
      setIdentifier: "b",
      weightedRoutingPolicies: [{ weight: 1 }],
      healthCheckId: "prod-edge-check-b-id",
    });
    expect(made.value.targetGroupArn).toBeNull();
    expect(Object.keys(made.value.addresses)).toEqual(["a", "b"]);
  });

  test("one host has one record and nothing that checks it", async () => {
    const made = await build({ target: "ec2", front: "address", waf: false, nodes: ["a"] });
    expect(made.of("aws:route53/healthCheck:HealthCheck")).toEqual([]);
    expect(made.one(RECORD).inputs).toEqual({
      zoneId: "Z1",
      name: "chat.example.com",
      type: "A",
      ttl: 5,
      records: ["198.51.100.7"],
      setIdentifier: "a",
      weightedRoutingPolicies: [{ weight: 1 }],
    });
  });

  test.each([
    ["with hosts that have a certificate for it, https", true, "https", [80, 443]],
    ["without anything behind it, http", false, "http", [80]],
  ])("without a domain the endpoint is the address: %s", async (_what, runtime, scheme, ports) => {
    const made = await build(
      {
        target: "ec2",
        front: "address",
        waf: false,
        nodes: ["a"],
        domain: undefined,
        tlsRequired: false,
      },
      { runtime },
    );
    expect(await settled(made.value.endpoint)).toBe(`${scheme}://198.51.100.7`);
    expect(made.of(INGRESS).map(({ inputs }) => inputs.fromPort)).toEqual(ports);
  });
});

test("records go to the zone's own provider, and nothing else does", async () => {
  const plan = planEdge(needOf());
  const made = await record(
    () => {
      class Zone extends pulumi.ProviderResource {
        constructor() {
          super("aws", "zone", {});
        }
      }
      return new Edge("prod-edge", {
        context,
        plan,
        vpcId: "vpc-1",
        vpcCidr: "10.0.0.0/16",
        publicSubnetIds: ["subnet-a", "subnet-b"],
        zoneId: "Z1",
        zoneProvider: new Zone(),
        runtime: true,
      });
    },
    { computed },
  );
  for (const each of made.resources.filter(({ type }) => type.startsWith("aws:"))) {
    expect(each.provider.includes("::zone::"), each.name).toBe(each.type === RECORD);
  }
});

test("a preview registers the same resources, while nothing is known of them", async () => {
  const build = (preview: boolean) =>
    record(
      () =>
        new Edge("prod-edge", {
          context,
          plan: planEdge(needOf({}, { alternativeNames: ["*.chat.example.com"] })),
          vpcId: "vpc-1",
          vpcCidr: "10.0.0.0/16",
          publicSubnetIds: ["subnet-a", "subnet-b"],
          zoneId: "Z1",
          runtime: true,
        }),
      { computed, preview },
    );
  const names = async (preview: boolean) =>
    (await build(preview)).resources.map(({ urn }) => urn).sort();
  expect(await names(true)).toEqual(await names(false));
});

test("every type that can be registered is priced or free with a reason", async () => {
  const all = [
    await build(),
    await build({ target: "ec2", front: "dns", waf: false }),
    await build({ target: "ec2", front: "address", waf: false, nodes: ["a"] }),
  ];
  for (const { type } of all.flatMap(({ resources }) => resources)) {
    if (type !== "pulumi:pulumi:Stack") expect(Object.keys(PRICED)).toContain(type);
  }
});

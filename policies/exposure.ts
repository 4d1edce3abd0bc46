import { FRONT } from "../gateway/contract.ts";
import { type IngressRule, isWide, openTo, rulesOf } from "./ingress.ts";
import { is, refuseUnless, waitUnless } from "./judge.ts";
import type { Policy } from "./policy.ts";
import { at, below, items, json, read, shown, UNKNOWN } from "./read.ts";
import { ingressOf, publicSubnets } from "./relations.ts";
import { allOf, EDGE, fieldsOf, from, pointsTo, TYPE } from "./resources.ts";

/** What the internet may knock at. */
const PUBLIC_PORTS = [80, 443];
const SSH = 22;

const onlyPublicPort = ({ protocol, from: low, to }: IngressRule): boolean =>
  protocol === "tcp" && low === to && PUBLIC_PORTS.includes(low as number);

const covers = ({ protocol, from: low, to }: IngressRule, port: number): boolean =>
  protocol === "-1" ||
  [protocol, low, to].includes(UNKNOWN) ||
  (protocol === "tcp" && Number(low) <= port && port <= Number(to));

export const openIngress: Policy = {
  id: "exposure-open-ingress",
  sentence: "The internet reaches ports 80 and 443 of the way in, and nothing else.",
  severity: "mandatory",
  setting: "edge.publicTo",
  fix: "name who may come in by range or by security group; only the edge's own groups take everybody",
  unknown:
    "A range or port that is not known is refused: nothing here is let in by generated ranges.",
  validateResource({ type, props, urn }, report) {
    for (const rule of rulesOf(type, read(props))) {
      if (rule.source === UNKNOWN) report("ingress from a range that is not known before up");
      else if (isWide(rule.source) && !(below(urn, EDGE) && onlyPublicPort(rule))) {
        report(`${openTo(rule)} from ${shown(rule.source)}`);
      }
    }
  },
};

export const publicSsh: Policy = {
  id: "exposure-ssh",
  sentence: "Nobody reaches SSH from outside: hosts are entered through AWS Systems Manager.",
  severity: "mandatory",
  setting: "ec2",
  fix: "remove the rule; `aws ssm start-session --target <instance>` needs no open port",
  unknown: "A port that is not known could be 22, and is refused.",
  validateResource({ type, props }, report) {
    for (const rule of rulesOf(type, read(props))) {
      if (rule.source !== undefined && covers(rule, SSH) && !isPrivate(rule.source)) {
        report(`${openTo(rule)} from ${shown(rule.source)}, SSH's port 22 among them`);
      }
    }
  },
};

/** Ranges of private networks. Source: RFC 1918, RFC 4193. */
const isPrivate = (range: unknown): boolean =>
  typeof range === "string" &&
  /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|f[cd][0-9a-f]{2}:)/i.test(range);

/** Properties by which stores and hosts name their security groups. */
const GROUPS_OF: Readonly<Record<string, string>> = {
  [TYPE.database]: "vpcSecurityGroupIds",
  "aws:rds/proxy:Proxy": "vpcSecurityGroupIds",
  [TYPE.cache]: "securityGroupIds",
  "aws:efs/mountTarget:MountTarget": "securityGroups",
};

export const storeByAddress: Policy = {
  id: "exposure-store-by-address",
  sentence:
    "Databases, caches and file systems let clients in by security group, never by address.",
  severity: "mandatory",
  setting: "",
  fix: "let the client's security group in instead of a range",
  unknown: "Groups are followed by what properties came from, so that no id needs to be known.",
  validateStack({ resources }, report) {
    for (const store of allOf(resources, ...Object.keys(GROUPS_OF))) {
      const groups = from(store, GROUPS_OF[store.type] as string);
      for (const { rule, holder } of ingressOf(resources, groups)) {
        if (rule.source !== undefined)
          report(`${openTo(rule)} from ${shown(rule.source)} into ${store.name}`, holder.urn);
      }
    }
  },
};

export const hostByAddress: Policy = {
  id: "exposure-host-by-address",
  sentence: "Hosts and cluster nodes take nothing from outside but through the edge's own group.",
  severity: "mandatory",
  setting: "edge",
  fix: "put what must be reached behind the edge, or let a security group in",
  unknown: "Groups are followed by what properties came from, so that no id needs to be known.",
  validateStack({ resources }, report) {
    for (const host of allOf(resources, TYPE.instance, TYPE.launchTemplate)) {
      const cards = from(host, "primaryNetworkInterface").flatMap((card) =>
        from(card, "securityGroups"),
      );
      const groups = [...from(host, "vpcSecurityGroupIds"), ...cards].filter(
        ({ urn }) => !below(urn, EDGE),
      );
      for (const { rule, holder } of ingressOf(resources, groups)) {
        if (rule.source !== undefined)
          report(`${openTo(rule)} from ${shown(rule.source)} to ${host.name}`, holder.urn);
      }
    }
  },
};

export const publicStore: Policy = {
  id: "exposure-public-store",
  sentence: "A database has no public address.",
  severity: "mandatory",
  setting: "database",
  fix: "set publiclyAccessible to false; clients are inside the network",
  unknown: "Refused: nothing generates this.",
  validateResource({ type, props }, report) {
    if (type !== TYPE.database) return;
    const set = at(read(props), "publiclyAccessible");
    refuseUnless(report, "publiclyAccessible", set, is(false, undefined));
  },
};

/** Properties by which stores name where they stand. */
const SUBNETS_OF: Readonly<Record<string, string>> = {
  "aws:rds/subnetGroup:SubnetGroup": "subnetIds",
  "aws:elasticache/subnetGroup:SubnetGroup": "subnetIds",
  "aws:efs/mountTarget:MountTarget": "subnetId",
};

export const storeSubnets: Policy = {
  id: "exposure-store-subnets",
  sentence: "Stores stand in subnets without a way to the internet.",
  severity: "mandatory",
  setting: "network",
  fix: "give the store the network's data subnets",
  unknown: "Routes are followed by what properties came from, so that no id needs to be known.",
  validateStack({ resources }, report) {
    const open = publicSubnets(resources);
    for (const store of allOf(resources, ...Object.keys(SUBNETS_OF))) {
      const bad = from(store, SUBNETS_OF[store.type] as string).filter(({ urn }) => open.has(urn));
      for (const { name } of bad) report(`${name} has a route to an internet gateway`, store.urn);
    }
  },
};

export const publicAddresses: Policy = {
  id: "exposure-public-addresses",
  sentence: "No subnet and no cluster node hands out public addresses by itself.",
  severity: "blocking",
  setting: "network",
  fix: "leave it off; what needs a public address asks for one",
  unknown: "Refused: nothing generates this.",
  validateResource({ type, props }, report) {
    const fields = read(props);
    const off = (what: string, value: unknown) =>
      refuseUnless(report, what, value, is(false, undefined, "false"));
    if (type === TYPE.subnet) off("mapPublicIpOnLaunch", at(fields, "mapPublicIpOnLaunch"));
    if (type === TYPE.nodeClass)
      off("associatePublicIPAddress", at(fields, "spec", "associatePublicIPAddress"));
    if (type === TYPE.launchTemplate)
      for (const card of items(at(fields, "networkInterfaces")))
        off("associatePublicIpAddress", at(card, "associatePublicIpAddress"));
  },
};

export const clusterEndpoint: Policy = {
  id: "exposure-cluster-endpoint",
  sentence: "The Kubernetes API is private, or public to a list of ranges.",
  severity: "mandatory",
  setting: "cluster.access",
  fix: "set cluster.access.allowlist to your ranges, or cluster.access to private",
  unknown: "Refused: a list that is not known could be everybody.",
  validateResource({ type, props }, report) {
    if (type !== TYPE.cluster) return;
    const network = at(read(props), "vpcConfig");
    // AWS opens it where nothing is said.
    const open = at(network, "endpointPublicAccess");
    if (open === false) return;
    if (open === UNKNOWN) return report("vpcConfig.endpointPublicAccess is not known before up");
    const ranges = items(at(network, "publicAccessCidrs"));
    if (ranges.length === 0)
      report("the API is public, and vpcConfig.publicAccessCidrs is not set");
    for (const range of ranges) {
      if (range === UNKNOWN) report("vpcConfig.publicAccessCidrs is not known before up");
      else if (isWide(range)) report(`the API is open to ${shown(range)}`);
    }
  },
};

const CLOSED = [
  "blockPublicAcls",
  "blockPublicPolicy",
  "ignorePublicAcls",
  "restrictPublicBuckets",
];

export const publicBucket: Policy = {
  id: "exposure-public-bucket",
  sentence: "No bucket is public, by list, by policy or by an open block.",
  severity: "mandatory",
  setting: "buckets",
  fix: "keep all four blocks on, and name principals instead of everybody",
  unknown:
    "An unknown block is refused; an unknown policy waits for up, where it is judged before it is set.",
  validateResource(args, report) {
    const { type, props } = args;
    const fields = read(props);
    if (type === "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
      for (const block of CLOSED) refuseUnless(report, block, at(fields, block), is(true));
    if (type.startsWith("aws:s3/bucketAcl"))
      refuseUnless(
        report,
        "acl",
        at(fields, "acl"),
        (acl) => !/^public|authenticated/.test(`${acl}`),
      );
    if (type === TYPE.bucketPolicy)
      waitUnless(args, report, "policy", at(fields, "policy"), (policy) => !letsEverybody(policy));
  },
};

function letsEverybody(policy: unknown): boolean {
  return items(at(json(policy), "Statement")).some((statement) => {
    const who = at(statement, "Principal");
    const everybody = who === "*" || at(who, "AWS") === "*";
    return (
      at(statement, "Effect") === "Allow" && everybody && at(statement, "Condition") === undefined
    );
  });
}

export const bucketClosed: Policy = {
  id: "exposure-bucket-closed",
  sentence: "Every bucket has its public access blocked by a resource of its own.",
  severity: "mandatory",
  setting: "buckets",
  fix: "add a BucketPublicAccessBlock with all four blocks on",
  unknown: "A block belongs to a bucket by what its `bucket` came from.",
  validateStack({ resources }, report) {
    const blocks = allOf(resources, "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock");
    for (const bucket of allOf(resources, TYPE.bucket)) {
      if (!blocks.some((block) => pointsTo(block, "bucket", bucket)))
        report("no BucketPublicAccessBlock", bucket.urn);
    }
  },
};

export const closedPaths: Policy = {
  id: "exposure-closed-paths",
  sentence: "Metrics and internal routes end at the balancer with 404.",
  severity: "mandatory",
  setting: "edge",
  fix: `put a rule before all others that answers 404 for ${FRONT.closedPaths.join(", ")}`,
  unknown:
    "Rules belong to a listener by what `listenerArn` came from; unknown paths close nothing.",
  validateStack({ resources }, report) {
    const rules = allOf(resources, TYPE.listenerRule);
    for (const listener of allOf(resources, TYPE.listener)) {
      if (!letsThrough(fieldsOf(listener))) continue;
      const closed = rules
        .filter((rule) => pointsTo(rule, "listenerArn", listener))
        .map(fieldsOf)
        .filter((rule) => at(rule, "actions", 0, "fixedResponse", "statusCode") === "404")
        .flatMap((rule) => items(at(rule, "conditions")))
        .flatMap((condition) => items(at(condition, "pathPattern", "values")));
      const open = FRONT.closedPaths.filter((path) => !closed.includes(path));
      if (open.length > 0) report(`nothing closes ${open.join(", ")}`, listener.urn);
    }
  },
};

const letsThrough = (listener: unknown): boolean =>
  items(at(listener, "defaultActions")).some(
    (action) => !["redirect"].includes(`${at(action, "type")}`),
  );

export const serviceWayIn: Policy = {
  id: "exposure-service-way-in",
  sentence: "No Kubernetes Service or Ingress opens a way in beside the edge.",
  severity: "blocking",
  setting: "edge",
  fix: "make the Service a ClusterIP; the edge's target group reaches pods directly",
  unknown: "Refused: a type that is not known could open a balancer.",
  validateResource({ type, props }, report) {
    const spec = at(read(props), "spec");
    if (type === "kubernetes:networking.k8s.io/v1:Ingress") report("an Ingress");
    if (type !== "kubernetes:core/v1:Service") return;
    refuseUnless(report, "spec.type", at(spec, "type"), is("ClusterIP", "ExternalName", undefined));
    if (items(at(spec, "externalIPs")).length > 0) report("spec.externalIPs is set");
  },
};

export const EXPOSURE: readonly Policy[] = [
  openIngress,
  publicSsh,
  storeByAddress,
  hostByAddress,
  publicStore,
  storeSubnets,
  publicAddresses,
  clusterEndpoint,
  publicBucket,
  bucketClosed,
  closedPaths,
  serviceWayIn,
];

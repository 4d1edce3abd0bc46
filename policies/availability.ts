import { LABEL, ROUTER_ROLE } from "../gateway/labels.ts";
import { atLeast, is, refuseUnless } from "./judge.ts";
import { podOf, WORKLOADS } from "./pods.ts";
import { factsOf, type Policy } from "./policy.ts";
import { at, entries, items, read, UNKNOWN } from "./read.ts";
import { allOf, fieldsOf, meta, TYPE } from "./resources.ts";

const TWO = 2;

/** Nodes and zones as the plan has them. */
function sizeOf(props: Record<string, unknown>) {
  const fields = read(props);
  return { nodes: at(fields, "nodes"), zones: at(fields, "zones") };
}

export const enoughNodes: Policy = {
  id: "availability-nodes",
  sentence:
    "A fleet in prod has several nodes in two zones or more, unless solo was asked for by name.",
  severity: "blocking",
  setting: "nodes",
  fix: "set nodes to 3, or preset: solo to say that one is meant",
  unknown: "Refused: the plan knows how many nodes there are before anything is made.",
  validateResource(args, report) {
    const { environment, preset, presetSet } = factsOf(args);
    if (args.type !== TYPE.plan || environment !== "prod") return;
    if (presetSet && preset === "solo") return;
    const { nodes, zones } = sizeOf(args.props);
    refuseUnless(report, "the number of nodes", nodes, atLeast(TWO));
    if (zones !== undefined && zones !== null)
      refuseUnless(report, "the number of zones", zones, atLeast(TWO));
  },
};

export const thirdNode: Policy = {
  id: "availability-third-node",
  sentence: "A fleet in prod has three nodes.",
  severity: "advisory",
  setting: "nodes",
  fix: "set nodes to 3: the loss of one then leaves two, and an update never leaves a single one",
  unknown: "Shown: the plan knows how many nodes there are before anything is made.",
  validateResource(args, report) {
    if (args.type !== TYPE.plan || factsOf(args).environment !== "prod") return;
    const { nodes } = sizeOf(args.props);
    if (nodes === UNKNOWN) report("the number of nodes is not known before up");
    if (nodes === TWO)
      report(
        "two nodes: while one is lost or updated the other serves alone, and its loss stops the service",
      );
  },
};

export const storeCopies: Policy = {
  id: "availability-store-copies",
  sentence:
    "From medium up, prod has its database and its cache in two zones, and they fail over by themselves.",
  severity: "blocking",
  setting: "preset",
  fix: "turn multiAz and automatic failover on",
  unknown: "Refused: nothing generates these.",
  validateResource(args, report) {
    const { environment, copies } = factsOf(args);
    if (environment !== "prod" || !copies) return;
    const fields = read(args.props);
    const must = (name: string) => refuseUnless(report, name, at(fields, name), is(true));
    if (args.type === TYPE.database) must("multiAz");
    if (args.type === TYPE.cache) {
      must("automaticFailoverEnabled");
      must("multiAzEnabled");
    }
  },
};

export const backups: Policy = {
  id: "availability-backups",
  sentence: "In prod stores are backed up every day, and a database leaves a last snapshot.",
  severity: "blocking",
  setting: "environment",
  fix: "keep backups for 7 days at least, snapshots of the cache for one, and skipFinalSnapshot off",
  unknown: "Refused: nothing generates these.",
  validateResource(args, report) {
    if (factsOf(args).environment !== "prod") return;
    const fields = read(args.props);
    const must = (name: string, ok: (value: unknown) => boolean) =>
      refuseUnless(report, name, at(fields, name), ok);
    if (args.type === TYPE.database) {
      must("backupRetentionPeriod", atLeast(7));
      must("skipFinalSnapshot", is(false, undefined));
    }
    if (args.type === TYPE.cache) must("snapshotRetentionLimit", atLeast(1));
    if (args.type === "aws:efs/backupPolicy:BackupPolicy")
      refuseUnless(
        report,
        "backupPolicy.status",
        at(fields, "backupPolicy", "status"),
        is("ENABLED"),
      );
    if (args.type === "aws:s3/bucketVersioning:BucketVersioning") {
      const status = at(fields, "versioningConfiguration", "status");
      refuseUnless(report, "versioningConfiguration.status", status, is("Enabled"));
    }
  },
};

/** Types with a switch of AWS against deletion, and where it is. */
const SWITCHES: Readonly<Record<string, string>> = {
  [TYPE.database]: "deletionProtection",
  [TYPE.cluster]: "deletionProtection",
  "aws:lb/loadBalancer:LoadBalancer": "enableDeletionProtection",
};
/** Types that hold what cannot be made again. */
const PROTECTED: readonly string[] = [
  TYPE.database,
  TYPE.cache,
  TYPE.files,
  TYPE.bucket,
  "aws:kms/key:Key",
  "aws:ebs/volume:Volume",
  "openclaw:index:Fleet",
];

export const deletionProtection: Policy = {
  id: "availability-deletion-protection",
  sentence:
    "In prod neither AWS nor Pulumi deletes what holds data before a person lifted the protection.",
  severity: "blocking",
  setting: "environment",
  fix: "turn deletion protection on, and give the resource the option protect",
  unknown: "A switch that is not known is refused; the option is always known.",
  validateResource(args, report) {
    const { type, props, opts } = args;
    if (factsOf(args).environment !== "prod") return;
    const name = SWITCHES[type];
    if (name) refuseUnless(report, name, at(read(props), name), is(true));
    if (PROTECTED.includes(type) && !opts.protect) report("the option protect is not set");
  },
};

export const onDemand: Policy = {
  id: "availability-gateways-on-demand",
  sentence: "Gateways never run on spot machines.",
  severity: "mandatory",
  setting: "karpenter.gateways",
  fix: "let the pool take on-demand machines only; spot is for workers",
  unknown: "Refused: nothing generates this.",
  validateResource({ type, props }, report) {
    const fields = read(props);
    if (type === TYPE.nodePool) {
      const template = at(fields, "spec", "template");
      const pool = at(template, "metadata", "labels", "openclaw-fleet/pool");
      if (pool !== "gateways" && pool !== UNKNOWN) return;
      const kinds = items(at(template, "spec", "requirements"))
        .filter((one) => at(one, "key") === "karpenter.sh/capacity-type")
        .flatMap((one) => items(at(one, "values")));
      if (kinds.length === 0)
        report("no requirement for karpenter.sh/capacity-type: spot is taken while there is any");
      for (const kind of kinds)
        refuseUnless(report, "capacity-type", kind, is("on-demand", "reserved"));
    }
    if (type === TYPE.nodeGroup)
      refuseUnless(report, "capacityType", at(fields, "capacityType"), is("ON_DEMAND", undefined));
    if (type === TYPE.instance) {
      const market = at(fields, "instanceMarketOptions", "marketType");
      refuseUnless(report, "instanceMarketOptions.marketType", market, is(undefined));
    }
    if (type.startsWith("aws:ec2/spot")) report(`a ${type.split(":").at(-1)}`);
  },
};

export const routerBudgets: Policy = {
  id: "availability-router-budgets",
  sentence: "Routers have a PodDisruptionBudget: an update of nodes never stops all of them.",
  severity: "blocking",
  setting: "nodes",
  fix: "add a PodDisruptionBudget whose selector matches the routers' labels",
  unknown: "Labels that are not known match nothing.",
  validateStack({ resources }, report) {
    const budgets = allOf(resources, "kubernetes:policy/v1:PodDisruptionBudget").map(fieldsOf);
    for (const workload of allOf(resources, ...WORKLOADS)) {
      const fields = fieldsOf(workload);
      const labels = at(podOf(workload.type, fields), "metadata", "labels");
      if (at(labels, LABEL.role) !== ROUTER_ROLE) continue;
      const covered = budgets.some((budget) => {
        const wanted = entries(at(budget, "spec", "selector", "matchLabels"));
        const here = meta(budget, "namespace") === meta(fields, "namespace");
        return (
          here && wanted.length > 0 && wanted.every(([key, value]) => at(labels, key) === value)
        );
      });
      if (!covered) report("no PodDisruptionBudget matches its pods", workload.urn);
    }
  },
};

export const supportType: Policy = {
  id: "availability-support-type",
  sentence:
    "Clusters and databases move on when standard support ends, instead of costing six times as much.",
  severity: "blocking",
  setting: "cluster.version",
  fix: "set upgradePolicy.supportType STANDARD, and extended support of the database disabled",
  unknown: "Refused: nothing generates these.",
  validateResource({ type, props }, report) {
    const fields = read(props);
    if (type === TYPE.cluster) {
      const kind = at(fields, "upgradePolicy", "supportType");
      refuseUnless(report, "upgradePolicy.supportType", kind, is("STANDARD"));
    }
    if (type === TYPE.database) {
      const kind = at(fields, "engineLifecycleSupport");
      refuseUnless(
        report,
        "engineLifecycleSupport",
        kind,
        is("open-source-rds-extended-support-disabled"),
      );
    }
  },
};

export const AVAILABILITY: readonly Policy[] = [
  enoughNodes,
  thirdNode,
  storeCopies,
  backups,
  deletionProtection,
  onDemand,
  routerBudgets,
  supportType,
];

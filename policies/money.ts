import { ENVIRONMENT_TAG, FLEET_TAG, INSTANCE_FAMILIES } from "./catalog.ts";
import { is, refuseUnless } from "./judge.ts";
import { factsOf, type Policy } from "./policy.ts";
import { at, items, read, shown, UNKNOWN } from "./read.ts";
import { allOf, TYPE } from "./resources.ts";
import { TAGGED } from "./tagged.ts";

const usd = (amount: unknown) =>
  typeof amount === "number" ? `${amount.toFixed(2)} USD` : shown(amount);

export const budget: Policy = {
  id: "money-budget",
  sentence:
    "A plan costs no more a month than its budget, in any environment, judged before the first resource is made.",
  severity: "mandatory",
  setting: "budgetMonthlyUsd",
  fix: "raise the budget, or choose a smaller preset; ./fleet plan shows what costs how much",
  unknown: "Refused: the plan knows its cost before anything is made.",
  validateResource(args, report) {
    const most = factsOf(args).budgetMonthlyUsd;
    if (args.type !== TYPE.plan || most === undefined) return;
    const cost = at(read(args.props), "monthlyUsd");
    if (cost === null || cost === undefined)
      return report(
        `a budget of ${usd(most)}, and no prices (of the region, or sizes.hostMonthlyUsd): nobody knows what it costs`,
      );
    if (cost === UNKNOWN) return report("the plan's cost is not known before up");
    if (Number(cost) > most) report(`${usd(cost)} a month, and the budget is ${usd(most)}`);
  },
};

export const gpuLimit: Policy = {
  id: "money-gpu-limit",
  sentence: "Nodes with GPUs are made up to a number that the stack says, and never beyond it.",
  severity: "mandatory",
  setting: "gpu.limit",
  fix: "set gpu.limit; the pool takes it as its limit of nvidia.com/gpu",
  unknown: "Refused: nothing generates this.",
  validateResource(args, report) {
    if (args.type !== TYPE.nodePool) return;
    const spec = at(read(args.props), "spec");
    const wants = items(at(spec, "template", "spec", "requirements"));
    const isGpu = (family: unknown) => /^(g\d|p\d|trn|inf)/.test(`${String(family)}`);
    const gpu = wants.some(
      (one) => `${String(at(one, "key"))}`.includes("gpu") || items(at(one, "values")).some(isGpu),
    );
    if (!gpu) return;
    const most = factsOf(args).gpus;
    const limit = at(spec, "limits", "nvidia.com/gpu");
    if (limit === undefined) return report("no limit of nvidia.com/gpu");
    refuseUnless(report, "limits[nvidia.com/gpu]", limit, (n) => Number(n) <= most);
  },
};

/** Family of a type: `m7g` of `m7g.large`, `db.m7g.large`, `cache.m7g.large`. */
function familyOf(type: unknown): string {
  const parts = `${String(type)}`.replace(/^(db|cache)\./, "").split(".");
  return parts[0] ?? "";
}

export const families: Policy = {
  id: "money-instance-families",
  sentence: "Machines are of the families that the project knows the price of.",
  severity: "blocking",
  setting: "policies.instanceFamilies",
  fix: "use a listed family, or add this one to policies.instanceFamilies",
  unknown: "Refused: the plan chooses types before anything is made.",
  validateResource(args, report) {
    const fields = read(args.props);
    const known = [...INSTANCE_FAMILIES, ...factsOf(args).instanceFamilies];
    const typed: readonly unknown[] =
      {
        [TYPE.instance]: [at(fields, "instanceType")],
        [TYPE.database]: [at(fields, "instanceClass")],
        [TYPE.cache]: [at(fields, "nodeType")],
        [TYPE.nodeGroup]: items(at(fields, "instanceTypes")),
      }[args.type] ?? [];
    for (const type of typed)
      refuseUnless(report, "the type of machine", type, (one) => known.includes(familyOf(one)));
    if (args.type !== TYPE.nodePool) return;
    for (const want of items(at(fields, "spec", "template", "spec", "requirements")))
      if (at(want, "key") === "karpenter.k8s.aws/instance-family" && at(want, "operator") === "In")
        for (const family of items(at(want, "values")))
          refuseUnless(report, "instance-family", family, is(...known));
  },
};

export const naturalWays: Policy = {
  id: "money-nat-and-endpoints",
  sentence:
    "What costs by the hour for each zone is worth it: NAT gateways and interface endpoints.",
  severity: "advisory",
  setting: "network.natGateways, network.interfaceEndpoints",
  fix: "outside of prod one NAT gateway and no interface endpoints serve as well",
  unknown: "They are counted by type, which is always known.",
  validateStack(args, report) {
    if (factsOf(args).environment === "prod") return;
    const nat = allOf(args.resources, "aws:ec2/natGateway:NatGateway");
    if (nat.length > 1)
      report(`${nat.length} NAT gateways in ${factsOf(args).environment}`, nat[0]?.urn);
    const endpoints = allOf(args.resources, "aws:ec2/vpcEndpoint:VpcEndpoint").filter(
      (one) => at(read(one.props), "vpcEndpointType") === "Interface",
    );
    if (endpoints.length > 0)
      report(
        `${endpoints.length} interface endpoints in ${factsOf(args).environment}`,
        endpoints[0]?.urn,
      );
  },
};

/** Tags that a resource of this stack carries, with their values. */
function wantedTags(args: Parameters<typeof factsOf>[0]): Record<string, string> {
  const { stack, environment, tags } = factsOf(args);
  return { ...tags, [FLEET_TAG]: stack, [ENVIRONMENT_TAG]: environment };
}

export const tags: Policy = {
  id: "money-tags",
  sentence: "Everything that can carry the fleet's tags does: the bill can be told apart by them.",
  severity: "blocking",
  setting: "tags",
  fix: "give the resource the context's tags; the pack adds those that are missing",
  unknown: "A value that is not known is a value; a whole set that is not known is refused.",
  remediateResource(args) {
    if (!TAGGED.has(args.type)) return undefined;
    const fields = read(args.props);
    const have = at(fields, "tags");
    if (have === UNKNOWN) return undefined;
    const missing = Object.entries(wantedTags(args)).filter(([key]) => at(have, key) === undefined);
    if (missing.length === 0) return undefined;
    // Written into the SDK's own object: unknown and secret values beside them stay what they are.
    if (have === undefined) args.props.tags = Object.fromEntries(missing);
    else for (const [key, value] of missing) args.props.tags[key] = value;
    return args.props;
  },
  validateResource(args, report) {
    if (!TAGGED.has(args.type)) return;
    const have = at(read(args.props), "tags");
    if (have === UNKNOWN) return report("tags are not known before up");
    const missing = Object.keys(wantedTags(args)).filter((key) => at(have, key) === undefined);
    if (missing.length > 0) report(`no tag ${missing.join(", ")}`);
  },
};

export const MONEY: readonly Policy[] = [budget, gpuLimit, families, naturalWays, tags];

import { monthlyUsd, PRICE_REGIONS, type Tier } from "../components/cost.ts";
import { ConfigError, type Fault } from "../components/errors.ts";
import { canaryReaches } from "../components/prometheus/front.ts";
import { tellsSomebody } from "../components/watch/receivers.ts";
import type { AwsFacts } from "./aws/facts.ts";
import { type AwsPlan, isAwsTarget, planAws } from "./aws/plan.ts";
import { checkMemory } from "./hosts/checks.ts";
import { frontNeed } from "./hosts/front-need.ts";
import { planHosts } from "./hosts/plan.ts";
import type { AgentPlace } from "./placement.ts";
import { type FleetPlan, planFleet } from "./presets.ts";
import type { Settings } from "./settings.ts";

/** Everything that settings decide, before anything is made. */
export interface StackPlan {
  readonly fleet: FleetPlan;
  /** What is made or used besides, tier by tier; empty on this machine. */
  readonly tiers: readonly Tier[];
  /** Null: prices are not known. */
  readonly cost: {
    readonly monthlyUsd: number;
    /** Where the prices are from and what is not in them. */
    readonly basis: string;
  } | null;
  readonly budgetMonthlyUsd: number | undefined;
  /** What a person should know, without being an error. */
  readonly notes: readonly string[];
  /** What the components on AWS are told; null on other targets. */
  readonly aws: AwsPlan | null;
}

/**
 * Plans the stack `name` of any target. Pure. `recorded` is where agents live already; `facts` is what
 * was asked of AWS, or nothing: then a plan needs no credentials.
 * Throws ConfigError with every fault that one step of the planning finds.
 */
export function planStack(
  name: string,
  settings: Settings,
  recorded: Readonly<Record<string, AgentPlace>> = {},
  facts?: AwsFacts,
): StackPlan {
  const { budgetMonthlyUsd, target } = settings;
  checkBucket(settings);
  if (isAwsTarget(target)) {
    const aws = planAws(name, { ...settings, target }, recorded, facts);
    const { fleet, tiers, cost } = aws;
    return judged(settings, { fleet, tiers, cost, budgetMonthlyUsd, notes: aws.notes, aws });
  }
  const fleet = planFleet(settings, recorded);
  const bare = { fleet, budgetMonthlyUsd, aws: null };
  if (target === "local") {
    const basis = "The machine is there already.";
    return { ...bare, tiers: [], cost: { monthlyUsd: 0, basis }, notes: [] };
  }
  // Sizes alone can be planned before there are any.
  const told = settings.hosts.length === 0 ? [] : untold(settings, fleet);
  const tier = hostTier(fleet, settings.sizes.hostMonthlyUsd);
  if (settings.sizes.hostMonthlyUsd === undefined) {
    const wish = "set sizes.hostMonthlyUsd to what one of your hosts costs, to see a sum";
    return judged(settings, { ...bare, tiers: [tier], cost: null, notes: [...told, wish] });
  }
  const basis = "The price of a host is your own; traffic is not in it.";
  const cost = { monthlyUsd: monthlyUsd(tier.costs), basis };
  return judged(settings, { ...bare, tiers: [tier], cost, notes: told });
}

/** Whoever names a bucket counts on what is in it. */
function checkBucket({ target, replication: { s3 } }: Settings): void {
  if (s3 === undefined || target === "hosts") return;
  const instead = target === "local" ? "keeps no replicas" : "makes a bucket of its own";
  const problem = `is set, and target ${target} ${instead}: nothing would go there`;
  throw new ConfigError("replication.s3", problem, "Leave it out, or take target hosts");
}

/** Alerts that wake nobody, and a canary that is not there. Throws ConfigError with what cannot be on the hosts as they are listed. */
function untold(settings: Settings, fleet: FleetPlan): string[] {
  const { watching, front } = planHosts(settings, fleet);
  checkMemory(settings, fleet);
  if (watching === null) return [];
  const { alerts, canary } = settings.monitoring;
  const deaf = front !== null && canary.enabled && !canaryReaches(frontNeed(front));
  return [
    ...(deaf
      ? [`monitoring.canary: left out, for there is no URL that it could ask: ${NO_URL}`]
      : []),
    ...(tellsSomebody(alerts) ? [] : [nobody(watching)]),
  ];
}

const NO_URL = "domain is missing behind your balancers, or is a wildcard";

const nobody = (watching: string) =>
  `monitoring.alerts names nobody: alerts are seen in Alertmanager on ${watching} only (./fleet docs monitoring)`;

/** Existing machines, at the person's own price. */
function hostTier(fleet: FleetPlan, priceUsd: number | undefined): Tier {
  const gib = (fleet.node.memoryMiB / 1024).toFixed(1);
  const quantity = fleet.nodes.length;
  return {
    tier: "hosts",
    size: `${gib} GiB, ${fleet.node.cores} cores`,
    count: quantity,
    why: `${fleet.loss.shardsPerNode} shards a node once ${fleet.loss.nodesLost} is lost`,
    survives: fleet.loss.survives
      ? "the loss of one host"
      : quantity === 1
        ? "no loss of its host"
        : "no loss of the one host that votes",
    costs: priceUsd === undefined ? [] : [{ what: "hosts", quantity, unit: "host", priceUsd }],
  };
}

/** What a plan's cost is refused for, in every environment; null: nothing. Policy `money-budget` judges alike. */
export function overBudget({
  fleet,
  cost,
  budgetMonthlyUsd: budget,
}: Pick<StackPlan, "fleet" | "cost" | "budgetMonthlyUsd">): Fault | null {
  if (budget === undefined) return null;
  const setting = "budgetMonthlyUsd";
  if (cost === null) {
    const priced =
      fleet.target === "hosts"
        ? "Set sizes.hostMonthlyUsd"
        : `Take a region with prices (${PRICE_REGIONS.join(", ")})`;
    const problem = `is ${budget}, and nobody knows what the plan costs`;
    return { setting, problem, remedy: `${priced}, or leave it out` };
  }
  if (cost.monthlyUsd <= budget) return null;
  return {
    setting,
    problem: `is ${budget}, and the plan costs ${cost.monthlyUsd.toFixed(2)} US dollars a month`,
    remedy: "Raise it, choose a smaller preset, or lower users; `fleet plan` shows each tier",
  };
}

/**
 * The plan, with what is wrong with its cost said: `up` and `preview` refuse it by the policies. In prod it is refused
 * here, since a plain `pulumi up` may have none.
 */
function judged({ environment }: Settings, plan: StackPlan): StackPlan {
  const fault = overBudget(plan);
  if (fault === null) return plan;
  if (environment === "prod") throw new ConfigError([fault]);
  const note = `budgetMonthlyUsd ${fault.problem}: ./fleet preview and up refuse it`;
  return { ...plan, notes: [...plan.notes, note] };
}

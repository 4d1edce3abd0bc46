import {
  ANONYMOUS_IPS,
  CORE_RULES,
  HOSTING_PROVIDERS,
  IP_REPUTATION,
  KNOWN_BAD_INPUTS,
  type ManagedGroup,
  type ManagedRule,
  NO_USER_AGENT,
  REQUESTS_PER_TURN,
  STATEMENT_CAPACITY,
  WAF,
} from "./waf-catalog.ts";

/** One rule of the firewall, in the order of `priority`. */
export type WafRule = {
  readonly name: string;
  readonly priority: number;
} & (
  | {
      /** Lets a group of AWS's label requests; nothing is blocked here. */
      readonly kind: "label";
      readonly group: string;
      /** Every rule of the group that is known: each counts, so that none ends the group early. */
      readonly counted: readonly string[];
      /** Paths that the group never sees, as a regular expression; null: it sees all. */
      readonly notOn: string | null;
    }
  | {
      /** Refuses with 403 what carries one of these labels. */
      readonly kind: "block";
      readonly labels: readonly string[];
    }
  | {
      /** Refuses with 429 what comes too often. */
      readonly kind: "rate";
      readonly per: "token" | "address";
      /** Requests in `windowSeconds`. */
      readonly limit: number;
      readonly windowSeconds: number;
    }
);

export interface WafPlan {
  readonly rules: readonly WafRule[];
  /** Capacity units that the rules take. */
  readonly capacity: number;
}

export interface WafNeed {
  /** Turns a second that the fleet answers. */
  readonly turnsPerSecond: number;
  readonly blockHostingProviders: boolean;
  readonly requestsPerToken?: number | undefined;
  readonly requestsPerAddress?: number | undefined;
}

const GROUPS = [IP_REPUTATION, ANONYMOUS_IPS, CORE_RULES, KNOWN_BAD_INPUTS];

/** Webhooks come from data centers: Slack's, Telegram's and the like. An agent's prefix may stand before. */
const WEBHOOKS = "^(/agents/[^/]+)?/(channels|hooks)/";

/** Where people's words stand. `GET /api/v1/chat/stream` carries them in its query. */
const WORDS: readonly ManagedRule["looksAt"][] = ["body", "query"];

/**
 * A firewall that never judges words. Groups of AWS's only label, also with rules that are added to
 * them later; blocked are labels on a list of ours, none of which comes from a body or a query.
 */
export function planWaf(need: WafNeed): WafPlan {
  const fleet = Math.ceil(need.turnsPerSecond * WAF.rateWindowSeconds * REQUESTS_PER_TURN);
  const limit = Math.min(WAF.rateLimit.max, Math.max(WAF.rateLimit.min, fleet));
  const rate = (per: "token" | "address", set: number | undefined) => ({
    name: `rate-per-${per}`,
    kind: "rate" as const,
    per,
    limit: set ?? limit,
    windowSeconds: WAF.rateWindowSeconds,
  });
  const labelled = GROUPS.map((group) => ({
    name: group.name,
    kind: "label" as const,
    group: group.name,
    counted: group.rules.map(({ name }) => name),
    notOn: group === ANONYMOUS_IPS ? WEBHOOKS : null,
  }));
  const labels = GROUPS.flatMap((group) =>
    group.rules.filter((rule) => blocks(rule, need)).map((rule) => labelOf(group, rule)),
  );
  const rules = [
    rate("token", need.requestsPerToken),
    rate("address", need.requestsPerAddress),
    ...labelled,
    { name: "refuse-labelled", kind: "block" as const, labels },
  ].map((rule, priority) => ({ ...rule, priority }));
  return { rules, capacity: capacityOf(labels.length) };
}

/** A label, and what the rule that leaves it looks at; undefined for a label of no known rule. */
export function originOf(label: string): ManagedRule | undefined {
  for (const group of GROUPS) {
    const found = group.rules.find((rule) => labelOf(group, rule) === label);
    if (found) return found;
  }
  return undefined;
}

function blocks(rule: ManagedRule, need: WafNeed): boolean {
  if (WORDS.includes(rule.looksAt)) return false;
  // Webhooks and small programs send none.
  if (rule.name === NO_USER_AGENT) return false;
  // AWS itself only counts it: whole networks of ordinary people are on it while an attack lasts.
  if (rule.name === "AWSManagedIPDDoSList") return false;
  return rule.name !== HOSTING_PROVIDERS || need.blockHostingProviders;
}

const labelOf = (group: ManagedGroup, rule: ManagedRule) => `${group.labels}${rule.label}`;

function capacityOf(labels: number): number {
  const groups = GROUPS.reduce((sum, group) => sum + group.capacity, 0);
  const { label, regex, rate, rateKey } = STATEMENT_CAPACITY;
  return groups + labels * label + regex + rate + rateKey + rate;
}

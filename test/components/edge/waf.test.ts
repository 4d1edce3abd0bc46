import fc from "fast-check";
import { expect, test } from "vitest";
import { originOf, planWaf, type WafPlan } from "../../../components/edge/waf.ts";
import {
  ANONYMOUS_IPS,
  CORE_RULES,
  IP_REPUTATION,
  KNOWN_BAD_INPUTS,
  WAF,
} from "../../../components/edge/waf-catalog.ts";

const need = { turnsPerSecond: 100, blockHostingProviders: false };
const GROUPS = [IP_REPUTATION, ANONYMOUS_IPS, CORE_RULES, KNOWN_BAD_INPUTS];

/** Every rule by which the words of a chat could be refused. */
function blocksWords(plan: WafPlan): string[] {
  return plan.rules.flatMap((rule) => {
    if (rule.kind === "label") {
      const group = GROUPS.find(({ name }) => name === rule.group);
      const missing = group?.rules.filter(({ name }) => !rule.counted.includes(name)) ?? [];
      return missing.map(({ name }) => name);
    }
    if (rule.kind === "rate") return [];
    return rule.labels.filter((label) => {
      const origin = originOf(label);
      return origin === undefined || origin.looksAt === "body" || origin.looksAt === "query";
    });
  });
}

test("no rule could refuse a chat for its words, in a body or in a query", () => {
  fc.assert(
    fc.property(fc.boolean(), fc.integer({ min: 1, max: 10_000 }), (hosting, turns) => {
      expect(
        blocksWords(planWaf({ turnsPerSecond: turns, blockHostingProviders: hosting })),
      ).toEqual([]);
    }),
  );
});

test("the list of what could refuse words would find a rule on bodies", () => {
  const plan = planWaf(need);
  const label = `${CORE_RULES.labels}CrossSiteScripting_Body`;
  const worse = plan.rules.map((rule) =>
    rule.kind === "block" ? { ...rule, labels: [...rule.labels, label] } : rule,
  );
  expect(blocksWords({ ...plan, rules: worse })).toEqual([label]);
});

test("paths, headers and cookies of known attacks are refused", () => {
  const block = planWaf(need).rules.find((rule) => rule.kind === "block");
  expect(block?.labels).toContain("awswaf:managed:aws:core-rule-set:GenericLFI_URIPath");
  expect(block?.labels).toContain("awswaf:managed:aws:known-bad-inputs:Log4JRCE_Header");
  expect(block?.labels).toContain("awswaf:managed:aws:amazon-ip-list:AWSManagedIPReputationList");
  expect(block?.labels).not.toContain("awswaf:managed:aws:core-rule-set:NoUserAgent_Header");
});

test("data centers are let in unless somebody refuses them", () => {
  const label = "awswaf:managed:aws:anonymous-ip-list:HostingProviderIPList";
  const blocked = (blockHostingProviders: boolean) =>
    planWaf({ ...need, blockHostingProviders }).rules.some(
      (rule) => rule.kind === "block" && rule.labels.includes(label),
    );
  expect(blocked(false)).toBe(false);
  expect(blocked(true)).toBe(true);
});

test.each([
  ["/channels/telegram/update", true],
  ["/hooks/github", true],
  ["/agents/writer/hooks/github", true],
  ["/agents/writer/channels/slack/events", true],
  ["/api/v1/chat", false],
  ["/hooksmith/x", false],
  ["/agents/a/b/hooks/x", false],
])("%s is left out of the judgement of addresses: %s", (path, left) => {
  const rule = planWaf(need).rules.find(
    (each) => each.kind === "label" && each.group === ANONYMOUS_IPS.name,
  );
  if (rule?.kind !== "label" || rule.notOn === null) throw new Error("no scope");
  expect(new RegExp(rule.notOn).test(path)).toBe(left);
});

test("tokens are counted before addresses, labels are there before they are judged", () => {
  const { rules } = planWaf(need);
  expect(rules.map(({ kind }) => kind)).toEqual([
    "rate",
    "rate",
    "label",
    "label",
    "label",
    "label",
    "block",
  ]);
  expect(rules.slice(0, 2).map((rule) => rule.kind === "rate" && rule.per)).toEqual([
    "token",
    "address",
  ]);
  expect(rules.map(({ priority }) => priority)).toEqual([0, 1, 2, 3, 4, 5, 6]);
});

test("limits let the whole fleet's capacity through and stay within what AWS takes", () => {
  fc.assert(
    fc.property(fc.double({ min: 0.01, max: 1e7, noNaN: true }), (turnsPerSecond) => {
      for (const rule of planWaf({ ...need, turnsPerSecond }).rules) {
        if (rule.kind !== "rate") continue;
        expect(rule.limit).toBeGreaterThanOrEqual(
          Math.min(turnsPerSecond * rule.windowSeconds, WAF.rateLimit.max),
        );
        expect(rule.limit).toBeGreaterThanOrEqual(WAF.rateLimit.min);
        expect(rule.limit).toBeLessThanOrEqual(WAF.rateLimit.max);
      }
    }),
  );
});

test("limits that are set are taken", () => {
  const plan = planWaf({ ...need, requestsPerToken: 50, requestsPerAddress: 70 });
  expect(plan.rules.flatMap((rule) => (rule.kind === "rate" ? [rule.limit] : []))).toEqual([
    50, 70,
  ]);
});

test("the rules fit into what the firewall's price includes", () => {
  expect(planWaf({ ...need, blockHostingProviders: true }).capacity).toBeLessThanOrEqual(
    WAF.capacity,
  );
});

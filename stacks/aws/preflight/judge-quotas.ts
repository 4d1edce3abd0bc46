import { QUOTA_FACTS } from "./catalog.ts";
import { type Answers, type PreflightCheck, type PreflightNeed, sumQuotas } from "./need.ts";

/** One check a quota: what the account allows beside what is there and what comes. */
export function judgeQuotas(need: PreflightNeed, answers: Answers): PreflightCheck[] {
  return sumQuotas(need.quotas)
    .filter((quota) => quota.need > 0)
    .map((quota) => {
      const id = `quota ${quota.code}`;
      const fact = QUOTA_FACTS.find(({ code }) => code === quota.code);
      const limit = answers.limits[quota.code] ?? { unknown: "nobody asked" };
      const usage = fact && answers.usage[fact.counter];
      const request = (value: number) =>
        `aws service-quotas request-service-quota-increase --region ${need.region} --service-code ${quota.service} --quota-code ${quota.code} --desired-value ${value}`;
      if ("unknown" in limit) {
        const initially = fact ? `; an account begins with ${fact.initially}` : "";
        return {
          id,
          state: "unknown",
          text: `${quota.name}: ${quota.need} needed, limit unknown${initially}`,
          why: limit.unknown,
          fix: `aws service-quotas get-service-quota --region ${need.region} --service-code ${quota.service} --quota-code ${quota.code}`,
        };
      }
      const have = limit.value;
      if (quota.need > have) {
        return {
          id,
          state: "fail",
          text: `${quota.name}: the account allows ${have}, ${quota.need} needed`,
          fix: request(quota.need + used(usage)),
        };
      }
      if (fact?.counter === "nothing") {
        return { id, state: "ok", text: `${quota.name}: ${have}, ${quota.need} needed` };
      }
      if (!usage || "unknown" in usage) {
        return {
          id,
          state: "unknown",
          text: `${quota.name}: the account allows ${have}, ${quota.need} needed, how many are in use is unknown`,
          why: usage?.unknown ?? "this quota's use cannot be counted here",
          fix: `look at the use in the console of Service Quotas; if it is short: ${request(have + quota.need)}`,
        };
      }
      const others = used(usage);
      const own = usage.value.own > 0 ? ` besides ${usage.value.own} of this stack` : "";
      const text = `${quota.name}: the account allows ${have}, ${others} in use${own}, ${quota.need} needed`;
      if (others + quota.need <= have) return { id, state: "ok", text };
      return {
        id,
        state: usage.value.atMost ? "unknown" : "fail",
        text,
        ...(usage.value.atMost
          ? { why: "those in use may lie in other zones or count for something else" }
          : {}),
        fix: request(others + quota.need),
      };
    });
}

/** What is used by others than this stack, as far as known. */
function used(usage: Answers["usage"][keyof Answers["usage"]]): number {
  return usage && "value" in usage ? Math.max(0, usage.value.used - usage.value.own) : 0;
}

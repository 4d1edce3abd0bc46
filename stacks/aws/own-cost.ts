import { type PricedBy, type PriceTable, pricesOf, type Tier } from "../../components/cost.ts";

/** US dollars. */
export const TOKENS_PRICES: PriceTable<"secretMonth"> = {
  date: "2026-11-21",
  source: "aws.amazon.com/secrets-manager/pricing; from memory, to be checked",
  regions: {
    "us-east-1": { secretMonth: 0.4 },
    "eu-central-1": { secretMonth: 0.4 },
    "eu-west-1": { secretMonth: 0.4 },
  },
};

const TOKENS_LINE = "secret with the tokens";

/** How what a stack registers outside of any component is paid for. */
export const PRICED: Readonly<Record<string, PricedBy>> = {
  "openclaw:host:Credentials": { free: "what is put on machines is paid for with them" },
  "openclaw:host:Fleet": { free: "what is put on machines is paid for with them" },
  "aws:secretsmanager/secret:Secret": { lines: [TOKENS_LINE] },
  "aws:secretsmanager/secretVersion:SecretVersion": { free: "paid for with its secret" },
  "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": { free: "VPC rules cost nothing" },
  "random:index/randomPassword:RandomPassword": { free: "made by Pulumi, kept in its state" },
};

/** The tokens' row of `fleet plan`. */
export function tierTokens(region: string): Tier {
  const prices = pricesOf(TOKENS_PRICES, region);
  return {
    tier: "tokens",
    size: "one secret with the tokens of clients and administrators",
    count: 1,
    why: "nodes read them there",
    survives: "the loss of a zone",
    costs: prices
      ? [{ what: TOKENS_LINE, quantity: 1, unit: "secret-month", priceUsd: prices.secretMonth }]
      : [],
  };
}

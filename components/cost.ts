/** One line of a bill, before tax, discounts and free tiers. */
export interface CostLine {
  /** What is paid for, e.g. `NAT gateway hours`. */
  readonly what: string;
  /** Units a month. */
  readonly quantity: number;
  /** Unit of quantity and price, e.g. `h`, `GB`, `GB-month`, `key-month`. */
  readonly unit: string;
  /** US dollars a unit. */
  readonly priceUsd: number;
}

/** One row of `fleet plan`. */
export interface Tier {
  /** The component, e.g. `cache`. */
  readonly tier: string;
  /** What one of it is, e.g. `cache.t4g.medium`. */
  readonly size: string;
  readonly count: number;
  /** The number that decided, with its name. */
  readonly why: string;
  /** Failure it survives, or what stops when it is lost. */
  readonly survives: string;
  readonly costs: readonly CostLine[];
}

/** Prices of one component in one region, US dollars by name. */
export type Prices<Name extends string> = Readonly<Record<Name, number>>;

/** A component's prices. */
export interface PriceTable<Name extends string> {
  /** Day the prices were read, ISO. */
  readonly date: string;
  /** Page or document they are from. */
  readonly source: string;
  readonly regions: Readonly<Record<PriceRegion, Prices<Name>>>;
}

/** Regions that the price tables cover. */
export const PRICE_REGIONS = ["us-east-1", "eu-central-1", "eu-west-1"] as const;
export type PriceRegion = (typeof PRICE_REGIONS)[number];

/** Hours of a month, as AWS's own calculator counts them. */
export const HOURS_A_MONTH = 730;
/** Days of a month, where use is counted by the day. */
export const DAYS_A_MONTH = 30;

/** How a resource type is paid for: by lines of its component's tier, or not at all and why. */
export type PricedBy =
  | {
      readonly lines: readonly string[];
      /** Why those of the type that no line stands for cost nothing. */
      readonly otherwise?: string;
    }
  | { readonly free: string };

/** US dollars a month of some lines, exact to the cent per line as a bill rounds them. */
export function monthlyUsd(lines: readonly CostLine[]): number {
  return lines.reduce((sum, line) => sum + lineCents(line), 0) / 100;
}

/** A line in cents. */
export function lineCents({ quantity, priceUsd }: CostLine): number {
  return Math.round(quantity * priceUsd * 100);
}

/** A component's prices in a region; undefined where the table has none, and then a plan shows no cost and says so. */
export function pricesOf<Name extends string>(
  table: PriceTable<Name>,
  region: string,
): Prices<Name> | undefined {
  return (table.regions as Readonly<Record<string, Prices<Name>>>)[region];
}

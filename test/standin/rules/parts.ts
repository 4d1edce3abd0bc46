import { type Props, UNKNOWN } from "../../../plugin/values.ts";
import { field, type Row, valuesAt, type World } from "../world.ts";
import type { Made, Need, When } from "./types.ts";

/** AWS's first part of an ARN here; tests of other partitions give another region. */
export function partitionOf(region: string): string {
  if (region.startsWith("cn-")) return "aws-cn";
  return region.startsWith("us-gov-") ? "aws-us-gov" : "aws";
}

export function arnOf(made: Made, service: string, resource: string, global = false): string {
  const { account, region } = made.scope;
  return `arn:${partitionOf(region)}:${service}:${global ? "" : region}:${account}:${resource}`;
}

/** An id such as `vpc-0a1b2c3d4e5f60718`. */
export const ec2Id = (prefix: string) => (made: Made) => `${prefix}-0${made.hex(16)}`;

/** The id is what the program called it. */
export const idFrom =
  (...properties: readonly string[]) =>
  (made: Made) =>
    properties.map((property) => String(made.inputs[property])).join(":");

/** Ids that join inputs by something else than a colon. */
export const joined =
  (separator: string, ...properties: readonly string[]) =>
  (made: Made) =>
    properties.map((property) => String(made.inputs[property])).join(separator);

export interface RefOptions {
  /** Property of the other that is named. @default id */
  readonly by?: string;
  readonly when?: readonly When[];
  /** Values that may be used though no such resource was made here. */
  readonly allow?: RegExp;
  /** Taken off the value before it is looked up. */
  readonly strip?: RegExp;
}

/** An input that must name something that exists. */
export function ref(
  path: string,
  types: string | readonly string[],
  { by = "id", when, allow, strip }: RefOptions = {},
): Need {
  const list = typeof types === "string" ? [types] : types;
  const kinds = list.map(shortType).join(" or ");
  return {
    says: `${path} names a ${kinds} that exists`,
    when,
    fault(row, world) {
      for (const raw of valuesAt(row.inputs, path)) {
        if (raw === "" || raw === UNKNOWN) continue;
        if (typeof raw === "string" && allow?.test(raw)) continue;
        const value = typeof raw === "string" && strip ? raw.replace(strip, "") : raw;
        const there = world.of(...list).some((other) => {
          return field(other, by) === value && samePlace(row, other);
        });
        if (!there) return `${path}: there is no ${kinds} with ${by} ${JSON.stringify(raw)}`;
      }
      return null;
    },
  };
}

/** ARNs say where they are; what is named otherwise is of the same region and account. */
function samePlace(row: Row, other: Row): boolean {
  if (row.scope.cluster !== undefined || other.scope.cluster !== undefined) {
    return row.scope.cluster === other.scope.cluster;
  }
  if (row.scope.account !== other.scope.account) return false;
  return row.scope.region === other.scope.region || GLOBAL.test(other.type);
}

/** Types that are no region's. */
export const GLOBAL =
  /^aws:(iam|route53|cloudfront|budgets|organizations|costexplorer)\/|^aws:s3\/|^aws:index/;

/** `aws:ec2/subnet:Subnet` → `Subnet`. */
export function shortType(type: string): string {
  return type.split(":").at(-1) ?? type;
}

/** A need in words and one function. */
export function need(
  says: string,
  fault: (row: Row, world: World) => string | null | false | undefined,
  when?: readonly When[],
): Need {
  return { says, when, fault: (row, world) => fault(row, world) || null };
}

/** Of several inputs, at most one. */
export function exclusive(inputs: Props, ...properties: string[]): string | null {
  const given = properties.filter((property) => present(inputs[property]));
  return given.length > 1 ? `${given.join(" and ")} exclude each other` : null;
}

/** Of several inputs, at least one. */
export function oneOf(inputs: Props, ...properties: string[]): string | null {
  return properties.some((property) => present(inputs[property]))
    ? null
    : `one of ${properties.join(", ")} is needed`;
}

/** An input that makes others necessary. */
export function requires(inputs: Props, property: string, ...others: string[]): string | null {
  if (!present(inputs[property])) return null;
  const missing = others.filter((other) => !present(inputs[other]));
  return missing.length > 0 ? `${property} needs ${missing.join(", ")}` : null;
}

export function present(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** A JSON document, or null when it is none (or not known yet). */
export function parsed(text: unknown): Props | null {
  if (typeof text !== "string" || text.includes(UNKNOWN)) return null;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Props) : null;
  } catch {
    return null;
  }
}

/** Why a text is no JSON object; null when it is one, or not known yet. */
export function notJson(inputs: Props, property: string): string | null {
  const text = inputs[property];
  if (typeof text !== "string" || text.includes(UNKNOWN)) return null;
  return parsed(text) ? null : `${property} is no JSON document`;
}

/** An IPv4 block as number range; null when it is none. */
export function cidrRange(text: unknown): { first: number; last: number; bits: number } | null {
  const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\/(\d+)$/.exec(String(text));
  if (!match) return null;
  const [a, b, c, d, bits] = match.slice(1).map(Number) as [number, number, number, number, number];
  if ([a, b, c, d].some((part) => part > 255) || bits > 32) return null;
  const first = ((a * 256 + b) * 256 + c) * 256 + d;
  const size = 2 ** (32 - bits);
  return first % size === 0 ? { first, last: first + size - 1, bits } : null;
}

export const arn = (service: string, resource = ".+") =>
  new RegExp(`^arn:aws[\\w-]*:${service}:[\\w-]*:(\\d*|aws):${resource}$`);

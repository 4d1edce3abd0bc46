import * as proxy from "@pulumi/policy/proxy.js";

/** Marks of the SDK's own objects, which its types leave out. */
const SDK = proxy as unknown as Readonly<
  Record<
    | "getSpecialProxyTarget"
    | "isSpecialProxy"
    | "unknownArchiveValue"
    | "unknownArrayValue"
    | "unknownAssetValue"
    | "unknownBooleanValue"
    | "unknownNumberValue"
    | "unknownObjectValue"
    | "unknownStringValue",
    string
  >
>;

/** A value that a preview does not know yet: an id, an ARN, a generated name. */
export const UNKNOWN: unique symbol = Symbol("not known at preview");

/** Inputs of a resource, with {@link UNKNOWN} where the preview knows nothing. */
export type Fields = Readonly<Record<string, unknown>>;

const MARKS: ReadonlySet<unknown> = new Set([
  SDK.unknownArchiveValue,
  SDK.unknownArrayValue,
  SDK.unknownAssetValue,
  SDK.unknownBooleanValue,
  SDK.unknownNumberValue,
  SDK.unknownObjectValue,
  SDK.unknownStringValue,
]);

/**
 * Inputs as plain data. The SDK's own object throws where a value is unknown, and the engine makes a
 * quiet notice of whatever a policy throws: then nothing would have been judged. Here every policy
 * sees what is unknown and says what it makes of it.
 */
export function read(props: Readonly<Record<string, unknown>>): Fields {
  const target = props[SDK.isSpecialProxy] ? props[SDK.getSpecialProxyTarget] : props;
  return plain(target) as Fields;
}

function plain(value: unknown): unknown {
  if (MARKS.has(value)) return UNKNOWN;
  // One by one: the SDK's proxy around what a remediation gets breaks what makes lists of lists.
  if (Array.isArray(value)) return Array.from({ length: value.length }, (_, i) => plain(value[i]));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}

/** The value at a path; unknown as soon as a step is, undefined where a step is missing. */
export function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  let found = value;
  for (const key of path) {
    if (found === UNKNOWN) return UNKNOWN;
    if (found === null || typeof found !== "object") return undefined;
    found = (found as Record<string | number, unknown>)[key];
  }
  return found;
}

/** Items of a list. An unknown list is one unknown item; what is no list is none. */
export function items(value: unknown): readonly unknown[] {
  if (value === UNKNOWN) return [UNKNOWN];
  return Array.isArray(value) ? value : [];
}

/** Entries of an object; none of what is unknown or no object. */
export function entries(value: unknown): readonly (readonly [string, unknown])[] {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return [];
  return Object.entries(value);
}

/** JSON text as data; unknown stays unknown, what is no JSON is undefined. Data passes as it is. */
export function json(value: unknown): unknown {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}

/** Is anything in it unknown? */
export function anyUnknown(value: unknown): boolean {
  if (value === UNKNOWN) return true;
  if (value === null || typeof value !== "object") return false;
  return Object.values(value).some(anyUnknown);
}

/** Type of a URN, its parents' before it: `parent$child`. */
export const typesOf = (urn: string): readonly string[] => (urn.split("::")[2] ?? "").split("$");

/** Does a resource stand below one of that type? Its URN says so before anything has an id. */
export const below = (urn: string, type: string): boolean =>
  typesOf(urn).slice(0, -1).includes(type);

/** A value as a person reads it in a finding. */
export function shown(value: unknown): string {
  if (value === UNKNOWN) return "not known before up";
  if (value === undefined) return "not set";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

/** How Pulumi marks a secret inside property values on the wire. */
const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";
/** A value not known before the deployment, on the wire. */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

export type Props = Record<string, unknown>;

/** Marks a value as secret: encrypted in the state, hidden in every display. */
export function secret(value: unknown): Props {
  return { [SIGNATURE]: SECRET, value };
}

export function isSecret(value: unknown): value is { value: unknown } {
  return isObject(value) && value[SIGNATURE] === SECRET;
}

export function isObject(value: unknown): value is Props {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The same value with every secret mark taken off. For work only, never to be given back. */
export function reveal<T = unknown>(value: unknown): T {
  if (isSecret(value)) return reveal(value.value);
  if (Array.isArray(value)) return value.map((item) => reveal(item)) as T;
  if (isObject(value)) {
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, reveal(v)])) as T;
  }
  return value as T;
}

/** Wraps every leaf whose path `hides` names; containers stay readable. */
export function seal(
  value: unknown,
  hides: (path: readonly PropertyKey[]) => boolean,
  path: readonly PropertyKey[] = [],
): unknown {
  if (isSecret(value)) return value;
  if (Array.isArray(value)) return value.map((item, i) => seal(item, hides, [...path, i]));
  if (isObject(value)) {
    return Object.fromEntries(
      Object.entries(value).map(([k, v]) => [k, seal(v, hides, [...path, k])]),
    );
  }
  return value !== undefined && hides(path) ? secret(value) : value;
}

export interface Change {
  /** Pulumi property path: `agents.main.systemPrompt`, `agents["my-bot"].env`. */
  readonly path: string;
  readonly kind: "add" | "delete" | "update";
}

/** What differs between two revealed values, one entry for each smallest part. */
export function differences(old: unknown, next: unknown, path = ""): Change[] {
  if (old === undefined && next === undefined) return [];
  if (old === undefined) return [{ path, kind: "add" }];
  if (next === undefined) return [{ path, kind: "delete" }];
  if (isObject(old) && isObject(next)) {
    const keys = [...new Set([...Object.keys(old), ...Object.keys(next)])].sort();
    return keys.flatMap((key) => differences(old[key], next[key], join(path, key)));
  }
  if (Array.isArray(old) && Array.isArray(next)) {
    const length = Math.max(old.length, next.length);
    return Array.from({ length }, (_, i) => differences(old[i], next[i], `${path}[${i}]`)).flat();
  }
  return old === next ? [] : [{ path, kind: "update" }];
}

function join(path: string, key: string): string {
  if (!/^[A-Za-z_$][\w$]*$/.test(key)) return `${path}[${JSON.stringify(key)}]`;
  return path ? `${path}.${key}` : key;
}

/** True when a part is not known before the deployment. */
export function hasUnknown(value: unknown): boolean {
  if (value === UNKNOWN) return true;
  if (Array.isArray(value)) return value.some(hasUnknown);
  return isObject(value) && Object.values(value).some(hasUnknown);
}

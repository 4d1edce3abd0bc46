export type JsonObject = { [key: string]: unknown };

/** The fleet's settings ask for something that OpenClaw cannot do on one shard. */
export class GatewayConfigError extends Error {
  override readonly name = "GatewayConfigError";
}

/** `over` wins; objects are merged key by key, everything else (arrays too) is replaced. */
export function mergeDeep(base: JsonObject, over: JsonObject): JsonObject {
  const merged: JsonObject = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const old = merged[key];
    merged[key] = isObject(old) && isObject(value) ? mergeDeep(old, value) : value;
  }
  return merged;
}

export function isObject(value: unknown): value is JsonObject {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

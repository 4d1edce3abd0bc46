import { isMap, isPair, isScalar, type Pair, parse, parseDocument, type YAMLMap } from "yaml";
import { CommandFailed } from "./errors.ts";

/**
 * A stack's file with one text in it changed and every other byte as it was. `path` is the setting's
 * name and the keys below it, e.g. `["cluster", "version"]`. What is not there yet is added at the end
 * of what holds it.
 * @throws CommandFailed when the file has a form that cannot be changed so.
 */
export function spliceSetting(
  text: string,
  path: readonly string[],
  value: string | number | boolean,
): string {
  const keys = ["config", `openclaw-fleet:${path[0]}`, ...path.slice(1)];
  const document = parseDocument(text);
  let map = document.contents;
  let changed: string | null = null;
  for (const [depth, key] of keys.entries()) {
    if (!isMap(map)) break;
    const pair = map.items.find((item) => isScalar(item.key) && item.key.value === key);
    if (!pair) {
      changed = added(text, map, keys.slice(depth), value);
      break;
    }
    if (depth === keys.length - 1) changed = replaced(text, pair, value);
    else map = pair.value as typeof map;
  }
  if (changed === null || !onlyThat(text, changed, keys, value)) {
    throw new CommandFailed(
      `openclaw-fleet:${path.join(".")} cannot be changed in the file`,
      "the file is written in a form that this command does not change safely",
      `write it yourself: ${path.at(-1)}: ${JSON.stringify(value)} below openclaw-fleet:${path.slice(0, -1).join(".")}`,
    );
  }
  return changed;
}

function replaced(
  text: string,
  { value: node }: Pair,
  value: string | number | boolean,
): string | null {
  if (!isScalar(node) || !node.range) return null;
  const [start, end] = node.range;
  return `${text.slice(0, start)}${JSON.stringify(value)}${text.slice(end)}`;
}

function added(
  text: string,
  map: YAMLMap,
  keys: readonly string[],
  value: string | number | boolean,
): string | null {
  const last = map.items.at(-1);
  if (!map.range || !isPair(last)) return null;
  if (map.flow) {
    if (keys.length > 1) return null;
    const at = text.indexOf("{", map.range[0]) + 1;
    return `${text.slice(0, at)} ${keys[0]}: ${JSON.stringify(value)},${text.slice(at)}`;
  }
  const first = map.items[0]?.key;
  if (!isScalar(first) || !first.range) return null;
  const column = first.range[0] - (text.lastIndexOf("\n", first.range[0] - 1) + 1);
  const lines = keys.map((key, depth) => {
    const indent = " ".repeat(column + depth * 2);
    return `${indent}${key}:${depth === keys.length - 1 ? ` ${JSON.stringify(value)}` : ""}`;
  });
  // Comments below the last entry belong to what follows; one on its line belongs to it.
  const end = endOf(last) ?? map.range[1];
  const line = text.indexOf("\n", Math.max(0, end - 1));
  const at = line < 0 ? text.length : line + 1;
  const gap = line < 0 ? "\n" : "";
  return `${text.slice(0, at)}${gap}${lines.join("\n")}\n${text.slice(at)}`;
}

/** Where the last character of a pair stands. */
function endOf(pair: Pair): number | undefined {
  const node = pair.value ?? pair.key;
  if (node && typeof node === "object" && "items" in node && !("flow" in node && node.flow)) {
    const last = (node.items as unknown[]).at(-1);
    if (isPair(last)) return endOf(last);
    if (isMap(last)) return endOf(last.items.at(-1) as Pair);
    if (last && typeof last === "object" && "range" in last)
      return (last.range as [number, number, number] | undefined)?.[1];
  }
  return node && typeof node === "object" && "range" in node
    ? (node.range as [number, number, number] | undefined)?.[1]
    : undefined;
}

/** Does the new text mean what the old one did, but for this one value? */
function onlyThat(
  before: string,
  after: string,
  keys: readonly string[],
  value: string | number | boolean,
): boolean {
  try {
    const wanted = (parse(before) ?? {}) as Record<string, unknown>;
    let at = wanted;
    for (const key of keys.slice(0, -1)) {
      at[key] ??= {};
      at = at[key] as Record<string, unknown>;
    }
    at[keys.at(-1) as string] = value;
    return sorted(parse(after)) === sorted(wanted);
  } catch {
    return false;
  }
}

function sorted(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    inner && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

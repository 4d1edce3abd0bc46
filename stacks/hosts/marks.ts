import { ConfigError, type Fault } from "../../components/errors.ts";
import { formatPath } from "../setting-path.ts";

/** Settings with a mark in the place of each secret, and the secrets by the names in the marks. */
export interface Marked<T> {
  readonly value: T;
  readonly secrets: Readonly<Record<string, string>>;
}

/** What may stand in a mark. */
const NAME = /[^A-Za-z0-9._[\]-]/g;

/**
 * Puts `{{secret setting.<path>}}` where a secret stands, so that what is planned from these settings is
 * plain and a preview can show it. Throws ConfigError for a secret that is no text: in a file of JSON a
 * mark can only stand for text.
 */
export function markSecrets<T>(
  value: T,
  isSecret: (path: readonly PropertyKey[]) => boolean,
  path: readonly PropertyKey[],
): Marked<T> {
  const secrets: Record<string, string> = {};
  const faults: Fault[] = [];
  const walk = (at: unknown, where: readonly PropertyKey[]): unknown => {
    if (Array.isArray(at)) return at.map((item, i) => walk(item, [...where, i]));
    if (at && typeof at === "object") {
      return Object.fromEntries(Object.entries(at).map(([k, v]) => [k, walk(v, [...where, k])]));
    }
    if (at === undefined || at === null || !isSecret(where)) return at;
    if (typeof at !== "string") {
      faults.push({
        setting: formatPath(where),
        problem: "is a secret and no text, and only text can be kept out of what a preview shows",
        remedy: "Write it as text (in quotes), or without secure:",
      });
      return at;
    }
    const name = freeName(`setting.${formatPath(where).replace(NAME, "-")}`, secrets);
    secrets[name] = at;
    return `{{secret ${name}}}`;
  };
  const marked = walk(value, path) as T;
  if (faults.length > 0) throw new ConfigError(faults);
  return { value: marked, secrets };
}

/** Two paths can be alike once what a name may not hold is taken out. */
function freeName(wanted: string, taken: Readonly<Record<string, string>>): string {
  let name = wanted;
  for (let i = 2; name in taken; i++) name = `${wanted}-${i}`;
  return name;
}

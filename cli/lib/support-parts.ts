import { redactText } from "../../gateway/observe/log.ts";
import type { HostConnection, OpenShell } from "../../plugin/host/shell.ts";
import { journalText } from "./host-logs.ts";

/** One file of the bundle of `./fleet support`. */
export interface Part {
  readonly name: string;
  /** What it holds, not cleaned yet. When it throws, the bundle says why in its place. */
  readonly text: () => Promise<string> | string;
}

/** Newest lines of each host: hours of an ordinary day, a few MiB. */
const NODE_LINES = 20_000;
const FLEET_LINES = 5_000;

/** Journals of each host: of its node, and of everything of the fleet there. */
export function hostParts(hosts: readonly HostConnection[], open: OpenShell): Part[] {
  return hosts.flatMap((host) => [
    {
      name: `node-${host.name}.log`,
      text: () => journalText(host, open, { of: "node", lines: NODE_LINES }),
    },
    {
      name: `host-${host.name}.log`,
      text: () => journalText(host, open, { of: "fleet", lines: FLEET_LINES }),
    },
  ]);
}

/** Everything is redacted by shape once more, and known tokens by value: logs hold what programs wrote. */
export function clean(text: string, secrets: readonly string[]): string {
  let safe = redactText(text);
  for (const secret of secrets) if (secret !== "") safe = safe.replaceAll(secret, "[redacted]");
  return safe
    .replace(
      /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/g,
      "[redacted]",
    )
    .replace(/\b(sk|xox[a-z]|ghp|gho|AKIA)[-_A-Za-z0-9]{12,}/g, "[redacted]")
    .replace(/(\brediss?(?:\+[a-z]+)?:\/\/[^:@\s/]*:)[^@\s]+@/g, "$1[redacted]@");
}

/** Texts in a value that are long enough to be secrets. */
export function secretsOf(value: unknown): string[] {
  if (typeof value === "string") return value.length >= 16 ? [value] : [];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(secretsOf);
}

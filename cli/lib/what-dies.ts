import { keepsData } from "../settings.ts";

type Fields = Readonly<Record<string, unknown>>;

/** `account 210987654321, eu-central-1`; null where a stack is in no account. */
export function placeOf(settings: Fields): string | null {
  const { target, aws } = settings as { target?: unknown; aws?: Fields };
  if (target !== "ec2" && target !== "eks") return null;
  return `account ${String(aws?.accountId ?? "unknown")}, ${String(aws?.region ?? "no region")}`;
}

/** What a destroy ends and what it leaves, as the stack's own outputs and settings say. */
export function whatDies(
  stack: string,
  outputs: Fields,
  settings: Record<string, unknown>,
): string {
  const list = (name: string) => (Array.isArray(outputs[name]) ? (outputs[name] as string[]) : []);
  const place = placeOf(settings);
  return [
    `Stack ${stack}${outputs.endpoint ? `, serving at ${String(outputs.endpoint)}` : ""}:`,
    ...(place ? [`  on AWS:           ${place}, and nothing of any other account`] : []),
    `  nodes that stop:  ${list("nodes").join(", ") || "none recorded"}`,
    `  shards that stop: ${list("shards").join(", ") || "none recorded"}`,
    ...(place ? cloudLines(settings) : [localLine(settings)]),
  ].join("\n");
}

function localLine(settings: Record<string, unknown>): string {
  return keepsData(settings)
    ? "  conversations, memories and configuration are KEPT on disk, as keepData says"
    : "  conversations, memories and configuration on them are DELETED (keepData: true keeps them)";
}

function cloudLines(settings: Record<string, unknown>): string[] {
  const kept = settings.target === "ec2" ? "databases and the hosts' state volumes" : "databases";
  const data = keepsData(settings)
    ? `  ${kept} leave a LAST SNAPSHOT; a bucket that holds something stops the destroy, as keepData says`
    : "  databases, buckets and volumes are DELETED with all that is in them, backups too (keepData: true keeps the last of each)";
  return [
    data,
    "  left behind: KMS keys, for the days until AWS deletes them; what ./fleet bootstrap aws made, which is not this stack's",
  ];
}

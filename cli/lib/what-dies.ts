import { keepsData } from "../settings.ts";
import { CommandFailed } from "./errors.ts";
import type { Kept } from "./pipeline/state.ts";

type Fields = Readonly<Record<string, unknown>>;

/** `account 210987654321, eu-central-1`; null where a stack is in no account. */
export function placeOf(settings: Fields): string | null {
  const { target, aws } = settings as { target?: unknown; aws?: Fields };
  if (target !== "ec2" && target !== "eks") return null;
  return `account ${String(aws?.accountId ?? "unknown")}, ${String(aws?.region ?? "no region")}`;
}

/**
 * Whether a destroy would leave conversations, as the state has it; null where nothing of it says. A destroy runs no
 * program, so what counts is the last `up`, not the settings of today.
 */
export function recordedKeeping(resources: readonly Kept[]): boolean | null {
  const words = resources.flatMap(({ inputs = {} }) => {
    const { keepData, skipFinalSnapshot } = inputs as Fields;
    if (typeof keepData === "boolean") return [keepData];
    return typeof skipFinalSnapshot === "boolean" ? [!skipFinalSnapshot] : [];
  });
  return words.length === 0 ? null : words.every(Boolean);
}

/**
 * What a destroy does with conversations.
 * @throws CommandFailed when the settings promise to keep them and the last `up` did not
 */
export function keepsAtDestroy(
  stack: string,
  settings: Record<string, unknown>,
  resources: readonly Kept[],
): boolean {
  const wished = keepsData(settings);
  const kept = recordedKeeping(resources) ?? wished;
  if (kept || !wished) return kept;
  throw new CommandFailed(
    `Nothing was destroyed: the conversations of ${stack} would be deleted`,
    `Pulumi.${stack}.yaml says that they are kept, but the stack was last brought up without that, and a destroy goes by the last up`,
    `./fleet up --stack ${stack} makes it so; or take openclaw-fleet:keepData out again, to have them deleted`,
  );
}

/**
 * What a person agreed to is what is done: `shown` and `now` say whether conversations stay, before the question and
 * once no other run changes the stack.
 * @throws CommandFailed when they differ
 */
export function refuseOtherEnd(stack: string, shown: boolean, now: boolean): void {
  if (shown === now) return;
  const words = (keeps: boolean) => (keeps ? "kept" : "deleted");
  throw new CommandFailed(
    `Nothing was destroyed: another run changed what would be kept of ${stack}`,
    `its conversations were to be ${words(shown)}, and now would be ${words(now)}`,
    `./fleet destroy --stack ${stack} shows what dies now, and asks again`,
  );
}

/**
 * What a destroy ends and what it leaves, as the stack's own outputs and settings say.
 * @param keeps whether conversations stay ({@link keepsAtDestroy})
 */
export function whatDies(
  stack: string,
  outputs: Fields,
  settings: Record<string, unknown>,
  keeps: boolean,
): string {
  const list = (name: string) => (Array.isArray(outputs[name]) ? (outputs[name] as string[]) : []);
  const place = placeOf(settings);
  return [
    `Stack ${stack}${outputs.endpoint ? `, serving at ${String(outputs.endpoint)}` : ""}:`,
    ...(place ? [`  on AWS:           ${place}, and nothing of any other account`] : []),
    `  nodes that stop:  ${list("nodes").join(", ") || "none recorded"}`,
    `  shards that stop: ${list("shards").join(", ") || "none recorded"}`,
    ...(place ? cloudLines(settings, keeps) : ownLines(settings, keeps)),
  ].join("\n");
}

function ownLines(settings: Record<string, unknown>, keeps: boolean): string[] {
  const { s3 } = (settings.replication ?? {}) as { s3?: { bucket?: unknown } };
  return [
    keeps
      ? "  conversations, memories and configuration are KEPT on disk, as keepData says"
      : "  conversations, memories and configuration on them are DELETED (keepData: true, and an up, keep them)",
    ...(s3
      ? [`  left behind: what their replicas put into the bucket ${String(s3.bucket ?? "")}`]
      : []),
  ];
}

function cloudLines(settings: Record<string, unknown>, keeps: boolean): string[] {
  const kept = settings.target === "ec2" ? "databases and the hosts' state volumes" : "databases";
  const data = keeps
    ? `  ${kept} leave a LAST SNAPSHOT; a bucket that holds something stops the destroy, as keepData says`
    : "  databases, buckets and volumes are DELETED with all that is in them, backups too (keepData: true, and an up, keep the last of each)";
  return [
    data,
    "  left behind: KMS keys, for the days until AWS deletes them; what ./fleet bootstrap aws made, which is not this stack's",
  ];
}

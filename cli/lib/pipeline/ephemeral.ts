import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isMoment, isoMoment } from "../../../stacks/moment.ts";
import { findBackend } from "../../../toolchain/pulumi-env.ts";
import { askPulumi, type PulumiRunner } from "../../pulumi.ts";
import { rawSettings } from "../../settings.ts";
import { CommandFailed } from "../errors.ts";
import type { Kept } from "./state.ts";

/** The tag of the stack in its backend, which outlives a run that was killed and needs no file. */
export const EXPIRES_TAG = "openclaw-fleet:expires";

/** The stack's own tags in the backend. */
export function tagsOf(runner: PulumiRunner, stack: string): Readonly<Record<string, string>> {
  const found = askPulumi(runner, ["stack", "tag", "ls", "--json", "--stack", stack]);
  return found === null ? {} : (JSON.parse(found) as Record<string, string>);
}

/**
 * Writes the moment after which anybody may destroy the stack to its backend, before anything is made;
 * takes it away where the settings no longer say so.
 */
export function markEphemeral(runner: PulumiRunner, stack: string): void {
  const wanted = expiresOf(rawSettings(stack));
  if (wanted === undefined && !mayHaveTags(runner, stack)) return;
  const had = tagsOf(runner, stack)[EXPIRES_TAG];
  if (wanted === had) return;
  const change = wanted === undefined ? ["rm", EXPIRES_TAG] : ["set", EXPIRES_TAG, wanted];
  if (askPulumi(runner, ["stack", "tag", ...change, "--stack", stack]) !== null) return;
  throw new CommandFailed(
    `${stack} cannot be marked as a stack for a while`,
    `its backend did not take the tag ${EXPIRES_TAG}`,
    `./fleet pulumi stack tag ${change.join(" ")} --stack ${stack} shows its own words`,
  );
}

function expiresOf(settings: Readonly<Record<string, unknown>>): string | undefined {
  const { ephemeral } = settings as { ephemeral?: { expires?: unknown } };
  const expires = ephemeral?.expires;
  return typeof expires === "string" && isMoment(expires) ? isoMoment(expires) : undefined;
}

/** Files are looked at directly, which costs no run of Pulumi. */
function mayHaveTags(runner: PulumiRunner, stack: string): boolean {
  const url = findBackend(runner.env).url ?? "";
  if (!url.startsWith("file:///")) return true;
  const folder = join(fileURLToPath(url), ".pulumi", "stacks", "openclaw-fleet");
  return existsSync(join(folder, `${stack}.pulumi-tags`));
}

/** What decides whether a stack may be destroyed by itself. */
export interface Candidate {
  readonly stack: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly resources: readonly Kept[];
  /** `environment` of its file where that is here. */
  readonly environment: unknown;
}

export type Judgement =
  | { readonly verdict: "permanent" }
  | { readonly verdict: "later"; readonly expires: string }
  | { readonly verdict: "refused"; readonly why: string }
  | { readonly verdict: "reap"; readonly expires: string };

/** Whether a stack may be destroyed now. `early`: also before its moment. */
export function judge(candidate: Candidate, now: number, early: boolean): Judgement {
  const { tags, resources, environment } = candidate;
  const expires = tags[EXPIRES_TAG];
  if (expires === undefined) return { verdict: "permanent" };
  const at = Date.parse(expires);
  if (!Number.isFinite(at)) {
    return { verdict: "refused", why: `its tag ${EXPIRES_TAG} is ${expires}, which is no moment` };
  }
  const kept = resources.find(({ protect }) => protect === true);
  if (kept) return { verdict: "refused", why: `${kept.urn} is protected` };
  const prod = environment === "prod" || resources.some(isProd);
  if (prod) return { verdict: "refused", why: "its environment is prod" };
  return { verdict: early || at <= now ? "reap" : "later", expires };
}

const isProd = ({ type, inputs }: Kept): boolean => {
  if (type === "openclaw-fleet:fleet:Plan") return inputs?.environment === "prod";
  const tags = inputs?.tags as Record<string, unknown> | undefined;
  return tags?.["openclaw-fleet-environment"] === "prod";
};

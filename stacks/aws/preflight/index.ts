import { renameSync, writeFileSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";
import { ConfigError } from "../../../components/errors.ts";
import { askAws } from "./ask.ts";
import { judge } from "./judge.ts";
import type { PreflightCheck, PreflightNeed } from "./need.ts";
import { PREFLIGHT_REPORT } from "./report.ts";

export type { PreflightCheck, PreflightNeed, QuotaNeed } from "./need.ts";

/**
 * Looks at the account before the first resource. `./fleet doctor` wants the checks alone: then they
 * are written where it says and the answer is "only", and the program makes nothing. Otherwise every
 * shortfall is thrown at once as a ConfigError, and what is not known is said.
 * `opts` names the provider: `{ provider }`.
 */
export async function preflight(
  need: PreflightNeed,
  opts: pulumi.InvokeOptions,
): Promise<"only" | "go on"> {
  const file = process.env[PREFLIGHT_REPORT];
  const checks = judge(need, await askAws(need, { ...opts, rights: file !== undefined }));
  if (file !== undefined) {
    // Appears whole or not at all.
    writeFileSync(`${file}.part`, JSON.stringify({ version: 1, checks }));
    renameSync(`${file}.part`, file);
    return "only";
  }
  refuse(checks);
  await Promise.all(
    checks
      .filter(({ state }) => state === "unknown" || state === "warn")
      .map(({ id, text, why, fix }) =>
        pulumi.log.warn(`${id}: ${[text, why, fix && `do: ${fix}`].filter(Boolean).join("; ")}`),
      ),
  );
  return "go on";
}

/** Throws a ConfigError with every failed check. */
export function refuse(checks: readonly PreflightCheck[]): void {
  const failed = checks.filter(({ state }) => state === "fail");
  if (failed.length === 0) return;
  throw new ConfigError(
    failed.map(({ id, text, why, fix }) => ({
      setting: "",
      problem: `${id}: ${text}${why ? `; ${why}` : ""}`,
      remedy: fix ?? "",
    })),
  );
}

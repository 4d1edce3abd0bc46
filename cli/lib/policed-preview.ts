import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { captured } from "../../gateway/captured.ts";
import type { Finding } from "../../policies/pack.ts";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";
import type { PulumiRunner } from "../pulumi.ts";
import { parseFindings } from "./policy-report.ts";

/** What a preview under the policies came to. */
export interface PolicedPreview {
  /** Pulumi's exit code. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** What the policies noted. */
  readonly noted: readonly Finding[];
}

/** Runs `pulumi preview` with its output kept; the pack notes its findings in a file of this run. */
export async function policedPreview(
  { pulumi, env }: PulumiRunner,
  stack: string,
  args: readonly string[],
): Promise<PolicedPreview> {
  const folder = mkdtempSync(join(tmpdir(), "openclaw-fleet-policy-"));
  const notes = join(folder, "findings.jsonl");
  try {
    const { code, stdout, stderr } = await captured(
      pulumi,
      ["preview", "--stack", stack, "--non-interactive", "--color", "never", ...args],
      { cwd: PROJECT_ROOT, env: { ...env, OPENCLAW_FLEET_POLICY_REPORT: notes } },
    );
    const noted = existsSync(notes) ? parseFindings(readFileSync(notes, "utf8")) : [];
    return { code: code ?? 1, stdout, stderr, noted };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Lines in which Pulumi says what was wrong, each once. */
export const errorLines = ({ stdout, stderr }: Pick<PolicedPreview, "stdout" | "stderr">): string =>
  [
    ...new Set(
      `${stdout}\n${stderr}`
        .split("\n")
        .filter((line) => /\berror:/.test(line))
        .map((line) => line.trim()),
    ),
  ].join("\n");

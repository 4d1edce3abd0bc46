import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** A `pulumi` that runs these lines of shell instead, for what is made of its words and its exit code. */
export function pulumiScript(script: string): { pulumi: string; env: NodeJS.ProcessEnv } {
  const dir = mkdtempSync(join(tmpdir(), "pulumi-script-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const pulumi = join(dir, "pulumi");
  writeFileSync(pulumi, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return { pulumi, env: process.env };
}

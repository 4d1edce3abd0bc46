import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findBackend } from "../../../toolchain/pulumi-env.ts";
import { say } from "../terminal.ts";

/**
 * Removes files of attributes that a killed run left half written in a backend of files: while one is
 * there Pulumi reads no stack at all. They hold a type and a checksum, and may be missing.
 */
export function mendFiles(env: NodeJS.ProcessEnv): void {
  const url = findBackend(env).url ?? "";
  if (!url.startsWith("file:///")) return;
  const root = fileURLToPath(url.replace(/\?.*$/, ""));
  for (const folder of ["stacks", "locks/organization"]) {
    const base = join(root, ".pulumi", folder, "openclaw-fleet");
    for (const path of attributesBelow(base)) {
      if (isWhole(path)) continue;
      rmSync(path, { force: true });
      say(`fleet: removed ${path}, which a killed run left half written`);
    }
  }
}

function attributesBelow(folder: string): string[] {
  try {
    const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
    return names.filter((name) => name.endsWith(".attrs")).map((name) => join(folder, name));
  } catch {
    return [];
  }
}

function isWhole(path: string): boolean {
  try {
    JSON.parse(readFileSync(path, "utf8"));
    return true;
  } catch (error) {
    // Gone meanwhile is as good.
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
}

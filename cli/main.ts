import { readdirSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { join } from "node:path";
import { cacheDir, PROJECT_ROOT } from "../toolchain/paths.ts";

// Keeps the stripped and compiled form of every module: a start takes half the time from the second on.
enableCompileCache(join(cacheDir(), "compile"));

const { run } = await import("./program.ts");
const names = readdirSync(join(PROJECT_ROOT, "cli", "commands"))
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.slice(0, -3));
process.exitCode = await run(process.argv.slice(2), names);

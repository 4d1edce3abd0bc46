import { existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { recall, remember } from "./bundle.ts";
import { ToolchainError } from "./errors.ts";
import { PROJECT_ROOT } from "./paths.ts";

/** Beside the compiled pack: what it was compiled from. */
const MEMORY = "sources.json";
const COMPILED = "index.cjs";

/**
 * The folder of the policy pack, compiled when a source of it changed. Pulumi runs packs through
 * ts-node, which knows neither modules nor imports that end in `.ts`: it gets one plain file.
 */
export async function ensurePolicyPack(root = PROJECT_ROOT): Promise<string> {
  const folder = join(root, "policies");
  const dist = join(folder, "dist");
  const memory = join(dist, MEMORY);
  if (recall(root, memory) !== null && existsSync(join(dist, COMPILED))) return folder;
  const { build } = await import("esbuild");
  const result = await build({
    absWorkingDir: root,
    entryPoints: [join("policies", "index.ts")],
    outfile: join(dist, COMPILED),
    write: false,
    metafile: true,
    bundle: true,
    platform: "node",
    format: "cjs",
    target: "node24",
    keepNames: true,
    preserveSymlinks: true,
    // The SDK keeps what is unknown by marks of its own: there must be one copy of it.
    external: ["@pulumi/*"],
    logLevel: "silent",
  }).catch((error: unknown) => {
    throw new ToolchainError(
      "the policy pack cannot be compiled",
      error instanceof Error ? error.message : String(error),
      "mend these files of policies/ (git diff shows what changed)",
    );
  });
  mkdirSync(dist, { recursive: true });
  const [file] = result.outputFiles;
  // Another run may read the file while it is written.
  const written = join(dist, `${COMPILED}.${process.pid}`);
  writeFileSync(written, file?.text ?? "");
  renameSync(written, join(dist, COMPILED));
  const inputs = Object.keys(result.metafile.inputs).sort();
  remember(root, memory, { files: [], inputs, id: "policies" });
  return folder;
}

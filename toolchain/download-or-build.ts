import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { onPath, runLogged } from "./command.ts";
import { downloadChecked } from "./download.ts";
import { ToolchainError } from "./errors.ts";
import { type GoBuild, goBuild } from "./go-build.ts";
import type { Progress } from "./progress.ts";
import { type Tool, writeOrigin } from "./tool.ts";

/** A program whose maker publishes archives, and which can be built where those are out of reach. */
export interface Obtainable extends GoBuild {
  /** The archive: a tar by gzip, with one folder around all. */
  readonly url: string;
  /** List of its maker's checksums. */
  readonly checksums: string;
  /** Files wanted of those below that folder, by name. @default all */
  readonly files?: readonly string[];
  /** Go that can build it, for whoever must install one. */
  readonly go: string;
  /** Why it is needed at all, for people: `none is on PATH`. @default nothing is said */
  readonly because?: string;
}

export interface ObtainOptions {
  readonly progress: Progress;
  /** @default process.env */
  readonly env?: NodeJS.ProcessEnv | undefined;
}

/**
 * Puts it into a folder: the official download, else a build with the Go on PATH; and beside it, where it
 * came from. Returns that. Throws ToolchainError when neither can be had.
 */
export async function downloadOrBuild(
  what: Obtainable,
  folder: string,
  options: ObtainOptions,
): Promise<Tool["source"]> {
  const refusal = await refusalOfDownload(what, folder, options.progress);
  const because = what.because ? `${what.because}; ` : "";
  if (refusal === null) {
    writeOrigin(folder, { source: "download", why: `${because}official release, checked` });
    return "download";
  }
  const go = onPath("go", options.env ?? process.env);
  if (!go) {
    throw new ToolchainError(
      `no ${what.name} could be had${what.because ? ` (${what.because})` : ""}`,
      `the official download failed (${refusal}), and there is no Go to build it with`,
      `${what.instead}, or Go ${what.go}, then run this again`,
    );
  }
  await goBuild(what, go, folder, options);
  writeOrigin(folder, {
    source: "build",
    why: `${because}the official download failed (${refusal}); built from Go modules`,
  });
  return "build";
}

/** Downloads and unpacks it; null when that worked, else why it did not. */
async function refusalOfDownload(
  { name, version, url, checksums, files }: Obtainable,
  folder: string,
  progress: Progress,
): Promise<string | null> {
  const step = progress.step(`${name} ${version}`, "trying the official download");
  const file = join(folder, "download.tar.gz");
  try {
    await downloadChecked({
      url,
      checksums,
      file,
      onBytes: (received, total) =>
        step.note(`${megabytes(received)} of ${total === null ? "unknown" : megabytes(total)}`),
    });
    await runLogged("tar", ["-xzf", file, "--strip-components=1"], { cwd: folder });
    // GNU's tar and that of macOS do not agree on how some members are named.
    const unwanted = readdirSync(folder).filter((name) => files && !files.includes(name));
    for (const name of unwanted) rmSync(join(folder, name), { recursive: true });
    step.done("downloaded, checksum matches, unpacked");
    return null;
  } catch (error) {
    const refusal = error instanceof Error ? error.message : String(error);
    step.failed(`no download: ${refusal}`);
    return refusal;
  } finally {
    rmSync(file, { force: true });
  }
}

const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MB`;

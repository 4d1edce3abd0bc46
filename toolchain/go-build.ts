import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { ask, onPath, runLogged } from "./command.ts";
import { ToolchainError } from "./errors.ts";
import { parseVersion } from "./pins.ts";
import { createProgress, type Progress } from "./progress.ts";

/** A program that is built from Go modules, of one fixed version. */
export interface GoBuild {
  /** As people read it. */
  readonly name: string;
  readonly version: string;
  /** Folder of the `go.mod` and `go.sum` that fix what is built. */
  readonly lock: string;
  readonly packages: readonly string[];
  /** File or folder to write, relative to the folder that is built in. */
  readonly output: string;
  /** Flags of `go build` besides those of every build here. @default none */
  readonly flags?: readonly string[];
  /** `GOOS`, `GOARCH`. @default the machine's own */
  readonly target?: Readonly<Record<string, string>>;
  /** About how many packages are compiled, for the progress. @default not said */
  readonly goPackages?: number;
  /** What to do instead of building it, as the end of a sentence: `install etcd 3.6 or newer`. */
  readonly instead: string;
}

export interface GoBuildOptions {
  /** @default lines on stderr */
  readonly progress?: Progress | undefined;
  /** @default process.env */
  readonly env?: NodeJS.ProcessEnv | undefined;
}

/** The first Go that by itself fetches the newer one that a `go.mod` wants. */
const LOWEST_GO = [1, 21] as const;

/** Go on PATH, or where its own installation puts it; null when there is none. */
export const usualGo = (env: NodeJS.ProcessEnv = process.env): string | null =>
  onPath("go", env) ?? onPath("go", { PATH: "/usr/local/go/bin" });

/**
 * Builds it in a folder, with the Go whose path is given. Minutes with nothing cached; Go's own caches keep
 * what an interrupted run did. Throws ToolchainError when Go is too old or the build fails.
 */
export async function goBuild(
  what: GoBuild,
  go: string,
  folder: string,
  { progress = createProgress(), env = process.env }: GoBuildOptions = {},
): Promise<void> {
  const version = ask(go, ["env", "GOVERSION"], env) ?? "";
  const step = progress.step(`${what.name} ${what.version}`, `building with ${version || "Go"}`);
  const numbers = parseVersion(`${version.replace(/^go/, "")}.0`);
  if (numbers?.[0] !== LOWEST_GO[0] || numbers[1] < LOWEST_GO[1]) {
    step.failed(`Go is ${version || "broken"}`);
    throw new ToolchainError(
      `the Go at ${go} is ${version || "broken"}`,
      `${what.name} needs Go ${LOWEST_GO.join(".")}, which then fetches the one it wants, or newer`,
      `install a newer Go, or ${what.instead}`,
    );
  }
  for (const name of ["go.mod", "go.sum"]) copyFileSync(join(what.lock, name), join(folder, name));
  let fetched = 0;
  let compiled = 0;
  const of = what.goPackages === undefined ? "" : ` of about ${what.goPackages}`;
  const flags = ["-v", "-trimpath", "-buildvcs=false", ...(what.flags ?? [])];
  try {
    await runLogged(go, ["build", ...flags, "-o", what.output, ...what.packages], {
      cwd: folder,
      // Neither a workspace around the clone nor a newer module may change what the lock says.
      env: { ...env, CGO_ENABLED: "0", ...what.target, GOFLAGS: "-mod=readonly", GOWORK: "off" },
      onLine: (line) => {
        if (line.startsWith("go: downloading")) fetched += 1;
        else compiled += 1;
        step.note(`${fetched} modules fetched, ${compiled}${of} packages compiled`);
      },
    });
  } catch (error) {
    step.failed("the build failed");
    throw new ToolchainError(
      `${what.name} ${what.version} could not be built`,
      error instanceof Error ? error.message : String(error),
      `see Go's words above, or ${what.instead}`,
    );
  }
  step.done(`built, ${compiled} packages`);
}

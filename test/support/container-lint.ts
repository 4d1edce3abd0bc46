import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cacheEntry } from "../../toolchain/cache.ts";
import { type GoBuild, goBuild, usualGo } from "../../toolchain/go-build.ts";
import { createProgress } from "../../toolchain/progress.ts";

const SOURCES = join(import.meta.dirname, "container-lint");
const FILES = ["go.mod", "go.sum", "main.go"];
const BUILD: GoBuild = {
  name: "container-lint",
  version: "of this clone",
  lock: SOURCES,
  packages: ["."],
  output: "container-lint",
  instead: "take Go off PATH, and its test is left out",
};

/**
 * Reads a compose file and a Dockerfile as Docker does: Compose's own loader with its schema, and BuildKit's
 * parser with the checks of `docker build --check`. Built with Go once; null without Go.
 */
export async function containerLint(): Promise<ContainerLint | null> {
  const go = usualGo();
  if (!go) return null;
  const hash = createHash("sha256");
  for (const name of FILES) hash.update(readFileSync(join(SOURCES, name)));
  const key = `${process.arch}-${hash.digest("hex").slice(0, 12)}`;
  const build = async (work: string) => {
    copyFileSync(join(SOURCES, "main.go"), join(work, "main.go"));
    await goBuild(BUILD, go, work);
  };
  const folder = await cacheEntry("container-lint", key, build, { progress: createProgress() });
  return new ContainerLint(join(folder, "container-lint"));
}

export class ContainerLint {
  readonly #program: string;
  constructor(program: string) {
    this.#program = program;
  }

  /** The project as Compose understands it, `${…}` put in from `env`. Throws with its words. */
  // biome-ignore lint/suspicious/noExplicitAny: a document of Compose's own shape
  compose(file: string, env: Readonly<Record<string, string>> = {}): any {
    return JSON.parse(this.#run(["compose", file], env));
  }

  /** Warnings of the checks, the base of each stage, and its steps. Throws when it cannot be read. */
  dockerfile(file: string): {
    warnings: string[];
    from: string[];
    stages: { name: string; text: string }[][];
  } {
    return JSON.parse(this.#run(["dockerfile", file], {}));
  }

  #run(args: readonly string[], env: Readonly<Record<string, string>>): string {
    const path = { PATH: process.env.PATH ?? "", HOME: process.env.HOME ?? "" };
    try {
      return execFileSync(this.#program, args, {
        env: { ...path, ...env },
        stdio: "pipe",
      }).toString();
    } catch (error) {
      throw new Error((error as { stderr?: Buffer }).stderr?.toString() ?? String(error));
    }
  }
}

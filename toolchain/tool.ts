import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CacheOptions } from "./cache.ts";
import { createProgress } from "./progress.ts";

/**
 * Where a tool came from: named by an environment variable, found on PATH, from npm, downloaded from
 * its maker, built from Go modules, shipped beside another tool, or part of this project.
 */
export type Source = "environment" | "path" | "npm" | "download" | "build" | "beside" | "project";

/** A tool that is ready for use. */
export interface Tool {
  /** The file to run. */
  path: string;
  version: string;
  source: Source;
  /** Why this one, for people. */
  why: string;
}

/** Everything optional; the defaults are the real machine. */
export interface EnsureOptions extends Partial<CacheOptions> {
  env?: NodeJS.ProcessEnv;
}

export function withDefaults(options: EnsureOptions): EnsureOptions & CacheOptions {
  return { ...options, progress: options.progress ?? createProgress() };
}

const ORIGIN = "origin.json";

/** Remembers beside a cached tool where it came from, for later runs and `doctor`. */
export function writeOrigin(folder: string, origin: Pick<Tool, "source" | "why">): void {
  writeFileSync(join(folder, ORIGIN), `${JSON.stringify(origin)}\n`);
}

export function readOrigin(folder: string, otherwise: Pick<Tool, "source" | "why">) {
  try {
    return JSON.parse(readFileSync(join(folder, ORIGIN), "utf8")) as Pick<Tool, "source" | "why">;
  } catch {
    return otherwise;
  }
}

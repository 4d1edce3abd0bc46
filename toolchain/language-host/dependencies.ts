import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Direct dependencies of a Node project with their installed versions, for `pulumi about`. */
export function listDependencies(root: string): { name: string; version: string }[] {
  const manifest = readJson(join(root, "package.json")) as {
    dependencies?: Record<string, string>;
    devDependencies?: Record<string, string>;
  } | null;
  const wanted = { ...manifest?.dependencies, ...manifest?.devDependencies };
  return Object.entries(wanted).map(([name, range]) => {
    const installed = readJson(join(root, "node_modules", name, "package.json")) as {
      version?: string;
    } | null;
    return { name, version: installed?.version ?? range };
  });
}

function readJson(file: string): unknown {
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : null;
}

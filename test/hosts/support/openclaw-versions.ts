import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";

/**
 * The same OpenClaw under another version: a copy of its installation, whose files are links where the disk
 * is the same. Returns its entry file.
 * @param openclaw entry file of an installation by npm
 * @param folder does not exist yet
 * @param code what its entry file holds instead. @default what it holds
 */
export async function openclawAs(
  openclaw: string,
  folder: string,
  version: string,
  code?: string,
): Promise<string> {
  const modules = dirname(dirname(openclaw));
  copyTree(modules, join(folder, "node_modules"));
  const entry = join(folder, "node_modules", "openclaw", "openclaw.mjs");
  // The first is npm's, by the second a gateway says what it is.
  for (const name of ["package.json", join("dist", "build-info.json")]) {
    const file = join(dirname(entry), name);
    if (!existsSync(file)) continue;
    const text = { ...JSON.parse(readFileSync(file, "utf8")), version };
    await replace(file, JSON.stringify(text));
  }
  if (code !== undefined) await replace(entry, code);
  return entry;
}

function copyTree(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) copyTree(source, target);
    else if (entry.isFile()) link(source, target);
  }
}

function link(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
    copyFileSync(from, to);
  }
}

/** Another file under that name: the linked one is somebody else's too. */
async function replace(path: string, text: string): Promise<void> {
  await rm(path);
  writeFileSync(path, text, { mode: 0o644 });
}

import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { MemberFile } from "./member-file.ts";

const noteOf = ({ home }: MemberFile): string => join(home, "cluster-id");

/** Which cluster this member was of when it ran last; null: nobody has noted it yet. */
export function notedCluster(file: MemberFile): string | null {
  const path = noteOf(file);
  return existsSync(path) ? readFileSync(path, "utf8").trim() : null;
}

export function noteCluster(file: MemberFile, id: string): void {
  if (notedCluster(file) === id) return;
  const path = noteOf(file);
  writeFileSync(`${path}.new`, `${id}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

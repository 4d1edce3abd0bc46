import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { DirectoryTarget } from "../../../gateway/replication/directory-target.ts";
import { replicaTargetContract } from "../../contracts/replica-target.ts";

replicaTargetContract("a directory", async () => {
  const folder = mkdtempSync(join(tmpdir(), "target-"));
  const root = join(folder, "s1");
  return {
    open: () => new DirectoryTarget(root),
    // A file where the directory was: also root cannot go on from there.
    async block() {
      rmSync(root, { recursive: true });
      writeFileSync(root, "");
    },
    async killedWriter() {
      mkdirSync(join(root, ".tmp"), { recursive: true });
      writeFileSync(join(root, ".tmp", "half"), "ha");
    },
    async close() {
      rmSync(folder, { recursive: true, force: true });
    },
  };
});

it("keeps what it holds to its owner", async () => {
  const root = mkdtempSync(join(tmpdir(), "target-"));
  await new DirectoryTarget(root).put("a/b", Buffer.from("secret"), 1);
  expect(statSync(join(root, "a")).mode & 0o777).toBe(0o700);
  expect(statSync(join(root, "a", "b")).mode & 0o777).toBe(0o600);
  rmSync(root, { recursive: true });
});

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { resolveSsh } from "../../../plugin/host/ssh-client.ts";
import { PROJECT_ROOT } from "../../../toolchain/paths.ts";

const folder = mkdtempSync(join(tmpdir(), "ssh-client-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Files of known keys that this machine's own ssh would ask with such a line in its configuration. */
async function knownHosts(line: string): Promise<readonly string[]> {
  const configFile = join(folder, "config");
  writeFileSync(configFile, `${line}\n`);
  const host = { name: "a", address: "203.0.113.5" };
  return (await resolveSsh(host, configFile)).knownHosts;
}

/** A file of known keys that is there. */
function there(path: string): string {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, "");
  return file;
}
const ours = there("k of us/known");
const blanks = there("k  of us/a b");
const plain = there("plain");

test.each([
  ["a quoted path", `UserKnownHostsFile "${ours}" /plain`, [ours, "/plain"]],
  ["an escaped path", `UserKnownHostsFile ${ours.replaceAll(" ", "\\ ")}`, [ours]],
  ["two blanks", `UserKnownHostsFile "${blanks}" "${ours}"`, [blanks, ours]],
  ["a path at home", "UserKnownHostsFile /a ~/known", ["/a", join(homedir(), "known")]],
  [
    "paths that begin neither at the root nor at home",
    `UserKnownHostsFile mine "${ours}" theirs ${plain}`,
    [join(PROJECT_ROOT, "mine"), ours, join(PROJECT_ROOT, "theirs"), plain],
  ],
  ["no file", "UserKnownHostsFile /dev/null", []],
  [
    "what ssh has by itself",
    "User u",
    [".ssh/known_hosts", ".ssh/known_hosts2"].map((file) => join(homedir(), file)),
  ],
])("known hosts are asked where they are: %s", async (_, line, files) => {
  expect(await knownHosts(line)).toEqual(files);
});

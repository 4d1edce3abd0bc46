import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { resolveSsh } from "../../../plugin/host/ssh-client.ts";

const folder = mkdtempSync(join(tmpdir(), "ssh-client-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Files of known keys that this machine's own ssh would ask with such a line in its configuration. */
async function knownHosts(line: string): Promise<readonly string[]> {
  const configFile = join(folder, "config");
  writeFileSync(configFile, `${line}\n`);
  const host = { name: "a", address: "203.0.113.5" };
  return (await resolveSsh(host, configFile)).knownHosts;
}

test.each([
  ["a quoted path", `UserKnownHostsFile "/k of us/known" /plain`, ["/k of us/known", "/plain"]],
  ["an escaped path", String.raw`UserKnownHostsFile /k\ of\ us/known`, ["/k of us/known"]],
  ["two blanks", `UserKnownHostsFile "/k  of us/a b" "/c d"`, ["/k  of us/a b", "/c d"]],
  [
    "a path at home",
    `UserKnownHostsFile /a "~/of us/known"`,
    ["/a", join(homedir(), "of us/known")],
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

import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { PeerSites } from "../../../gateway/replication/peer-sites.ts";

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sites-"));
  path = join(folder, "hosts.json");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** As a deployment does it: whole, under its name at once. */
function say(hosts: object | string): void {
  const text = typeof hosts === "string" ? hosts : JSON.stringify(hosts);
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

const open = (hosts: string | Record<string, string> = path) =>
  new PeerSites(
    {
      ...{ kind: "sftp", hosts, port: 1, user: "replica", folder: "/files" },
      ...{ identityFile: join(folder, "key"), knownHostsFile: join(folder, "known") },
    },
    "a",
  );
const A = { a: "127.0.0.1" };
const AB = { ...A, b: "127.0.0.2" };
const ABC = { ...AB, c: "127.0.0.3" };

it("follows hosts that come and go, while it runs", async () => {
  say(AB);
  const sites = open();
  expect(sites.preferred("s1")).toEqual(["b"]);
  say(ABC);
  expect([...sites.preferred("s1")].sort()).toEqual(["b", "c"]);
  expect(sites.all("s1").map(([host]) => host)).toEqual(["a", "b", "c"]);
  say({ ...A, c: ABC.c });
  expect(sites.preferred("s1")).toEqual(["c"]);
  await sites.close();
});

it("uses another way to a host that is somewhere else now, and the same to others", async () => {
  say(ABC);
  const sites = open();
  const [b, c] = [sites.target("s1", "b"), sites.target("s1", "c")];
  // Only what was dialled has a connection to end.
  await Promise.all([b, c].map((target) => target.get("x").catch(() => null)));
  say({ ...ABC, b: "127.0.0.9" });
  expect(sites.target("s1", "b")).not.toBe(b);
  expect(sites.target("s1", "c")).toBe(c);
  await sites.close();
});

it("goes by what it knew while the file is no good", async () => {
  say(AB);
  const sites = open();
  say('{ "a":');
  expect(sites.preferred("s1")).toEqual(["b"]);
  say(ABC);
  expect(sites.preferred("s1")).toHaveLength(2);
  await sites.close();
});

it("does not begin without knowing the hosts", () => {
  expect(() => open()).toThrow("hosts.json");
});

it("takes hosts that are written out as they are", async () => {
  const sites = open(AB);
  expect(sites.preferred("s1")).toEqual(["b"]);
  await sites.close();
});

import { expect, test } from "vitest";
import { clean, hostParts } from "../../../cli/lib/support-parts.ts";
import { HostUnreachable, type OpenShell } from "../../../plugin/host/shell.ts";

const HOSTS = [
  { name: "a", address: "192.0.2.1" },
  { name: "b", address: "192.0.2.2" },
];

/** Host b does not answer. */
const open: OpenShell = ({ name }) => ({
  async exec(argv) {
    if (name === "b") throw new HostUnreachable("host b does not answer");
    return { code: 0, stdout: argv.join(" "), stderr: "" };
  },
  put: async () => {},
  close: async () => {},
});

test("each host gives the journal of its node, and of all that is the fleet's there", async () => {
  const parts = hostParts(HOSTS, open);
  expect(parts.map(({ name }) => name)).toEqual([
    "node-a.log",
    "host-a.log",
    "node-b.log",
    "host-b.log",
  ]);
  const [node, all] = parts;
  expect(await node?.text()).toMatch(/--unit=openclaw-fleet-node\.service .*--output=cat/);
  expect(await all?.text()).toContain("--unit=openclaw-fleet-* ");
});

test("a host that is away is named in the place of its journal", async () => {
  await expect(hostParts(HOSTS, open)[2]?.text()).rejects.toThrow("host b does not answer");
});

test("a host without a journal to show says what journalctl said", async () => {
  const refuses: OpenShell = () => ({
    exec: async () => ({ code: 1, stdout: "", stderr: "No journal files were opened\n" }),
    put: async () => {},
    close: async () => {},
  });
  await expect(hostParts(HOSTS, refuses)[0]?.text()).rejects.toThrow(
    "journalctl on a ended with 1",
  );
});

test("tokens, keys and passwords in addresses are taken out, whoever wrote them", () => {
  const key = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----";
  const text = [
    "token 0123456789abcdefXYZ here",
    "authorization: Bearer abcdefghijklmnopqrstuvwxyz",
    "key sk-abcdefghijklmnop",
    "at rediss+sentinel://fleet:hunter2@10.0.0.1:26379/x",
    key,
    "kept",
  ].join("\n");
  const safe = clean(text, ["0123456789abcdefXYZ", ""]);
  for (const secret of ["XYZ", "klmnop", "hunter2", "MHcCAQEE"]) expect(safe).not.toContain(secret);
  expect(safe).toContain("rediss+sentinel://fleet:[redacted]@10.0.0.1:26379/x");
  expect(safe).toContain("kept");
});

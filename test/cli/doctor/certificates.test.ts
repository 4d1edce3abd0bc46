import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "node:tls";
import { expect, test } from "vitest";
import { certificateCheck, certificateChecks, earliest } from "../../../cli/doctor/certificates.ts";

const NOW = Date.parse("2026-06-01T00:00:00Z");
const DAY_MS = 86_400_000;

test.each([
  [365, "ok", "good until 2027-06-01, 365 days"],
  [14, "ok", "14 days"],
  [13.9, "warn", "13 days"],
  [3, "warn", "3 days"],
  [2.9, "fail", "2 days"],
  [-1, "fail", "ended on 2026-05-31"],
] as const)("%d days before its end a certificate is %s", (days, state, text) => {
  const ends = new Date(NOW + days * DAY_MS).toISOString();
  const check = certificateCheck("c", { ends, fix: "renew", now: NOW });
  expect(check.state).toBe(state);
  expect(check.text).toContain(text);
  if (state !== "ok") expect(check.fix).toBe("renew");
});

test("of many the first that ends counts, and what says none is not looked at", async () => {
  expect(earliest({ a: "2027-01-02T00:00:00Z", b: "2027-01-01T00:00:00Z" })).toBe(
    "2027-01-01T00:00:00Z",
  );
  expect(earliest("2027-01-01T00:00:00Z")).toBe("2027-01-01T00:00:00Z");
  expect(earliest(undefined)).toBeNull();
  expect(await certificateChecks("x", {})).toEqual([]);
});

test("a front is asked for what it shows, whoever signed it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "fleet-shown-"));
  const key = join(folder, "key.pem");
  const cert = join(folder, "cert.pem");
  execFileSync(
    "openssl",
    [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
      ...["-subj", "/CN=front", "-days", "10", "-keyout", key, "-out", cert],
    ],
    { stdio: "pipe" },
  );
  const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const endpoint = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    const [own, front] = await certificateChecks("x", {
      certificatesExpire: { a: new Date(Date.now() + 100 * DAY_MS).toISOString() },
      endpoint,
    });
    expect(own).toMatchObject({ id: "certificates", state: "ok" });
    expect(front).toMatchObject({ id: "front certificate", state: "warn" });
    expect(front?.fix).toContain("A certificate ends soon");
  } finally {
    await new Promise((resolve) => server.close(resolve));
    rmSync(folder, { recursive: true, force: true });
  }
  const [gone] = await certificateChecks("x", { endpoint });
  expect(gone?.text).toContain("shows none");
});

import { afterEach, expect, test, vi } from "vitest";
import { announce } from "../../cli/announce.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

function said(
  stack: string,
  outputs: Readonly<Record<string, unknown>>,
  settings: Readonly<Record<string, unknown>> = {},
): string {
  const write = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  announce(stack, outputs, settings);
  const text = write.mock.calls.map(([part]) => String(part)).join("");
  write.mockRestore();
  return text;
}

const ENDPOINT = "https://203.0.113.7";

test("the end of an up says where the fleet is and what to do next, for its stack", () => {
  const text = said("staging", { endpoint: ENDPOINT, target: "ec2", caCertificate: null });
  expect(text).toContain(`Ready: ${ENDPOINT}`);
  expect(text).toContain('./fleet chat --stack staging "hello"');
  expect(text).toContain("./fleet output token --show-secrets --stack staging");
  expect(text).not.toContain("caCertificate");
  expect(said("dev", { endpoint: ENDPOINT, target: "local" })).not.toContain("--stack");
});

test("the page of the fleet is named where its routers answer", () => {
  const page = `in a browser ${ENDPOINT}/status`;
  for (const target of ["local", "hosts", "ec2"]) {
    expect(said("dev", { endpoint: ENDPOINT, target })).toContain(page);
  }
  expect(said("dev", { endpoint: ENDPOINT, target: "eks" })).not.toContain(page);
  expect(said("staging", { endpoint: ENDPOINT, target: "hosts" })).toContain(
    "./fleet output adminToken --show-secrets --stack staging",
  );
});

test("where nobody but the fleet vouches for its front, it says what clients need", () => {
  const outputs = { endpoint: ENDPOINT, target: "ec2", caCertificate: "-----BEGIN" };
  expect(said("staging", outputs)).toContain("./fleet output caCertificate --stack staging");
});

test.each([
  ["neither domain nor certificate", {}, true],
  ["a domain", { domain: "chat.example.com" }, false],
  [
    "a domain, and the fleet's certificate",
    { domain: "x.example", front: { certificate: "fleet" } },
    true,
  ],
  ["somebody's own certificate", { front: { certificate: "own" } }, false],
  ["somebody's own front", { front: { kind: "none" } }, false],
] as const)("on hosts that is so with %s: %s", (_, settings, needed) => {
  const outputs = { endpoint: ENDPOINT, target: "hosts", caCertificate: "-----BEGIN" };
  expect(said("vps", outputs, settings).includes("caCertificate")).toBe(needed);
});

import { expect, test } from "vitest";
import { COMPILES, hardening, WITH_NETLINK } from "../../../components/host/hardening.ts";

const linesOf = (...args: Parameters<typeof hardening>) => hardening(...args).split("\n");

test("a service that says nothing writes nowhere, has no capability, and speaks to the Internet and UNIX", () => {
  const lines = linesOf();
  for (const line of [
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "MemoryDenyWriteExecute=yes",
    "CapabilityBoundingSet=",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
  ]) {
    expect(lines).toContain(line);
  }
  expect(lines.filter((line) => line.startsWith("ReadWritePaths"))).toEqual([]);
});

test("it is given what it names, and nothing else changes", () => {
  const given = linesOf({
    writes: ["/a", "/b"],
    capabilities: ["CAP_CHOWN"],
    sockets: WITH_NETLINK,
    except: COMPILES,
  });
  const usual = linesOf();
  expect(given.filter((line) => !usual.includes(line))).toEqual([
    "ReadWritePaths=/a /b",
    "CapabilityBoundingSet=CAP_CHOWN",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK",
  ]);
  expect(usual.filter((line) => !given.includes(line))).toEqual([
    "MemoryDenyWriteExecute=yes",
    "CapabilityBoundingSet=",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
  ]);
});

test("null leaves capabilities and sockets as systemd has them", () => {
  const text = hardening({ capabilities: null, sockets: null });
  expect(text).not.toMatch(/CapabilityBoundingSet|RestrictAddressFamilies/);
});

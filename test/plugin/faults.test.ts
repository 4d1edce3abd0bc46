import { expect, test } from "vitest";
import { z } from "zod";
import { failuresOf, faultsOfKnown, refuseIfProtected } from "../../plugin/faults.ts";
import { pinned } from "../../plugin/host/connection.ts";
import { UNKNOWN } from "../../plugin/values.ts";

const shape = z.strictObject({ name: z.string(), ports: z.array(z.number()) });

test("faults are named by property", () => {
  const { error } = shape.safeParse({ name: "a", ports: [1, "two"] });
  expect(failuresOf(error).map(({ property }) => property)).toEqual(["ports.1"]);
  expect(failuresOf(undefined)).toEqual([]);
});

test("what is not known yet is no fault, and what is known is still looked at", () => {
  const of = (all: object) => faultsOfKnown(shape, { ...all }).map(({ property }) => property);
  expect(of({ name: UNKNOWN, ports: [1, UNKNOWN] })).toEqual([]);
  expect(of({ name: UNKNOWN, ports: ["two"] })).toEqual(["ports.0"]);
  expect(of({ ports: [1] })).toEqual(["name"]);
});

test("a protected stack is not destroyed, but what its program takes away goes", () => {
  const operation = { signal: new AbortController().signal, say() {} };
  const end = (isProtected: unknown, programRuns: boolean) => () =>
    refuseIfProtected(isProtected, { ...operation, programRuns }, "node a was not stopped");
  expect(end(true, false)).toThrow(/^node a was not stopped: .*openclaw-fleet:environment prod/);
  for (const [isProtected, programRuns] of [
    [true, true],
    [false, false],
    [undefined, false],
  ] as const) {
    expect(end(isProtected, programRuns)).not.toThrow();
  }
});

test("a host's key that was seen is asked for, unless the person names one", () => {
  const host = { name: "a", address: "192.0.2.1" };
  expect(pinned(host, { host, hostKey: "seen" })).toEqual({ ...host, hostKey: "seen" });
  expect(pinned({ ...host, hostKey: "named" }, { host, hostKey: "seen" }).hostKey).toBe("named");
  expect(pinned(host, { host, hostKey: "" })).toEqual(host);
});

test("a key that another machine under its name showed is forgotten", () => {
  const on = (instanceId: string, address = "10.0.0.4") => {
    return { name: "a", address, session: { instanceId, region: "eu-north-1" } };
  };
  const seen = { host: on("i-1"), hostKey: "seen" };
  expect(pinned(on("i-1", "10.0.0.5"), seen).hostKey).toBe("seen");
  expect(pinned(on("i-2"), seen)).toEqual(on("i-2"));
  expect(pinned({ ...on("i-2"), hostKey: "named" }, seen).hostKey).toBe("named");
});

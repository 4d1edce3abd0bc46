import { describe, expect, test } from "vitest";
import { ArtifactHandler } from "../../../plugin/host/artifact.ts";
import { type HostShell, HostUnreachable } from "../../../plugin/host/shell.ts";
import { UNKNOWN } from "../../../plugin/values.ts";

const inputs = {
  host: { name: "a", address: "203.0.113.5" },
  artifact: "2026.9.6-0123456789ab",
  needs: {
    fleet: "prod",
    node: "a",
    arch: "x64",
    memoryMiB: 2_048,
    dataMiB: 10_000,
    ports: { "443": "the front" },
    units: ["nginx.service"],
  },
};
const state = {
  ...inputs,
  condition: "whole",
  hostKey: "ssh-ed25519 AAAA",
  previous: "",
  parts: [{ name: "bin", id: "1", shape: "2" }],
};
const away = new ArtifactHandler({
  open: () => {
    throw new HostUnreachable("host a: cannot be reached");
  },
  release: () => Promise.reject(new Error("not needed")),
  env: {},
});
const operation = {
  preview: false,
  programRuns: true,
  say: () => {},
  signal: new AbortController().signal,
};

describe("inputs of a release on a host", () => {
  const failures = (change: object) => away.check(undefined, { ...inputs, ...change }).failures;

  test("are taken as they are when they can be", () => {
    expect(away.check(undefined, inputs)).toEqual({ inputs, failures: [] });
  });

  test.each([
    [{ artifact: "../../etc" }, "artifact"],
    [{ artifact: "" }, "artifact"],
    [{ host: { name: "a" } }, "host.address"],
    [{ needs: { ...inputs.needs, arch: "mips" } }, "needs.arch"],
    [{ needs: { ...inputs.needs, ports: { https: "x" } } }, "needs.ports.https"],
    [{ needs: { ...inputs.needs, memoryMiB: -1 } }, "needs.memoryMiB"],
  ])("%o fails at %s", (change, property) => {
    expect(failures(change).map((failure) => failure.property)).toEqual([property]);
  });

  test("that are not known yet are looked at later", () => {
    expect(failures({ artifact: UNKNOWN })).toEqual([]);
  });
});

describe("what a change of it means", () => {
  const diff = (change: object, made: object = {}) =>
    away.diff({ ...state, ...made }, inputs, { ...inputs, ...change });

  test("nothing for the same", () => {
    expect(diff({})).toEqual({ changes: [], replaces: [], outputOnly: [] });
  });

  test("another release, address or need is an update", () => {
    expect(diff({ artifact: "2027.1.1-0" }).changes).toEqual([
      { path: "artifact", kind: "update" },
    ]);
    expect(diff({ host: { ...inputs.host, address: "203.0.113.6" } })).toMatchObject({
      changes: [{ path: "host.address" }],
      replaces: [],
    });
    expect(diff({ needs: { ...inputs.needs, memoryMiB: 1 } }).replaces).toEqual([]);
  });

  test("another host is another resource", () => {
    expect(diff({ host: { ...inputs.host, name: "b" } }).replaces).toEqual(["host.name"]);
  });

  test("damage that refresh saw is an update by itself", () => {
    expect(diff({}, { condition: "bin is damaged" })).toEqual({
      changes: [{ path: "condition", kind: "update" }],
      replaces: [],
      outputOnly: ["condition"],
    });
  });
});

describe("releases that nobody names any more", () => {
  /** Whether they were removed from a host with this record, and what was said. */
  async function deleted(record: object | string | null) {
    const text = typeof record === "string" ? record : JSON.stringify(record);
    const asked: string[] = [];
    const shell: HostShell = {
      async exec(argv) {
        asked.push(argv.join(" "));
        const survey = argv[1] === "-s" && record !== null;
        return { code: 0, stdout: survey ? `record ${text}\n` : "", stderr: "" };
      },
      put: () => Promise.reject(new Error("nothing is put")),
      close: async () => {},
    };
    const said: string[] = [];
    const handler = new ArtifactHandler({ open: () => shell, env: {} });
    await handler.delete("prod/a", state, { ...operation, say: (line) => void said.push(line) });
    return { removed: asked.some((line) => line.includes("rm -rf")), said };
  }

  test.each([
    ["nothing of a fleet", null],
    ["the same node's kept data", { fleet: "prod", node: "a", complete: true }],
  ])("go from a host with %s", async (_, record) => {
    expect(await deleted(record)).toEqual({ removed: true, said: [] });
  });

  test("of a host whose connection broke in the middle are not said to be all there", async () => {
    const shell: HostShell = {
      async exec(argv) {
        if (!argv.join(" ").includes("rm -rf")) return { code: 0, stdout: "", stderr: "" };
        throw new HostUnreachable("host a: the connection broke off");
      },
      put: () => Promise.reject(new Error("nothing is put")),
      close: async () => {},
    };
    const gone = new ArtifactHandler({ open: () => shell, env: {} }).delete(
      "prod/a",
      state,
      operation,
    );
    await expect(gone).rejects.toThrow(/broke off\nWhat was removed there is not known/);
  });

  test.each([
    ["another node of the fleet", { fleet: "prod", node: "fra1" }, "node fra1 of fleet prod"],
    ["another fleet", { fleet: "second", node: "a" }, "node a of fleet second"],
    ["a fleet that cannot be read", '{"fleet": "se', "node unknown of fleet unknown"],
  ])("stay on a host that carries %s by now", async (_, record, whose) => {
    expect(await deleted(record)).toEqual({
      removed: false,
      said: [`releases stay: a (203.0.113.5) carries ${whose} now`],
    });
  });
});

describe("a host that does not answer", () => {
  test("is a condition for refresh, not a failure", async () => {
    const read = await away.read("prod/a", state, inputs);
    expect(read?.state.condition).toBe("host a: cannot be reached");
    expect(read?.inputs).toBe(inputs);
  });

  test("fails its own step with its own words", async () => {
    await expect(away.create(inputs, operation)).rejects.toThrow(/^host a: cannot be reached$/);
    await expect(away.update("prod/a", state, inputs, operation)).rejects.toThrow(
      /^host a: cannot be reached$/,
    );
    await expect(away.delete("prod/a", state, operation)).rejects.toThrow(
      /OPENCLAW_FLEET_FORGET_HOSTS=a/,
    );
  });

  test("nothing begins after an interruption", async () => {
    const stopped = { ...operation, signal: AbortSignal.abort() };
    await expect(away.create(inputs, stopped)).rejects.toThrow(/interrupted while sending/);
  });
});

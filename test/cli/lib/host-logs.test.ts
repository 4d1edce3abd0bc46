import { expect, test } from "vitest";
import { hostsOf, readJournals } from "../../../cli/lib/host-logs.ts";
import type { LogLine } from "../../../cli/lib/log-lines.ts";
import { HostUnreachable, type OpenShell } from "../../../plugin/host/shell.ts";

const A = { name: "a", address: "192.0.2.1" };
const B = { name: "b", address: "192.0.2.2" };

/** Hosts whose journals hold these lines; one without an entry cannot be reached. */
const opens = (journals: Record<string, string[]>, asked: string[][] = []): OpenShell => {
  return ({ name }) => ({
    async exec(argv, { onLine } = {}) {
      asked.push([...argv]);
      const lines = journals[name];
      if (!lines) throw new HostUnreachable(`host ${name} does not answer`);
      for (const line of lines) onLine?.(line);
      return { code: 0, stdout: "", stderr: "" };
    },
    put: async () => {},
    close: async () => {},
  });
};

const signal = new AbortController().signal;

test("every host's lines come, and what is no JSON comes as it is under its node", async () => {
  const seen: LogLine[] = [];
  const asked: string[][] = [];
  const json = '{"time":"2026-01-01T00:00:00Z","level":"info","msg":"up","instanceId":"a"}';
  const reached = await readJournals([A, B], opens({ a: [json], b: ["Segfault"] }, asked), {
    lines: 7,
    follow: true,
    signal,
    onLine: (line) => seen.push(line),
  });
  expect(reached).toBe(2);
  expect(seen.map(({ msg, instanceId }) => [instanceId, msg]).sort()).toEqual([
    ["a", "up"],
    ["b", "Segfault"],
  ]);
  expect(asked[0]).toContain("--lines=7");
  expect(asked[0]).toContain("--follow");
});

test("a host that is away keeps nobody from the others' lines", async () => {
  const seen: LogLine[] = [];
  const options = { lines: 7, follow: false, signal, onLine: (line: LogLine) => seen.push(line) };
  expect(await readJournals([A, B], opens({ b: ["x"] }), options)).toBe(1);
  expect(seen).toHaveLength(1);
});

test("hosts are read from the outputs, and outputs without any name none", () => {
  expect(hostsOf({ hosts: [A] })).toEqual([A]);
  expect(hostsOf({})).toEqual([]);
});

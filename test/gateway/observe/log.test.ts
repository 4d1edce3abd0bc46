import { expect, test } from "vitest";
import { createLogger } from "../../../gateway/observe/log.ts";

function lines(use: (log: ReturnType<typeof createLogger>) => void): Record<string, unknown>[] {
  const out: string[] = [];
  use(createLogger({ instanceId: "n1", level: "info", write: (line) => out.push(line) }));
  return out.map((line) => JSON.parse(line));
}

test("a line has the contract's fields", () => {
  const [line] = lines((log) =>
    log.child({ shard: "s1", epoch: 3 }).warn({ requestId: "r" }, "hm"),
  );
  expect(line).toMatchObject({
    level: "warn",
    msg: "hm",
    instanceId: "n1",
    shard: "s1",
    epoch: 3,
    requestId: "r",
  });
  expect(new Date(line?.time as string).toISOString()).toBe(line?.time);
});

test("secrets are taken out, counts of tokens are not", () => {
  const [line] = lines((log) =>
    log.info(
      {
        token: "abc",
        headers: { authorization: "Bearer abcdefghijkl", "x-api-key": "k" },
        usage: { tokens: 12 },
        tokens: ["a", "b"],
      },
      "said Bearer abcdefghijkl to it",
    ),
  );
  expect(JSON.stringify(line)).not.toMatch(/abc|"k"|"a"/);
  expect(line).toMatchObject({ usage: { tokens: 12 }, tokens: ["[redacted]", "[redacted]"] });
});

test("an error keeps its message and stack", () => {
  const [line] = lines((log) => log.error({ err: new Error("broken") }, "it failed"));
  expect(line?.err).toMatchObject({ type: "Error", message: "broken" });
});

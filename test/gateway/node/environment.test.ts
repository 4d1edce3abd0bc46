import { expect, test } from "vitest";
import { nodeConfig } from "../../../gateway/config.ts";
import { withEnvironment } from "../../../gateway/node/environment.ts";

const node = nodeConfig.parse({
  version: 1,
  id: "b",
  dataDir: "/data",
  release: { id: "1", node: "/node", openclaw: "/openclaw.mjs", runtime: "/runtime" },
  cores: 1,
  redisUrl: "redis://of-the-file",
});

test("without variables a node is what its file says", () => {
  expect(withEnvironment(node, { OPENCLAW_REDIS_URL: "", OPENCLAW_INSTANCE_ID: "" })).toEqual(node);
});

test("OPENCLAW_REDIS_URL goes before the file", () => {
  const env = { OPENCLAW_REDIS_URL: "redis://of-the-environment" };
  expect(withEnvironment(node, env).redisUrl).toBe("redis://of-the-environment");
});

test("a node that is told its name starts, one that is told another name does not", () => {
  expect(withEnvironment(node, { OPENCLAW_INSTANCE_ID: "b" }).id).toBe("b");
  expect(() => withEnvironment(node, { OPENCLAW_INSTANCE_ID: "gateway-1" })).toThrow(
    /OPENCLAW_INSTANCE_ID is gateway-1, but this is node b/,
  );
});

test("a level of the log that is none is said beside every other fault", () => {
  expect(withEnvironment(node, { OPENCLAW_FLEET_LOG_LEVEL: "debug" })).toEqual(node);
  const env = { OPENCLAW_FLEET_LOG_LEVEL: "loud", OPENCLAW_INSTANCE_ID: "x" };
  expect(() => withEnvironment(node, env)).toThrow(/INSTANCE_ID is x.*\n.*LOG_LEVEL is "loud"/);
});

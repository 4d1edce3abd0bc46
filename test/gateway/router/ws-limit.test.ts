import { expect, test } from "vitest";
import { limited } from "../../../gateway/router/ws-limit.ts";
import type { Frame, Link } from "../../../gateway/router/ws-link.ts";

test("a conversation's key that is no text names no agent, and ends no connection", async () => {
  let hear: (frame: Frame) => void = () => {};
  const link = { listen: (next: (frame: Frame) => void) => (hear = next) } as never as Link;
  const asked: (string | null)[] = [];
  const passed: Frame[] = [];
  const counted = limited(link, () => async (agent) => void asked.push(agent));
  counted.listen((frame) => passed.push(frame));
  for (const sessionKey of [{ toString: 1 }, ["agent:x:y"], 7, null, "agent:Writer:main"]) {
    const frame = { type: "req", id: "1", method: "agent", params: { sessionKey } };
    hear({ data: Buffer.from(JSON.stringify(frame)), isBinary: false } as never as Frame);
  }
  await expect.poll(() => passed).toHaveLength(5);
  expect(asked).toEqual([null, null, null, null, "writer"]);
});

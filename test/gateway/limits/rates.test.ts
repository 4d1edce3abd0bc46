import { expect, test } from "vitest";
import { MemoryRates, RATE_WINDOW_MS } from "../../../gateway/limits/rates.ts";
import { UsageTail } from "../../../gateway/limits/usage-tail.ts";
import { rateStoreContract } from "../../contracts/rate-store.ts";

rateStoreContract("A router's own memory", async () => {
  let now = 5;
  const rates = new MemoryRates({ now: () => now });
  return {
    open: () => rates,
    advance: (ms) => {
      now += ms;
    },
    close: async () => {},
  };
});

test("buckets that drained are forgotten, others never", async () => {
  let now = 0;
  const rates = new MemoryRates({ now: () => now });
  await rates.charge("full", RATE_WINDOW_MS, false);
  for (let n = 0; n < 9_998; n++) await rates.charge(`b${n}`, 1, false);
  now = 1_000;
  await rates.charge("one more", 1, false);
  expect(await rates.charge("full", 2_000, false)).toBe(1_000);
});

test.each([
  ['{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens": 5,"total_tokens":12}}', 12],
  ['{"output":[],"usage":{"input_tokens":3,"output_tokens":4,"total_tokens":7}}', 7],
  [
    'data: {"delta":"a"}\n\ndata: {"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\ndata: [DONE]\n\n',
    3,
  ],
  ['{"choices":[{"message":{"content":"no usage"}}]}', 0],
  ["", 0],
])("tokens are read out of an answer that passes: %s", (text, tokens) => {
  for (const size of [1, 7, 10_000]) {
    const tail = new UsageTail();
    const bytes = Buffer.from("x".repeat(9_000) + text);
    for (let at = 0; at < bytes.length; at += size) tail.push(bytes.subarray(at, at + size));
    expect(tail.tokens()).toBe(tokens);
  }
});

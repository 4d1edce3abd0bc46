import { describe, expect, test } from "vitest";
import { answer, countTokens } from "../../../gateway/model/answer.ts";
import { parseDirectives } from "../../../gateway/model/directives.ts";

const RUNTIME =
  "\n\nRuntime: agent=main | session=agent:main:a | host=vm | model=demo/echo | channel=webchat";
const INTERNAL = [
  {
    type: "text",
    text: '<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>\n"Active exec sessions:\\nnone"\n<<<END_OPENCLAW_INTERNAL_CONTEXT>>>',
  },
];

describe("the echo", () => {
  test("answers what the person said, without what OpenClaw puts around it", () => {
    const given = answer([
      { role: "system", content: "You are an assistant." },
      { role: "user", content: `[Sat 2026-11-21 08:03 UTC] hello there${RUNTIME}` },
      { role: "user", content: INTERNAL },
    ]);
    expect(given.reply).toBe("You said: hello there");
  });

  test("answers the interrupted question when OpenClaw takes it up again", () => {
    const given = answer([
      {
        role: "user",
        content:
          "[Sat 2026-11-21 08:08 UTC] [Queued user message from a previous active turn; preserved as " +
          "context only. Continue with the active prompt below.]\nmid model [[run=k1]]\n\n" +
          "[System] Your previous turn was interrupted by a gateway restart while it ran. Go on.",
      },
    ]);
    expect(given).toMatchObject({ reply: "You said: mid model", asked: "mid model" });
    expect(given.directives.run).toBe("k1");
  });

  test("passes over a recovery row that stands alone", () => {
    const given = answer([
      { role: "user", content: "first" },
      { role: "assistant", content: "You" },
      { role: "user", content: "[System] Your previous turn was interrupted by a restart." },
    ]);
    expect(given.reply).toBe("You said: first");
    const successor = answer([
      { role: "user", content: "first" },
      { role: "assistant", content: "I couldn't continue this session." },
      { role: "user", content: "[System] Continue from the recovered transcript and finish it." },
    ]);
    expect(successor.reply).toBe("You said: first");
  });

  test("answers the same question when a failed call is tried again", () => {
    const content =
      "why\n\nContinue the current task from the existing transcript, preserving work.";
    expect(answer([{ role: "user", content }]).asked).toBe("why");
  });

  test("has something to say when nobody spoke", () => {
    expect(answer([{ role: "system", content: "x" }]).reply).toBe("I am listening.");
  });

  test("knows that a tool has answered since the question, and only since then", () => {
    const ask = { role: "user", content: "go [[tool=ls]]" };
    const tool = { role: "tool", content: "a.txt" };
    expect(answer([ask, tool, { role: "user", content: INTERNAL }]).toolAnswered).toBe(true);
    expect(answer([ask, tool, ask]).toolAnswered).toBe(false);
  });

  test.each([0, 1, 2, 3, 4, 500])("has as many words as asked for: %i", (words) => {
    const { reply } = answer([{ role: "user", content: `hi [[tokens=${words}]]` }]);
    expect(countTokens(reply)).toBe(words);
  });
});

describe("directives", () => {
  test("are read and taken out of the text", () => {
    const { directives, text } = parseDirectives(
      "slow [[delay=200]] please [[run=a-b.c:1]] [[fail=503]]",
    );
    expect(text).toBe("slow please");
    expect(directives).toEqual({
      delayMs: 200,
      tokens: null,
      fail: 503,
      run: "a-b.c:1",
      tool: null,
    });
  });

  test.each([
    "[[fail=200]]",
    "[[fail=600]]",
    "[[delay=-1]]",
    "[[delay=x]]",
    "[[tokens=1.5]]",
    "[[no=1]]",
  ])("out of range stay in the text: %s", (text) => {
    expect(parseDirectives(text)).toEqual({
      directives: { delayMs: 0, tokens: null, fail: null, run: null, tool: null },
      text,
    });
  });
});

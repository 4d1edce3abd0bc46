import { afterEach, describe, expect, test } from "vitest";
import {
  type DemoModel,
  type DemoModelOptions,
  type ModelCall,
  startDemoModel,
} from "../../../gateway/model/server.ts";

let model: DemoModel | null = null;
afterEach(async () => {
  await model?.close();
  model = null;
});

async function start(options: DemoModelOptions = {}): Promise<DemoModel> {
  model = await startDemoModel(options);
  return model;
}

function ask(text: string, more: object = {}, signal?: AbortSignal): Promise<Response> {
  return fetch(`${model?.url}/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ model: "echo", messages: [{ role: "user", content: text }], ...more }),
    signal,
  });
}

async function streamed(response: Response) {
  const lines = (await response.text()).split("\n\n").filter((line) => line !== "");
  expect(lines.at(-1)).toBe("data: [DONE]");
  const chunks = lines.slice(0, -1).map((line) => JSON.parse(line.slice("data: ".length)));
  const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");
  return { chunks, text };
}

describe("the demo model", () => {
  test("echoes with usage that adds up", async () => {
    await start();
    const body = (await (await ask("hello you")).json()) as {
      choices: { message: { content: string }; finish_reason: string }[];
      usage: object;
    };
    expect(body.choices[0]?.message.content).toBe("You said: hello you");
    expect(body.choices[0]?.finish_reason).toBe("stop");
    expect(body.usage).toEqual({ prompt_tokens: 2, completion_tokens: 4, total_tokens: 6 });
  });

  test("streams the same words, in pieces when it is slow, with usage when asked", async () => {
    await start();
    const quick = await streamed(await ask("one two", { stream: true }));
    expect(quick.text).toBe("You said: one two");
    expect(quick.chunks.every((chunk) => chunk.usage === undefined)).toBe(true);
    const slow = await streamed(
      await ask("one two [[delay=300]]", { stream: true, stream_options: { include_usage: true } }),
    );
    expect(slow.text).toBe("You said: one two");
    expect(slow.chunks.filter((chunk) => chunk.choices[0]?.delta.content).length).toBe(3);
    expect(slow.chunks.at(-1).usage.completion_tokens).toBe(4);
  });

  test("fails as the message asks", async () => {
    await start();
    const response = await ask("no [[fail=503]]");
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ error: { type: "demo_model_error" } });
  });

  test("calls a tool once, and only one that is offered", async () => {
    await start();
    const tools = [{ type: "function", function: { name: "ls" } }];
    const text = "look [[tool=ls]]";
    const first = await streamed(await ask(text, { stream: true, tools }));
    expect(JSON.stringify(first.chunks)).toContain('"name":"ls"');
    const messages = [
      { role: "user", content: text },
      { role: "tool", content: "a" },
    ];
    expect((await streamed(await ask(text, { stream: true, tools, messages }))).text).toBe(
      "You said: look",
    );
    expect((await streamed(await ask(text, { stream: true }))).text).toBe("You said: look");
  });

  test("shows every call when it begins and when it ends, an aborted one too", async () => {
    const calls: ModelCall[] = [];
    const ended = Promise.withResolvers<void>();
    await start({
      onCall: (call) => {
        calls.push(call);
        if (call.outcome === "aborted") ended.resolve();
      },
    });
    await (await ask("a [[run=k1]]")).text();
    const gone = new AbortController();
    const slow = await ask("b [[run=k2]] [[delay=60000]]", { stream: true }, gone.signal);
    gone.abort();
    await expect(slow.text()).rejects.toThrow();
    await ended.promise;
    expect(calls.map((call) => [call.runKey, call.text, call.outcome])).toEqual([
      ["k1", "a", null],
      ["k1", "a", "answered"],
      ["k2", "b", null],
      ["k2", "b", "aborted"],
    ]);
    expect(calls[0]?.id).toBe(calls[1]?.id);
    expect(calls[3]?.endedAt).toBeGreaterThanOrEqual(calls[3]?.startedAt ?? Infinity);
  });

  test("lists its model and refuses what it does not know", async () => {
    await start();
    const models = (await (await fetch(`${model?.url}/models`)).json()) as {
      data: { id: string }[];
    };
    expect(models.data.map(({ id }) => id)).toEqual(["echo"]);
    expect((await fetch(`${model?.url}/embeddings`, { method: "POST" })).status).toBe(404);
    for (const body of ["", "{", "[]", "{}", '{"messages":1}']) {
      const response = await fetch(`${model?.url}/chat/completions`, { method: "POST", body });
      expect(response.status).toBe(400);
    }
  });
});

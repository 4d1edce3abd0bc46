import fc from "fast-check";
import { expect, test } from "vitest";
import { RouterError } from "../../../gateway/router/errors.ts";
import {
  bodyHash,
  keyedIdentity,
  keyedSession,
  parseIdempotencyKey,
} from "../../../gateway/router/idempotency.ts";
import { agentOfModel, requestKey, sessionKey } from "../../../gateway/router/key.ts";
import { PATTERNS, patternOf, resolveTarget } from "../../../gateway/router/routes.ts";

const key = (over: Partial<Parameters<typeof requestKey>[0]> = {}) =>
  requestKey({ headers: {}, pathAgent: null, newSession: () => "new", ...over });

test.each([
  [{ headers: { "x-openclaw-agent": "A" }, pathAgent: "b", agent: "c", model: "openclaw/d" }, "a"],
  [{ pathAgent: "B", agent: "c", model: "openclaw/d" }, "b"],
  [{ agent: "C", model: "openclaw/d" }, "c"],
  [{ model: "openclaw/D" }, "d"],
  [{ model: "openclaw:d" }, "d"],
  [{ model: "agent:d" }, "d"],
  [{ model: "openclaw/default" }, "main"],
  [{ model: "gpt-5" }, "main"],
  [{}, "main"],
])("agent of %j is %s: header, path, field, model, else main", (source, agent) => {
  expect(key(source as never).agent).toBe(agent);
});

test.each([
  [{ headers: { "x-openclaw-session": "A" }, session: "b", user: "c" }, "a", false],
  [{ session: "B", user: "c" }, "b", false],
  [{ user: "Alice@X" }, "alice@x", false],
  [{ user: "agent:main:Bob" }, "bob", false],
  [{ user: "  " }, "new", true],
  [{}, "new", true],
])("session of %j is %s", (source, session, fresh) => {
  expect(key(source as never)).toMatchObject({ session, fresh });
});

test("a user that can be no name becomes a stable one of its own", () => {
  const one = key({ user: "Alice Smith" }).session;
  expect(one).toBe(key({ user: "alice smith" }).session);
  expect(one).not.toBe(key({ user: "alice smyth" }).session);
});

test.each([
  { headers: { "x-openclaw-agent": "a, b" } },
  { agent: "../x" },
  { agent: 7 },
  { session: "a b" },
  { session: "cron:x" },
  { session: "agent:other:x" },
  { session: "agent:main:subagent:x" },
  { user: {} },
])("%j is refused as bad_request", (source) => {
  expect(() => key(source as never)).toThrow(RouterError);
});

test("law: a key is lower-cased, fits a header, and its full name names agent and session again", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.string(), (agent, session, user) => {
      try {
        const got = key({ agent, session, user });
        expect(got.agent).toMatch(/^[a-z0-9][a-z0-9_-]*$/);
        expect(got.session).toMatch(/^[\x21-\x7e]+$/);
        expect(got.session).toBe(got.session.toLowerCase());
        const full = sessionKey(got.agent, got.session);
        expect(key({ agent: got.agent, session: full })).toMatchObject({
          agent: got.agent,
          session: got.session,
        });
      } catch (error) {
        expect(error).toBeInstanceOf(RouterError);
      }
    }),
  );
});

test("law: any path either resolves or is refused in our own words, and its label is a listed one", () => {
  const parts = fc.constantFrom(
    "/",
    "..",
    "v1",
    "chat",
    "%2e",
    "agents",
    "hooks",
    "a",
    "?x=/",
    "\\",
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(parts).map((list) => list.join("")),
      ),
      (url) => {
        expect(PATTERNS).toContain(patternOf(url));
        try {
          const target = resolveTarget(url, "POST");
          expect(target.upstreamPath.startsWith("/")).toBe(true);
          expect(target.upstreamPath.split("?")[0]).not.toMatch(
            // A name may begin with two dots; a backslash counts as a slash in a URL.
            /(?:^|[/\\])\.\.(?:[/\\]|$)|\/\/|admin\/rpc/,
          );
        } catch (error) {
          expect(error).toBeInstanceOf(RouterError);
        }
      },
    ),
  );
});

test("the agent's prefix is taken off what OpenClaw sees", () => {
  expect(resolveTarget("/agents/Helper/v1/models?x=1", "GET")).toMatchObject({
    pathAgent: "Helper",
    upstreamPath: "/v1/models?x=1",
    pattern: "/v1/models",
  });
  expect(() => resolveTarget("/agents/a/api/v1/fleet", "GET")).toThrow(/nothing at/);
  expect(resolveTarget("/agents/a/", "GET", true).kind).toBe("websocket");
});

test("a run id is a UUID made of token, agent, session and key, each in its own place", () => {
  const id = keyedIdentity("t", "a", "s", "k").runId;
  expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(keyedIdentity("t", "a", "s", "k").runId).toBe(id);
  const others = [
    keyedIdentity("u", "a", "s", "k"),
    keyedIdentity("t", "as", "", "k"),
    keyedIdentity("t", "a", "sk", ""),
    keyedIdentity("t", "a", "s", "l"),
  ].map((each) => each.runId);
  expect(new Set([id, ...others]).size).toBe(5);
  expect(keyedSession("t", "a", "k")).not.toBe(keyedSession("t", "a", "l"));
  expect(bodyHash("x")).not.toBe(bodyHash("y"));
  expect(parseIdempotencyKey(undefined)).toBeNull();
  expect(() => parseIdempotencyKey("")).toThrow(RouterError);
  expect(() => parseIdempotencyKey("x".repeat(256))).toThrow(RouterError);
});

test("agents of models", () => {
  expect(agentOfModel("openclaw/Writer")).toBe("writer");
  expect(agentOfModel(undefined)).toBeNull();
});

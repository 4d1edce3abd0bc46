import { describe, expect, test } from "vitest";
import {
  ADMIN_SCOPES,
  buildConnect,
  CLIENT_SCOPES,
  parseChallenge,
  parseFrame,
  parseHello,
} from "../../../gateway/openclaw/handshake.ts";

const HELLO = {
  type: "res",
  id: "c1",
  ok: true,
  payload: {
    type: "hello-ok",
    protocol: 4,
    server: { version: "2026.9.6", connId: "x" },
    auth: { role: "operator", scopes: ["operator.read"] },
    policy: { maxPayload: 1000 },
  },
} as const;

describe("the first frames", () => {
  test("a connect asks as a backend of the gateway for exactly the scopes given", () => {
    const frame = buildConnect({ id: "c1", scopes: CLIENT_SCOPES, token: "t" });
    expect(frame).toMatchObject({
      type: "req",
      id: "c1",
      method: "connect",
      params: {
        minProtocol: 4,
        maxProtocol: 4,
        client: { id: "gateway-client", mode: "backend" },
        role: "operator",
        scopes: ["operator.read", "operator.write"],
        auth: { token: "t" },
      },
    });
    expect(CLIENT_SCOPES).not.toContain("operator.admin");
    expect(ADMIN_SCOPES).toContain("operator.admin");
  });

  test("a challenge is known from other events", () => {
    const challenge = parseFrame(
      '{"type":"event","event":"connect.challenge","payload":{"nonce":"n"}}',
    );
    expect(challenge && parseChallenge(challenge)).toEqual({ nonce: "n" });
    const tick = parseFrame('{"type":"event","event":"tick"}');
    expect(tick && parseChallenge(tick)).toBeNull();
  });

  test("a hello tells version, scopes and limits; an error its reason; other frames nothing", () => {
    expect(parseHello(HELLO, "c1")).toEqual({
      ok: true,
      hello: {
        protocol: 4,
        version: "2026.9.6",
        connId: "x",
        scopes: ["operator.read"],
        maxPayload: 1000,
      },
    });
    const error = { code: "UNAUTHORIZED", message: "no" };
    expect(parseHello({ type: "res", id: "c1", ok: false, error }, "c1")).toEqual({
      ok: false,
      error,
    });
    expect(parseHello(HELLO, "c2")).toEqual({ ok: null });
    expect(parseHello({ type: "event", event: "tick" }, "c1")).toEqual({ ok: null });
  });

  test.each([
    "",
    "null",
    "1",
    "[]",
    "{}",
    '{"type":"res","id":1,"ok":true}',
    '{"type":"res","id":"1"}',
  ])("what is no frame is refused: %s", (text) => {
    expect(parseFrame(text)).toBeNull();
  });
});

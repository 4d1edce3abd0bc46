import { expect, test } from "vitest";
import {
  FRONT_ERRORS,
  FRONT_NUMBERS,
  type FrontSettings,
  frontError,
  planFront,
  securityHeaders,
} from "../../../components/front/plan.ts";
import { DRAIN, ERRORS, FRONT, HOLD } from "../../../gateway/contract.ts";

const HOSTS = [
  { name: "a", address: "10.0.0.1" },
  { name: "b", address: "10.0.0.2" },
  { name: "w", address: "10.0.0.3", witness: true },
];
const settings = (over: Partial<FrontSettings> = {}): FrontSettings => ({
  names: ["fleet.example.com"],
  certificate: { kind: "acme" },
  ...over,
});

test("every host that runs shards has a router behind every front, and a front unless hosts are named", () => {
  const plan = planFront(HOSTS, settings());
  expect(plan.routers.map(({ name }) => name)).toEqual(["a", "b"]);
  expect(plan.fronts.map(({ name }) => name)).toEqual(["a", "b"]);
  const one = planFront(HOSTS, settings({ hosts: ["w"] }));
  expect(one.fronts.map(({ name }) => name)).toEqual(["w"]);
  expect(one.routers).toHaveLength(2);
});

test.each([
  [{ hosts: ["x"] }, /front\.hosts names "x", which is no host/],
  [{ hosts: [] }, /leaves no host with a front/],
  [{ names: [] }, /signs names, not addresses/],
  [{ proxyProtocolFrom: ["10.0.0.0/8"] }, /found by one front alone, not by 2/],
  [{ names: ["Fleet_1"] }, /no DNS name/],
  [{ names: ["*.example.com"] }, /wildcards only by DNS/],
  [{ names: ["evil.example; return 200"] }, /no DNS name/],
  [{ httpsPort: 18_789 }, /front\.httpsPort is 18789, and the fleet's own local listens there/],
  [{ httpPort: 9_090 }, /front\.httpPort is 9090, and the fleet's own prometheus/],
  [{ httpPort: 8443, httpsPort: 8443 }, /front\.httpPort is 8443/],
] as [Partial<FrontSettings>, RegExp][])("%j is refused", (over, why) => {
  expect(() => planFront(HOSTS, settings(over))).toThrow(why);
});

test("a wildcard is fine with a certificate of somebody's own, and no name at all with the fleet's", () => {
  const own = settings({ names: ["*.example.com"], certificate: { kind: "own" } });
  expect(planFront(HOSTS, own).names).toEqual(["*.example.com"]);
  expect(planFront(HOSTS, settings({ names: [], certificate: { kind: "fleet" } })).names).toEqual(
    [],
  );
});

test("an address that people call it by is in its certificate alone, and any name is served", () => {
  const names = ["198.51.100.7"];
  const plan = planFront(HOSTS, settings({ names, certificate: { kind: "fleet" } }));
  expect(plan).toMatchObject({ names: [], addresses: names });
  expect(() => planFront(HOSTS, settings({ names }))).toThrow(/no DNS name/);
});

test("a front waits longer than any drain or silence, and closes idle connections before routers do", () => {
  expect(FRONT_NUMBERS.idleSeconds).toBeGreaterThanOrEqual(400);
  expect(FRONT_NUMBERS.reloadSeconds * 1_000).toBeGreaterThanOrEqual(
    DRAIN.termTurnsMs + DRAIN.termReleaseMs,
  );
  expect(FRONT_NUMBERS.upstreamIdleSeconds * 1_000).toBeLessThan(FRONT.keepAliveMs);
});

test("what a router holds of a shard is no flood when one address asked for it", () => {
  const { connections, burst } = planFront(HOSTS, settings()).limits;
  expect(Math.min(connections, burst)).toBeGreaterThan(2 * HOLD.maxRequests);
  expect(planFront(HOSTS, settings({ limits: { connections: 8 } })).limits).toMatchObject({
    connections: 8,
    burst,
  });
});

test("what a front says is in the router's form, with the code's own meaning", () => {
  for (const status of Object.keys(FRONT_ERRORS).map(Number)) {
    const { error } = JSON.parse(frontError(status, "id"));
    expect(error).toEqual({
      code: FRONT_ERRORS[status]?.code,
      message: expect.any(String),
      retryable: ERRORS[error.code as keyof typeof ERRORS].retryable,
      requestId: "id",
    });
    // In a configuration it stands between quotes.
    expect(frontError(status, "id")).not.toMatch(/['`\\$]/);
  }
});

test("browsers are not bound to HTTPS by a certificate that they do not know", () => {
  const name = "Strict-Transport-Security";
  expect(securityHeaders(planFront(HOSTS, settings()))[name]).toBeDefined();
  const fleet = planFront(HOSTS, settings({ certificate: { kind: "fleet" } }));
  expect(securityHeaders(fleet)[name]).toBeUndefined();
});

import { createHash } from "node:crypto";
import { afterEach, expect, test } from "vitest";
import { statusPage } from "../../../gateway/status-page/page.ts";
import { ask, World } from "../router/world.ts";

let world: World | undefined;
afterEach(() => world?.close());

const text = () => statusPage().body.toString();
const policy = () => statusPage().headers["content-security-policy"] as string;
const hash = (part: string) => `'sha256-${createHash("sha256").update(part).digest("base64")}'`;

test("every router serves it to everybody: it is the same for all, and says nothing of the fleet", async () => {
  world = await World.start(["a", "b"]);
  for (const id of ["a", "b"]) {
    const { status, headers } = await ask(world.node(id).port, "/status", { token: null });
    expect(status).toBe(200);
    expect(headers["content-type"]).toBe("text/html; charset=utf-8");
    expect(headers["content-security-policy"]).toBe(policy());
    expect(Number(headers["content-length"])).toBe(statusPage().body.length);
  }
  expect(text()).not.toContain("testfleet");
  const posted = await ask(world.node("a").port, "/status", { method: "POST", token: null });
  expect(posted.status).toBe(405);
});

test("a browser runs its own script and style alone, and speaks to this address alone", () => {
  const script = /<script>([\s\S]*)<\/script>/.exec(text())?.[1] as string;
  const style = /<style>([\s\S]*?)<\/style>/.exec(text())?.[1] as string;
  const rules = new Map(
    policy()
      .split("; ")
      .map((rule) => [rule.split(" ")[0], rule.split(" ").slice(1).join(" ")]),
  );
  expect(rules.get("default-src")).toBe("'none'");
  expect(rules.get("script-src")).toBe(hash(script));
  expect(rules.get("style-src")).toBe(hash(style));
  expect(rules.get("connect-src")).toBe("'self'");
  expect(rules.get("form-action")).toBe("'none'");
  // One that the policy does not know would do nothing, and what it was for would be missing silently.
  expect(text()).not.toMatch(/ style="| on[a-z]+="|javascript:/);
});

test("the token is kept nowhere but in memory, and no text of the fleet becomes HTML", () => {
  expect(text()).not.toMatch(/localStorage|sessionStorage|document\.cookie|history\.|location/);
  expect(text()).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write/);
  // A form that is sent without the script must not carry it in an address.
  const field = /<input id="token"[^>]*>/.exec(text())?.[0] as string;
  expect(field).toContain('type="password"');
  expect(field).not.toContain("name=");
});

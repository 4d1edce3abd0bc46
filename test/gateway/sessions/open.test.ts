import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { targetOf } from "../../../gateway/sessions/open.ts";
import { RedisUrlError } from "../../../gateway/sessions/redis-url.ts";

test("each new connection goes to the servers of that moment", () => {
  let at = ["192.0.2.1:26379", "[2001:db8::2]:26379"];
  const target = targetOf("rediss+sentinel://fleet:pw@{redis}/fleet?sentinel-user=x", () => at);
  expect(target).toMatchObject({ mode: "sentinel", master: "fleet", password: "pw" });
  expect(target.nodes).toEqual([
    { host: "192.0.2.1", port: 26_379 },
    { host: "2001:db8::2", port: 26_379 },
  ]);
  at = ["192.0.2.3:26379"];
  expect(target.nodes).toEqual([{ host: "192.0.2.3", port: 26_379 }]);
});

test("an address without the mark is what it says, one with it needs somebody who knows", () => {
  const target = targetOf("redis://192.0.2.9", () => ["192.0.2.1:1"]);
  expect(target.nodes).toEqual([{ host: "192.0.2.9", port: 6_379 }]);
  expect(() => targetOf("redis+cluster://{redis}", () => [])).toThrow(RedisUrlError);
});

test("each new connection trusts the authority of that moment, or the last that could be read", () => {
  const dir = mkdtempSync(join(tmpdir(), "open-"));
  const ca = join(dir, "ca.pem");
  writeFileSync(ca, "old");
  const { tls } = targetOf(`rediss://192.0.2.9?ca=${ca}&servername=redis`, () => []);
  // Copied as the client does when it connects.
  expect({ ...tls }).toEqual({ ca: "old", servername: "redis" });
  writeFileSync(ca, "new");
  expect({ ...tls }).toEqual({ ca: "new", servername: "redis" });
  rmSync(dir, { recursive: true });
  expect({ ...tls }).toEqual({ ca: "new", servername: "redis" });
});

import { expect, test } from "vitest";
import { BUCKETS, RedisKeys, TAGS } from "../../../gateway/sessions/redis-layout.ts";
import { addressesOf, parseRedisUrl, withoutSecrets } from "../../../gateway/sessions/redis-url.ts";

test("an address says where, how and as whom", () => {
  expect(parseRedisUrl("redis://cache")).toEqual({
    mode: "auto",
    nodes: [{ host: "cache", port: 6379 }],
    master: "",
    db: 0,
    tls: null,
  });
  expect(parseRedisUrl("rediss://me:p%40ss%3A@[::1]:7000/3?servername=cache.example")).toEqual({
    mode: "auto",
    nodes: [{ host: "::1", port: 7000 }],
    master: "",
    username: "me",
    password: "p@ss:",
    db: 3,
    tls: { servername: "cache.example" },
  });
  const watched = parseRedisUrl(
    "redis+sentinel://:pw@a,b:1,c:2/fleet/1?sentinel-user=u&sentinel-password=v",
  );
  expect(watched).toEqual({
    mode: "sentinel",
    nodes: [
      { host: "a", port: 26379 },
      { host: "b", port: 1 },
      { host: "c", port: 2 },
    ],
    master: "fleet",
    password: "pw",
    sentinelUsername: "u",
    sentinelPassword: "v",
    db: 1,
    tls: null,
  });
  expect(addressesOf(watched)).toBe("fleet by Sentinels a:26379, b:1, c:2");
  expect(parseRedisUrl("valkey+cluster://a,b").mode).toBe("cluster");
});

test.each([
  ["http://a", /no address/],
  ["redis://a:99999", /"a:99999" is no host and port/],
  ["redis://a,b", /several hosts/],
  ["redis+sentinel://a", /without the master's name/],
  ["redis+cluster://a/1", /database 0 alone/],
  ["redis://a/x", /database is no number/],
  ["redis://a?retries=3", /"retries" is none of ca/],
  ["redis://a?ca=/nowhere", /without encryption/],
  ["rediss://a?ca=/nowhere", /ca cannot be read/],
  ["redis://u:%zz@a", /%25/],
])("%s is refused: %s", (url, why) => {
  expect(() => parseRedisUrl(url)).toThrow(why);
  expect(() => parseRedisUrl(url, "redisUrl")).toThrow(/^redisUrl is/);
});

test("an error shows no secret", () => {
  const url = "redis+sentinel://me:secret@a?sentinel-password=secret2";
  expect(() => parseRedisUrl(url)).toThrow(/without the master/);
  try {
    parseRedisUrl(url);
  } catch (error) {
    expect(String((error as Error).stack)).not.toMatch(/secret[^s-]*@|secret2/);
  }
  expect(withoutSecrets(url)).toBe("redis+sentinel://***@a?sentinel-password=***");
});

/** A cluster's slot of a key without a hash tag, by its specification (CRC-16/XMODEM). */
function slotOf(text: string): number {
  let crc = 0;
  for (const byte of Buffer.from(text)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
  }
  return crc % 16_384;
}

test("keys of a fleet spread evenly over a cluster's slots, and belong together in one", () => {
  const fleet = "my-fleet";
  const buckets = new Map<number, number>();
  const keys = new RedisKeys(fleet);
  for (let n = 0; n < 6_400; n++) {
    const { bucket, key } = keys.session("main", `session-${n}`);
    buckets.set(bucket, (buckets.get(bucket) ?? 0) + 1);
    expect(keys.parse(key)).toEqual({ bucket, agent: "main" });
    expect(key.startsWith(`ocf:{${TAGS[bucket]}}:`)).toBe(true);
  }
  expect(buckets.size).toBe(BUCKETS);
  for (const masters of [2, 3, 4, 6]) {
    const share = Array.from({ length: masters }, () => 0);
    for (const tag of TAGS) {
      const at = Math.floor((slotOf(tag) * masters) / 16_384);
      share[at] = (share[at] ?? 0) + 1;
    }
    expect(Math.max(...share) - Math.min(...share)).toBeLessThanOrEqual(1);
  }
});

test("names that mean something to Redis stay within their key", () => {
  const keys = new RedisKeys("a}*[?b");
  expect(keys.marker(0)).not.toMatch(/[*[?]/);
  const { key } = keys.session("main", "}{*: ä");
  expect(keys.parse(key)?.agent).toBe("main");
  expect(new RedisKeys("a").session("m", "x").key).not.toBe(
    new RedisKeys("b").session("m", "x").key,
  );
});

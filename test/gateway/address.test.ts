import { expect, test } from "vitest";
import { bracketed, endpoint, httpsOrigin } from "../../gateway/address.ts";

test("IPv6 addresses stand in brackets, names and IPv4 addresses do not", () => {
  expect([bracketed("::1"), bracketed("192.0.2.1")]).toEqual(["[::1]", "192.0.2.1"]);
  expect(endpoint("::1", 80)).toBe("[::1]:80");
  expect(endpoint("a.example", 80)).toBe("a.example:80");
});

test("an origin says its port when it is not the usual one", () => {
  expect(httpsOrigin("2001:db8::1", 443)).toBe("https://[2001:db8::1]");
  expect(httpsOrigin("2001:db8::1", 8443)).toBe("https://[2001:db8::1]:8443");
  expect(httpsOrigin("chat.example.com", 443)).toBe("https://chat.example.com");
});

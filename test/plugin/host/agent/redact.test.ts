import { expect, test } from "vitest";
import { secretKeeper } from "../../../../plugin/host/agent/redact.ts";

test("no secret, nor a line of one, gets through; what is public and what is short does", () => {
  const key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQ\n-----END KEY-----\n";
  const keep = secretKeeper({
    password: "open sesame",
    "tls.a.key": key,
    "tls.ca": "MIIBcertificate",
    pin: "1234",
  });
  expect(keep("tried open sesame twice: open sesame")).toBe(
    "tried [secret password] twice: [secret password]",
  );
  expect(keep("bad line kqhkiG9w0BAQ in -----BEGIN KEY-----")).toBe(
    "bad line [secret tls.a.key] in -----BEGIN KEY-----",
  );
  expect(keep("MIIBcertificate, port 1234")).toBe("MIIBcertificate, port 1234");
});

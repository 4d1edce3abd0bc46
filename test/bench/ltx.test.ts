import { describe, expect, test } from "vitest";
import { ltxPlace, reaches } from "./ltx.ts";

function header(over: { offset: bigint; size: bigint }): Buffer {
  const bytes = Buffer.alloc(100);
  bytes.write("LTX1", 0, "latin1");
  bytes.writeBigInt64BE(over.offset, 48);
  bytes.writeBigInt64BE(over.size, 56);
  bytes.writeUInt32BE(0x0a0b0c0d, 64);
  bytes.writeUInt32BE(0x01020304, 68);
  return bytes;
}

test("the header of an LTX file says which log it is of, and up to where", () => {
  expect(ltxPlace(header({ offset: 32n, size: 8_240n }))).toEqual({
    salts: "0a0b0c0d01020304",
    end: 8_272,
  });
});

test("what is no LTX file is refused", () => {
  expect(() => ltxPlace(Buffer.alloc(100))).toThrow("no LTX file");
  expect(() => ltxPlace(header({ offset: 32n, size: 1n }).subarray(0, 99))).toThrow("no LTX file");
});

describe("a file holds a commit", () => {
  const want = { salts: "0000000501020304", end: 4_152 };
  test.each([
    ["that ends where it ends", { ...want }, true],
    ["that ends before its end", { ...want, end: 8_272 }, true],
    ["but not one after its end", { ...want, end: 4_151 }, false],
    ["of a log before its own", { salts: "00000006aabbccdd", end: 32 }, true],
    ["but not of a log after its own", { salts: "00000004aabbccdd", end: 99_999 }, false],
  ])("%s", (_, have, held) => {
    expect(reaches(have, want)).toBe(held);
  });

  test("also where the salt has come round", () => {
    const last = { salts: "ffffffff01020304", end: 4_152 };
    expect(reaches({ salts: "00000000aabbccdd", end: 32 }, last)).toBe(true);
    expect(reaches(last, { salts: "00000000aabbccdd", end: 32 })).toBe(false);
  });
});

import { execFileSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { entriesOf, tar } from "../../toolchain/tar.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tar-test-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(path: string, content: string | Buffer, mode = 0o644): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), content);
  chmodSync(join(folder, path), mode);
}

async function archive(prefix = "top", keep?: (path: string) => boolean): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of tar(entriesOf(join(folder, "in"), prefix, keep))) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** What the machine's own tar makes of it: mode, size and path of every file, and the content of each. */
function unpacked(bytes: Buffer): { list: string; contents: Record<string, string> } {
  const out = join(folder, "out");
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out);
  execFileSync("tar", ["-xf", "-", "-C", out, "--no-same-owner", "-p"], { input: bytes });
  const find = (...args: string[]) =>
    execFileSync("find", [out, ...args], { encoding: "utf8", maxBuffer: 2 ** 26 });
  const names = find("-type", "f", "-printf", "%P\\0").split("\0").filter(Boolean);
  return {
    list: find("-printf", "%m %y %P\\n").split("\n").slice(1).sort().join("\n").trim(),
    contents: Object.fromEntries(
      names.map((name) => [name, execFileSync("cat", [join(out, name)]).toString("base64")]),
    ),
  };
}

test("files, folders and modes arrive; owners and times do not count", async () => {
  write("in/b/run", "#!/bin/sh\n", 0o700);
  write("in/b/text", "x".repeat(513), 0o600);
  write("in/a", "");
  const first = await archive();
  utimesSync(join(folder, "in/a"), 1, 1);
  expect(first.equals(await archive())).toBe(true);
  expect(first.length % 512).toBe(0);
  const { list, contents } = unpacked(first);
  expect(list).toBe("644 f top/a\n644 f top/b/text\n755 d top\n755 d top/b\n755 f top/b/run");
  expect(Buffer.from(contents["top/b/text"] ?? "", "base64").toString()).toBe("x".repeat(513));
});

test("what is not wanted is left out, with everything below it", async () => {
  write("in/keep/one", "1");
  write("in/.bin/link", "2");
  write("in/keep/two.map", "3");
  const bytes = await archive("top", (path) => !/\/\.bin$|\.map$/.test(path));
  expect(Object.keys(unpacked(bytes).contents)).toEqual(["top/keep/one"]);
});

test("a link is refused: it would lead elsewhere", async () => {
  write("in/a", "");
  symlinkSync("/etc/passwd", join(folder, "in/b"));
  await expect(archive()).rejects.toThrow(/in\/b is neither a file nor a directory/);
});

test("any name and length comes back from tar as it went in", async () => {
  const name = fc
    .string({
      unit: fc.constantFrom("a", "Z", "é", "世", " ", "-", "."),
      minLength: 1,
      maxLength: 60,
    })
    .filter((text) => !/^\.{1,2}$/.test(text));
  const path = fc.array(name, { minLength: 1, maxLength: 6 }).map((parts) => parts.join("/"));
  await fc.assert(
    fc.asyncProperty(path, fc.uint8Array({ maxLength: 1_600 }), async (where, bytes) => {
      rmSync(join(folder, "in"), { recursive: true, force: true });
      write(`in/${where}`, Buffer.from(bytes));
      const { contents } = unpacked(await archive());
      expect(contents).toEqual({ [`top/${where}`]: Buffer.from(bytes).toString("base64") });
    }),
    { numRuns: 25 },
  );
});

test.each([99, 100, 101, 155, 156, 157, 255, 256, 257, 300])(
  "a path of %i characters arrives",
  async (length) => {
    const inside = `${"d".repeat(90)}/${"e".repeat(90)}/`.slice(0, Math.max(0, length - 20));
    const path = `${inside}${"f".repeat(length - inside.length - "top/".length)}`;
    write(`in/${path}`, "here");
    expect(Object.keys(unpacked(await archive()).contents)).toEqual([`top/${path}`]);
  },
);

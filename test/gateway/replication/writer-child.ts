import { Writer } from "./fixtures.ts";

/** Writes rows until it is killed; says each number when SQLite has it. Arguments: database, first number. */
const [path = "", first = "0"] = process.argv.slice(2);
const writer = new Writer(path);
let n = Number(first);
const write = () => {
  for (let at = 0; at < 20; at++) {
    writer.write(n, "w".repeat((n * 331) % 5_000));
    process.stdout.write(`${n}\n`);
    n += 1;
  }
  setImmediate(write);
};
write();

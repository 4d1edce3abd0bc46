import type { ChildProcess } from "node:child_process";
import { constants } from "node:os";
import { StringDecoder } from "node:string_decoder";

/** What a child process wrote so far. */
export interface ChildOutput {
  stdout(): string;
  stderr(): string;
}

/** Collects what a child process writes, and hands its lines on. */
export function collect(
  child: ChildProcess,
  { onLine }: { onLine?: ((line: string) => unknown) | undefined } = {},
): ChildOutput {
  let stdout = "";
  let stderr = "";
  let rest = "";
  const decoders = { out: new StringDecoder("utf8"), err: new StringDecoder("utf8") };
  child.stdout?.on("data", (chunk: Buffer) => {
    const text = decoders.out.write(chunk);
    stdout += text;
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine?.(line);
  });
  child.stdout?.once("end", () => {
    if (rest !== "") onLine?.(rest);
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    stderr += decoders.err.write(chunk);
  });
  child.once("error", (error) => {
    stderr += error.message;
  });
  return { stdout: () => stdout, stderr: () => stderr };
}

/** Exit code, once everything it wrote was read; 128 and the number of the signal that ended it; 127 not started. */
export function endOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    child.once("error", () => resolve(127));
    child.once("close", (code, signal) => {
      resolve(code ?? 128 + (signal ? constants.signals[signal] : 0));
    });
  });
}

/** Gives a command its input. Returns what went wrong while the input was read, not what became of the command. */
export async function feed(
  child: ChildProcess,
  source: Iterable<string | Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<Error | null> {
  const input = child.stdin;
  if (!input) return null;
  // A command that ends without reading everything says so by its exit code.
  const closed = new Promise<void>((resolve) => input.once("close", () => resolve()));
  input.on("error", () => {});
  try {
    for await (const chunk of source) {
      if (input.destroyed) break;
      if (!input.write(chunk)) {
        await Promise.race([new Promise((resolve) => input.once("drain", resolve)), closed]);
      }
    }
    input.end();
    return null;
  } catch (error) {
    child.kill();
    return error as Error;
  }
}

/** What a promise comes to, or the signal's reason when that fires first. */
export async function onceAborted<T>(work: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (!signal) return await work;
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
    work.catch(() => {});
  }
}

/** Lets only so many at a time do their work; the others wait in order. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async use<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}

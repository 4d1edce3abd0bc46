import { spawn } from "node:child_process";

/** What the agent does to a host besides files: commands. Replaced in tests. */
export interface System {
  /** Folder that stands for `/`: "/" in service. */
  readonly root: string;
  /** Runs a command to its end; never throws for what the command says. */
  run(argv: readonly string[], options?: RunOptions): Promise<Ran>;
  /** One line for the person who waits. */
  say(line: string): void;
  /** Fires when nobody waits any more. */
  readonly signal: AbortSignal;
  /** Milliseconds of a clock that is never set. */
  now(): number;
  /** A pause between two looks. */
  sleep(ms: number): Promise<void>;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** What it reads from its input. @default nothing */
  readonly stdin?: string;
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Nobody waits any more; what was begun is left so that it can be gone on with. */
export class Abandoned extends Error {
  override readonly name = "Abandoned";
  constructor() {
    super("the connection to whoever ordered this ended");
  }
}

/** Throws {@link Abandoned} when nobody waits any more: called between steps, never inside one. */
export function stillWanted({ signal }: System): void {
  if (signal.aborted) throw new Abandoned();
}

/** Output that is kept of one command, characters; of more, the end. */
const KEEP = 2 ** 20;

const ENVIRONMENT = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  HOME: "/root",
  // Answers are read: they must not be in the person's language.
  LC_ALL: "C.UTF-8",
};

/** Commands as they are on a real host. */
export function runCommand(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const [program = "", ...args] = argv;
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: "/",
      env: { ...ENVIRONMENT, ...options.env },
      stdio: "pipe",
    });
    // One that ends without reading says by its exit code what was wrong.
    child.stdin.on("error", () => {});
    child.stdin.end(options.stdin ?? "");
    const out = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (text: string) => {
        out[name] = (out[name] + text).slice(-KEEP);
      });
    }
    child.once("error", (error) => resolve({ code: 127, ...out, stderr: error.message }));
    // A signal's number is not told; any of them is a failure.
    child.once("close", (code) => resolve({ code: code ?? 128, ...out }));
  });
}

/** What a failed command said, short. */
export function said({ code, stdout, stderr }: Ran, lines = 8): string {
  const text = stderr.trim() || stdout.trim();
  return text
    ? text.split("\n").slice(-lines).join("\n")
    : `it ended with ${code} and said nothing`;
}

/** Runs a command that has to succeed. @throws Error with what it said */
export async function must(system: System, argv: readonly string[], what: string): Promise<Ran> {
  const ran = await system.run(argv);
  if (ran.code !== 0) throw new Error(`${what} failed (${argv.join(" ")}): ${said(ran)}`);
  return ran;
}

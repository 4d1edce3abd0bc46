import { age, say } from "./terminal.ts";
import { columnsOf, wrap } from "./wrap.ts";

/** What does not change is told again this often: no log is silent for ten seconds. */
const AGAIN_MS = 8_000;

/** What is there once nobody waits any more. */
export interface Left {
  /** What becomes of the wish: "draining a goes on in the fleet". */
  goesOn: string;
  /** The fleet is asked for it first; before it has answered nobody knows whether it took the wish. */
  asks?: true;
  /** What this command would have done besides, and how to do it; left out: nothing. */
  open?: string;
  /** The command that shows how it goes on. */
  look: string;
  /** How to take it back; left out where nothing was changed. */
  undo?: string;
}

/**
 * What Ctrl-C is answered with. `awaited` is what was told last, empty before the first; `stored`: whether the fleet
 * has taken the wish.
 */
export function interruptedWords(
  { goesOn, asks, open, look, undo }: Left,
  awaited: string,
  stored: boolean,
): string[] {
  return [
    asks && !stored
      ? "fleet: interrupted before the fleet answered: whether it began is not known"
      : `fleet: interrupted; ${goesOn}`,
    `  so far: ${awaited || "nothing was seen of it yet"}`,
    ...(open === undefined ? [] : [`  open:   ${open}`]),
    `  look:   ${look}`,
    ...(undo === undefined ? [] : [`  undo:   ${undo}`]),
  ];
}

const howLong = (ms: number): string => (ms < 10_000 ? `${Math.round(ms / 1_000)} s` : age(ms));

/**
 * Waits for something that the fleet does. `tell` takes what is awaited: a line on stderr when it changed, and again
 * with how long it has lasted while it does not. Ctrl-C ends the command with 130, never what the fleet does.
 * Where `left` says that the fleet is asked first, `stored` is called once it has answered.
 */
export async function waiting<T>(
  left: Left,
  work: (tell: (awaited: string) => void, stored: () => void) => Promise<T>,
): Promise<T> {
  let awaited = "";
  let isStored = false;
  let since = performance.now();
  const again = setInterval(() => {
    if (awaited !== "") say(`${awaited}, for ${howLong(performance.now() - since)}`);
  }, AGAIN_MS);
  const tell = (what: string) => {
    if (what === awaited) return;
    awaited = what;
    since = performance.now();
    again.refresh();
    say(what);
  };
  const interrupt = () => {
    const columns = columnsOf(process.stderr);
    for (const line of interruptedWords(left, awaited, isStored)) {
      say(wrap(line, columns, 10));
    }
    // Nothing here holds anything that must be given back.
    process.exit(130);
  };
  process.on("SIGINT", interrupt);
  try {
    return await work(tell, () => {
      isStored = true;
    });
  } finally {
    clearInterval(again);
    process.off("SIGINT", interrupt);
  }
}

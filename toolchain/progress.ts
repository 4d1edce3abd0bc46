/**
 * Progress of preparing tools, on stderr: one line when a step begins, one at least every ten
 * seconds while it runs, one when it ends. The same in a terminal, a pipe and a log, without escape
 * codes, because several steps run at once and may take minutes.
 */
export interface Step {
  /** What is going on now; shown with the next regular line. */
  note(text: string): void;
  done(text: string): void;
  failed(text: string): void;
}

export interface Progress {
  say(text: string): void;
  step(name: string, text: string): Step;
}

const EVERY_MS = 8_000;

/** Progress to a writer of lines, stderr by default. */
export function createProgress(
  write: (line: string) => void = (line) => process.stderr.write(`${line}\n`),
): Progress {
  return {
    say: (text) => write(`fleet: ${text}`),
    step(name, text) {
      const begun = performance.now();
      const seconds = () => `${Math.round((performance.now() - begun) / 1000)} s`;
      let latest = text;
      write(`fleet: ${name}: ${text}`);
      const timer = setInterval(() => write(`fleet: ${name}: ${seconds()}, ${latest}`), EVERY_MS);
      timer.unref();
      const end = (line: string) => {
        clearInterval(timer);
        write(`fleet: ${name}: ${line}`);
      };
      return {
        note: (next) => {
          latest = next;
        },
        done: (result) => end(`${result} in ${seconds()}`),
        failed: (why) => end(`${why} (after ${seconds()})`),
      };
    },
  };
}

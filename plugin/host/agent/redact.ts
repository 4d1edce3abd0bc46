/** Shorter ones are no secrets, or would blacken half of every text. */
const SHORTEST = 8;

/**
 * Makes a function that takes secrets out of a line: programs that are given one in a file may say it in an
 * error of theirs. Of a secret of several lines (a key) every line counts.
 */
export function secretKeeper(secrets: Readonly<Record<string, string>>): (line: string) => string {
  const parts = Object.entries(secrets)
    .filter(([name]) => !isPublic(name))
    .flatMap(([name, value]) => value.split("\n").map((part) => [part.trim(), name] as const))
    .filter(([part]) => part.length >= SHORTEST && !part.startsWith("-----"))
    .sort(([a], [b]) => b.length - a.length);
  return (line) => {
    let text = line;
    for (const [part, name] of parts) text = text.replaceAll(part, `[secret ${name}]`);
    return text;
  };
}

/** Certificates and public keys travel with the secrets and are none. */
const isPublic = (name: string): boolean => /(^tls\.ca$|\.cert$|\.pub$)/.test(name);

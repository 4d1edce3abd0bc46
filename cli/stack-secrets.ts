/** What Pulumi keeps in a stack's file for the secrets in it: salt, or key and who encrypted it. */
const LINE = /^(secretsprovider|encryptedkey|encryptionsalt): .*$/gm;

/** Those lines of a file, in their order. */
export function secretLines(text: string): string[] {
  return [...text.matchAll(LINE)].map(([line]) => line);
}

/** Who encrypts the stack's secrets, e.g. `awskms://…`; undefined: a passphrase. */
export function secretsProviderOf(text: string): string | undefined {
  const line = /^secretsprovider: (.*)$/m.exec(text)?.[1];
  return line?.trim().replace(/^(["'])(.*)\1$/, "$2") || undefined;
}

/**
 * The text for a copy of the stack that is thrown away. A provider that has encrypted nothing yet is
 * left out: nobody needs its key then, and asking for it would need rights.
 */
export function withoutUnusedProvider(text: string): string {
  if (/^encryptedkey: /m.test(text)) return text;
  return text.replace(/^secretsprovider: .*\n?/m, "");
}

/**
 * Pulumi appends its salt or key to the file, below `config:`, and the next setting that a person adds
 * at the end would be no setting. So it is put first.
 */
export function saltFirst(text: string): string {
  const found = /^(encryptionsalt|encryptedkey): .*\n?$/m.exec(text);
  if (!found || text.slice(found.index + found[0].length).trim() !== "") return text;
  const rest = text.slice(0, found.index);
  return `# Pulumi's, for the secrets in this file. Leave it as it is.\n${found[0].trimEnd()}\n\n${rest}`;
}

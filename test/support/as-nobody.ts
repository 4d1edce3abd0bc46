/** A user with no rights to anything. */
export const NOBODY = 65_534;

/** Does something without root's right to read everything; who is not root does it as itself. */
export async function asNobody<T>(work: () => T | Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0 || !process.seteuid) return await work();
  process.seteuid(NOBODY);
  try {
    return await work();
  } finally {
    process.seteuid(0);
  }
}

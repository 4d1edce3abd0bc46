/**
 * The file that a thread or child process of ours starts from. From sources every module is its own
 * file; the shipped runtime is bundled, with each entry beside the main bundle under a fixed name.
 *
 * `siblingEntry(import.meta.url, "thread.ts", "lease-thread.js")`: the first name is the source,
 * relative to the caller; the second is the bundle's, in the directory of the caller's bundle.
 */
export function siblingEntry(callerUrl: string, source: string, bundled: string): URL {
  const file = new URL(callerUrl).pathname;
  return new URL(`./${file.endsWith(".ts") ? source : bundled}`, callerUrl);
}

import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
  type Stats,
} from "node:fs";
import { dirname, isAbsolute, join, normalize } from "node:path";

/**
 * Ways to files that nobody can bend. The agent is root and works inside folders that belong to others (the
 * node's data): whoever owns such a folder could put a symbolic link where the agent expects a folder, and
 * have it write or give away a file of root's. So every folder on the way is opened by itself, and links
 * are followed only where nobody but root could have put them.
 */

const MAX_LINKS = 40;

/** Runs `work` with a path that stays the folder `folder` whatever happens to its name; null: it is not there. */
export function inFolder<T>(root: string, folder: string, work: (folder: string) => T): T | null {
  const fd = openFolder(root, folder);
  if (fd === null) return null;
  try {
    return work(`/proc/self/fd/${fd}`);
  } finally {
    closeSync(fd);
  }
}

/** Runs `work` with the folder that holds `path`, and its name there; null: that folder is not there. */
export function atPlace<T>(root: string, path: string, work: (place: string) => T): T | null {
  const name = normalize(path).split("/").at(-1) as string;
  return inFolder(root, dirname(path), (folder) => work(`${folder}/${name}`));
}

const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

function openFolder(root: string, folder: string): number | null {
  let rest = normalize(folder).split("/").filter(Boolean);
  let links = 0;
  let fd = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  let walked = "/";
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    const place = `/proc/self/fd/${fd}/${name}`;
    let next: number;
    try {
      next = openSync(place, FOLDER);
    } catch (error) {
      const stats = lstatOrNull(place);
      const mayFollow = onlyRootWrites(fstatSync(fd));
      const target = stats?.isSymbolicLink() ? readlinkSync(place) : null;
      closeSync(fd);
      if (stats === null) return null;
      if (target === null) {
        if ((error as NodeJS.ErrnoException).code !== "ENOTDIR") throw error;
        throw new Error(`${join(walked, name)} is no folder. Move it away`);
      }
      if (!mayFollow) {
        throw new Error(
          `${join(walked, name)} is a symbolic link in a folder that others than root write to; it is not followed. Remove it`,
        );
      }
      if (++links > MAX_LINKS) throw new Error(`${folder}: too many symbolic links`);
      const whole = isAbsolute(target) ? target : join(walked, target);
      rest = [...normalize(whole).split("/").filter(Boolean), ...rest];
      fd = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
      walked = "/";
      continue;
    }
    closeSync(fd);
    fd = next;
    walked = join(walked, name);
  }
  return fd;
}

/** Only the agent's own user writes there: root, in service. */
function onlyRootWrites(stats: Stats): boolean {
  const own = stats.uid === 0 || stats.uid === process.getuid?.();
  return own && (stats.mode & 0o022) === 0;
}

export function lstatOrNull(path: string): Stats | null {
  return lstatSync(path, { throwIfNoEntry: false }) ?? null;
}

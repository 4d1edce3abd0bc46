import { pricesOf, type Tier } from "../cost.ts";
import { ConfigError, type Fault } from "../errors.ts";
import {
  FILE_USES,
  FILES_LINES,
  FILES_PRICES,
  type FileUse,
  IDLE_PERCENT,
  MIN_ARCHIVE_DAYS,
  READ_PERCENT,
  WRITE_PERCENT,
} from "./catalog.ts";
import type { FilesSettings } from "./settings.ts";

/** What the file system is for. Plain numbers; presets are known to the stack alone. */
export interface FilesNeed {
  readonly zones: number;
  /** Days of backups of the environment; 0: none, and then none is left behind. */
  readonly backupDays: number;
  readonly settings: FilesSettings;
}

export interface FilesPlan {
  readonly uses: readonly FileUse[];
  readonly mountTargets: number;
  readonly backup: boolean;
  readonly storedGiB: number;
  /** Lifecycle policies as EFS writes them. */
  readonly idle: string;
  readonly archive: string;
}

/** A file system that every zone reaches. Throws ConfigError. */
export function planFiles({ zones, backupDays, settings }: FilesNeed): FilesPlan {
  const { idleAfterDays, archiveAfterDays, storedGiB } = settings;
  const faults: Fault[] = [];
  if (archiveAfterDays < MIN_ARCHIVE_DAYS) {
    faults.push({
      setting: "files.archiveAfterDays",
      problem: `is ${archiveAfterDays}, and EFS archives after ${MIN_ARCHIVE_DAYS} at the earliest`,
      remedy: `Set it to ${MIN_ARCHIVE_DAYS} or more`,
    });
  } else if (archiveAfterDays <= idleAfterDays) {
    faults.push({
      setting: "files.archiveAfterDays",
      problem: `is ${archiveAfterDays}, and files are moved to the cheaper class after ${idleAfterDays} days before that`,
      remedy: "Set it higher than files.idleAfterDays",
    });
  }
  if (faults.length > 0) throw new ConfigError(faults);
  return {
    uses: FILE_USES,
    mountTargets: zones,
    backup: backupDays > 0,
    storedGiB,
    idle: after(idleAfterDays),
    archive: after(archiveAfterDays),
  };
}

const after = (days: number) => (days === 1 ? "AFTER_1_DAY" : `AFTER_${days}_DAYS`);

/** The row of `fleet plan`. */
export function tierFiles(plan: FilesPlan, region: string): Tier {
  const prices = pricesOf(FILES_PRICES, region);
  const gb = plan.storedGiB;
  const line = (what: string, percent: number, unit: string, priceUsd: number) => ({
    what,
    quantity: (gb * percent) / 100,
    unit,
    priceUsd,
  });
  return {
    tier: "files",
    size: `EFS, ${plan.uses.join(" and ")}`,
    count: plan.mountTargets,
    why: `a mount target in each of ${plan.mountTargets} zones; ${gb} GiB stored`,
    survives: "a zone: files lie in three, and each zone has its own way to them",
    costs: prices
      ? [
          line(FILES_LINES.stored, 100 - IDLE_PERCENT, "GB-month", prices.gbMonth),
          line(FILES_LINES.idle, IDLE_PERCENT, "GB-month", prices.idleGbMonth),
          line(FILES_LINES.read, READ_PERCENT, "GB", prices.readGb),
          line(FILES_LINES.written, WRITE_PERCENT, "GB", prices.writtenGb),
          line(FILES_LINES.backups, plan.backup ? 100 : 0, "GB-month", prices.backupGbMonth),
        ]
      : [],
  };
}

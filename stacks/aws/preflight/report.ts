import { existsSync, readFileSync } from "node:fs";
import type { PreflightCheck } from "./need.ts";

/** Variable that names the file for the checks; set, the program looks at the account and makes nothing. */
export const PREFLIGHT_REPORT = "OPENCLAW_FLEET_PREFLIGHT_REPORT";

/** Reads what a program wrote there; null when it wrote nothing. */
export function readReport(file: string): readonly PreflightCheck[] | null {
  if (!existsSync(file)) return null;
  return (JSON.parse(readFileSync(file, "utf8")) as { checks: PreflightCheck[] }).checks;
}

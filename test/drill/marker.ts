import { randomBytes } from "node:crypto";

/** A text that occurs in one turn only and survives echoing, lower-casing and quoting. */
export function newMarker(): string {
  return `turn-${randomBytes(6).toString("hex")}`;
}

const MARKER = /\b(?:turn-[0-9a-f]{12}|cron-[a-z0-9]+-job)\b/g;

/** All markers of a text, in order, each once. */
export function markersIn(text: string): string[] {
  return [...new Set(text.match(MARKER) ?? [])];
}

/** The text a cron job of the drill sends: runs of one job share it. */
export function cronMarker(name: string): string {
  return `cron-${name}-job`;
}

export const isCronMarker = (marker: string): boolean => marker.startsWith("cron-");

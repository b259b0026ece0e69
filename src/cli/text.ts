/**
 * Text from models, data sets and checkpoints is hostile: it may carry terminal escapes that move the cursor, change
 * the title or hide what was printed. Everything of that origin goes through here before it reaches a terminal.
 */

/** CSI, OSC, DCS, SOS, PM and APC sequences (7- and 8-bit forms), and two-byte escapes. An unfinished one runs to the end. */
const ESCAPES =
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*(?:[@-~]|$)|(?:\u001b[\]PX^_]|[\u0090\u0098\u009d-\u009f])[\s\S]*?(?:\u0007|\u001b\\|\u009c|$)|\u001b[ -/]*(?:[0-~]|$)/g;

/** Control characters but tab and newline, and the marks that reorder text on screen. */
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Text that a terminal shows as it is: no escape sequences, no control characters but tab and newline. */
export function plainText(text: string): string {
  return text.replace(/\r\n/g, '\n').replace(ESCAPES, '').replace(CONTROLS, '');
}

/** Plain text on one line of at most `width` characters; line breaks are shown as `\n`, a cut as `…`. */
export function oneLine(text: string, width = 100): string {
  const line = [...plainText(text).replace(/\n/g, '\\n').replace(/\t/g, ' ')];
  return line.length <= width ? line.join('') : `${line.slice(0, width - 1).join('')}…`;
}

/** 75 -> '1m 15s'. Whole seconds, hours at most. */
export function duration(seconds: number): string {
  const total = Math.max(0, Math.round(seconds));
  const hours = Math.floor(total / 3600);
  const minutes = Math.floor((total % 3600) / 60);
  if (hours > 0) return `${hours}h ${minutes}m`;
  return minutes > 0 ? `${minutes}m ${total % 60}s` : `${total}s`;
}

/** 0.4567 -> '45.7 %'. */
export function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(1)} %`;
}

/** 1536 -> '1.5 KB'; decimal units. */
export function bytes(count: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** A path or name as one word of a POSIX shell, for commands that are printed to be copied. */
export function shellWord(text: string): string {
  const plain = oneLine(text, 1000);
  return /^[\w./:@%+=,~-]+$/.test(plain) ? plain : `'${plain.replaceAll("'", "'\\''")}'`;
}

/** A number for a person: whole as it is, else about four significant digits. */
export function short(value: unknown): string {
  if (typeof value !== 'number') return String(value);
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
}

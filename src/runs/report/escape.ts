/** Text of models, data and configuration is hostile: nothing of it reaches a page except through these functions. */

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** For element content and quoted attribute values. Invisible characters stay: use `visibleText` for model text. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}

/**
 * Control and format characters other than newline and tab, lone surrogates, private use, and the variation and tag
 * characters that can hide a message: what a reader would not see, or what would reorder what is seen.
 */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]|[\u{e0100}-\u{e01ef}]|\u115f|\u1160|\u3164|\uffa0/gu;
const SHOWN_AS_IS = new Set(['\n', '\t']);

/** HTML of model text: escaped, and characters that cannot be seen are spelled out as U+XXXX. */
export function visibleText(text: string): string {
  const unified = text.replaceAll('\r\n', '\n');
  let html = '';
  let end = 0;
  for (const match of unified.matchAll(INVISIBLE)) {
    if (SHOWN_AS_IS.has(match[0])) continue;
    html += escapeHtml(unified.slice(end, match.index)) + spelledOut(match[0]);
    end = match.index + match[0].length;
  }
  return html + escapeHtml(unified.slice(end));
}

function spelledOut(character: string): string {
  const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
  return `<span class="hidden-char">U+${code}</span>`;
}

/** One line of model text for a heading or a table cell, cut to `limit` characters. */
export function visibleLine(text: string, limit = 160): string {
  const line = text.replace(/\s+/g, ' ').trim();
  const characters = [...line];
  return visibleText(characters.length > limit ? `${characters.slice(0, limit).join('')}…` : line);
}

/** JSON for a data block inside a page: no `<`, so that no tag can end the block. */
export function embedJson(value: unknown): string {
  return JSON.stringify(value)
    .replaceAll('<', '\\u003c')
    .replaceAll('\u2028', '\\u2028')
    .replaceAll('\u2029', '\\u2029');
}

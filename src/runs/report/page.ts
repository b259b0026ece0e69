import { createHash } from 'node:crypto';

export interface PageParts {
  /** HTML. */
  title: string;
  body: string;
  style: string;
  script: string;
  /** JSON text without `<`. */
  data: string;
}

/**
 * A page that needs nothing and reaches nothing: only this style and this script may run, known by their hashes; no
 * address may be loaded, no form sent, no frame made.
 */
export function buildPage({ title, body, style, script, data }: PageParts): string {
  const policy = [
    "default-src 'none'",
    `script-src '${hashOf(script)}'`,
    `style-src '${hashOf(style)}'`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${title}</title>
<style>${style}</style>
</head>
<body>
${body}
<script type="application/json" id="chart-data">${data}</script>
<script>${script}</script>
</body>
</html>
`;
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text, 'utf8').digest('base64')}`;
}

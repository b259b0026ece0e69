import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { writeReport } from '../../src/runs/index.js';
import { makeSyntheticRun } from './synthetic.js';

/** HONE_BROWSER names the browser to use, and makes one a must; else any Chromium on the path. */
function findBrowser(): string | undefined {
  const named = process.env['HONE_BROWSER'];
  if (named !== undefined) return named;
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
  return folders.flatMap((folder) => names.map((name) => join(folder, name))).find((path) => existsSync(path));
}

const executablePath = findBrowser();
const FLAGS = [
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

let folder: string;
let report: string;
let browser: Browser | undefined;

beforeAll(async () => {
  if (executablePath === undefined) return;
  folder = await mkdtemp(join(tmpdir(), 'hone-report-'));
  await makeSyntheticRun(join(folder, 'run'));
  report = pathToFileURL(await writeReport(join(folder, 'run'))).href;
  // A browser refuses to sandbox itself when it runs as root, as it does in many containers.
  const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  browser = await chromium.launch({ executablePath, args: [...FLAGS, ...sandbox] });
});
afterAll(async () => {
  await browser?.close();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

/** Opens the report; collects everything the browser complains about and every address it asks for. */
async function open(options: { width: number; dark?: boolean }): Promise<{ page: Page; complaints: string[] }> {
  if (browser === undefined) throw new Error('no browser');
  const page = await browser.newPage({
    viewport: { width: options.width, height: 900 },
    colorScheme: options.dark ? 'dark' : 'light',
  });
  const complaints: string[] = [];
  page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
  page.on('request', (request) => {
    if (request.url().split('#')[0] !== report) complaints.push(`request: ${request.url()}`);
  });
  await page.goto(report);
  await page.waitForSelector('.plot canvas');
  return { page, complaints };
}

/** How many canvases there are, and how many of them carry more than one colour. */
const COUNT_DRAWN = `[...document.querySelectorAll('.plot canvas')].map((canvas) => {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size > 2;
})`;

describe('report.html in a browser', () => {
  beforeEach((context) => {
    if (executablePath === undefined) context.skip('no Chromium on this machine; set HONE_BROWSER to its path');
  });

  test.each([{ width: 1280 }, { width: 1280, dark: true }, { width: 390 }])(
    'runs no text of the run, draws every curve and fits the screen: %o',
    async (options) => {
      const { page, complaints } = await open(options);
      const drawn = await page.evaluate<boolean[]>(COUNT_DRAWN);
      expect(drawn.length).toBeGreaterThan(12);
      expect(drawn.every(Boolean)).toBe(true);
      expect(await page.evaluate('window.pwned')).toBeUndefined();
      expect(await page.evaluate('document.querySelectorAll("img, iframe, object, link").length')).toBe(0);
      expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
      expect(complaints).toEqual([]);
      await page.close();
    },
  );

  test('the keyboard reads a chart, hides a line and opens a rollout', async () => {
    const { page, complaints } = await open({ width: 1280 });
    const legend = '#chart-accuracy .legend .value';
    const last = await page.textContent(legend);
    await page.focus('#chart-accuracy .plot');
    await page.keyboard.press('Home');
    expect(await page.textContent(legend)).not.toBe(last);
    await page.focus('#chart-accuracy .legend button');
    await page.keyboard.press('Enter');
    expect(await page.getAttribute('#chart-accuracy .legend button', 'aria-pressed')).toBe('false');
    await page.focus('details.row summary');
    await page.keyboard.press('Enter');
    expect(await page.isVisible('details.row pre')).toBe(true);
    expect(complaints).toEqual([]);
    await page.close();
  });

  test('hostile text is shown as text, with what cannot be seen spelled out', async () => {
    const { page } = await open({ width: 1280 });
    const text = (await page.textContent('.pair .side pre')) ?? '';
    expect(text).toContain('</pre></script><script>window.pwned = 1</script><img src=x onerror="window.pwned = 2">');
    expect(text).toContain('U+202Egnirts desreverU+202C U+200BzeroU+200DwidthU+0000 U+001B[31m');
    expect(await page.content()).not.toContain('never-to-be-seen');
    await page.close();
  });

  test('the content policy stops a script that was put into the page', async () => {
    const { page, complaints } = await open({ width: 1280 });
    await page.evaluate(
      `document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.pwned = 3' }))`,
    );
    expect(await page.evaluate('window.pwned')).toBeUndefined();
    expect(complaints.join()).toMatch(/Content Security Policy/);
    await page.close();
  });
});

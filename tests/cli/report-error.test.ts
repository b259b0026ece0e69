import { describe, expect, it } from 'vitest';
import { reportError } from '../../src/cli/report-error.js';
import { EXIT_CODES, type ErrorKind, HoneError } from '../../src/core/index.js';

describe('reportError', () => {
  it.each(Object.entries(EXIT_CODES))('kind %s ends with exit code %i', (kind, code) => {
    expect(reportError(new HoneError(kind as ErrorKind, 'x'), { debug: false }).exitCode).toBe(code);
  });

  it('prints the cause on one line and the way out on the next', () => {
    const error = new HoneError('input', 'not\n JSON', { where: 'chat.jsonl:3', hint: 'Fix the row.' });
    const report = reportError(error, { debug: false });
    expect(report.text).toBe('error: chat.jsonl:3: not JSON\n  way out: Fix the row.');
    expect(report.json).toEqual({
      error: { kind: 'input', message: 'chat.jsonl:3: not JSON', where: 'chat.jsonl:3', hint: 'Fix the row.' },
    });
  });

  it('names a way out even where the error does not', () => {
    const report = reportError(new HoneError('usage', 'expected a number'), { debug: false });
    expect(report.text).toMatch(/\n {2}way out: .*--help/);
  });

  it('names a full disk for what it is', () => {
    const error = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    const report = reportError(error, { debug: false });
    expect(report.exitCode).toBe(EXIT_CODES.resource);
    expect(report.text).toContain('no space left on the disk');
    expect(report.text).toContain('way out: Free some space');
  });

  it.each(['EDQUOT', 'EACCES', 'EPERM', 'EROFS', 'EIO', 'EMFILE'])('takes %s for the state of the machine', (code) => {
    const error = Object.assign(new Error(`${code}: read`), { code, path: 'weights' });
    const { json } = reportError(error, { debug: false });
    expect(json.error).toMatchObject({ kind: 'resource', where: 'weights', hint: expect.stringMatching(/\w/) });
  });

  it('calls everything else a bug, with the stack only on request', () => {
    const bug = new TypeError('x is not a function');
    expect(reportError(bug, { debug: false })).toMatchObject({ exitCode: 1, json: { error: { kind: 'bug' } } });
    expect(reportError(bug, { debug: false }).text).not.toContain('report-error.test');
    expect(reportError(bug, { debug: true }).text).toContain('report-error.test');
  });

  it('strips terminal escapes from causes that quote data', () => {
    const report = reportError(new HoneError('input', 'row \u001b[31mred'), { debug: false });
    expect(report.text).toMatch(/^error: row red\n/);
  });
});

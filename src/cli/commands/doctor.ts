import type { Command } from 'commander';
import { examine, type Finding } from '../doctor.js';
import type { Io } from '../io.js';
import { examples, withCommonOptions } from '../options.js';

export function define(command: Command, io: Io): void {
  withCommonOptions(command)
    .description(
      'What this machine can do: Node, cores, memory, disk, the compute engine and its measured matrix rate.',
    )
    .action(async () => {
      const report = await examine(process.cwd(), io.progress);
      io.progress.end();
      io.result({ ok: report.ok, ...report.facts, findings: report.findings.map((finding) => ({ ...finding })) }, () =>
        print(io, report.findings, report.ok),
      );
      if (!report.ok) process.exitCode = 4;
    });
  examples(command, ['hone doctor', 'hone doctor --json']);
}

function print(io: Io, findings: readonly Finding[], ok: boolean): void {
  const mark = { ok: io.color.green('ok     '), note: io.color.yellow('note   '), problem: io.color.red('problem') };
  for (const { level, name, text, hint } of findings) {
    io.print(`${mark[level]} ${name.padEnd(16)} ${text}`);
    if (hint !== undefined) io.print(`        ${' '.repeat(16)} way out: ${hint}`);
  }
  io.print(ok ? 'This machine can train. Next: hone quickstart' : 'Something is missing: see the problems above.');
}

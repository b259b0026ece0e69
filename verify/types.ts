export interface CheckContext {
  data?: string;
  smollm2?: string;
  python?: string /* interpreter with peers */;
  scratch: string;
  log(line: string): void;
}
export interface CheckResult {
  status: 'passed' | 'failed' | 'skipped';
  detail: string;
  numbers?: Record<string, number | string>;
}
export interface Check {
  name: string;
  shows: string;
  needs: readonly ('data' | 'smollm2' | 'python')[];
  run(ctx: CheckContext): Promise<CheckResult>;
}

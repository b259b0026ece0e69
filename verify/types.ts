/** What a check may use. */
export interface CheckContext {
  /** Folder of benchmark files (`gsm8k_train.jsonl`, `gsm8k_test.jsonl`, ...). */
  data?: string;
  /** SmolLM2-135M-Instruct as a GGUF file. */
  smollm2?: string;
  /** Qwen's tokenizer as a folder (tokenizer.json, *.jinja, qwen.tiktoken): verify/peers/make_qwen_tokenizer.py. */
  qwen?: string;
  /** Python with the peers a check names in its `shows` line. */
  python?: string;
  /** Folder whose node_modules holds node-llama-cpp with a prebuilt binary. */
  llamacpp?: string;
  /** A folder of this check's own: empty, but for what an earlier run left there with `--folder`. */
  scratch: string;
  /** A line of progress, on standard error. */
  log(line: string): void;
}

export interface CheckResult {
  status: 'passed' | 'failed' | 'skipped';
  /** One line: what was seen, or, when skipped, why and what has therefore not been shown. */
  detail: string;
  numbers?: Record<string, number | string>;
}

/** One file of verify/checks, as its default export. */
export interface Check {
  name: string;
  /** The claim that passing shows, in one line. */
  shows: string;
  needs: readonly ('data' | 'smollm2' | 'qwen' | 'python' | 'llamacpp')[];
  run(ctx: CheckContext): Promise<CheckResult>;
}

import { call, childContext, childSeed, labelled, methodNode, turnsOf } from './call.js';
import { direct } from './direct.js';
import { opencompassAnswer, opencompassEquivalent } from './opencompass.js';
import { ask, bareQuestion, cleanSticker } from './sticker.js';
import type { Method, Question, ThinkContext, Thought, TranscriptNode } from './types.js';

export interface SiftOptions {
  /** Stages to go through before the fallback, 1 to 3. Default 3. */
  stages?: 1 | 2 | 3;
  /**
   * When two predictions agree. `grader`: our extraction and comparison, a missing answer agrees with nothing;
   * `opencompass`: the public code's extraction, which always finds something, and equality of normalised strings.
   */
  equivalence?: 'grader' | 'opencompass';
  /** Which prediction is returned on consensus: P_{Q,S} as Algorithm 2 says, or P_S, which the public code credits. */
  returns?: 'query-and-sticker' | 'sticker';
  /** What makes a prediction. Default: one call. */
  inner?: Method;
}

/** One run: numbers its calls, so that each has its seed, and keeps what they said. */
class Run {
  readonly children: TranscriptNode[] = [];
  missingStickers = 0;
  #calls = 0;

  constructor(
    readonly question: Question,
    readonly bare: string,
    readonly context: ThinkContext,
    readonly inner: Method,
  ) {}

  #below(label: string): ThinkContext {
    return childContext(this.context, label, childSeed(this.context, 'sift', this.#calls++));
  }

  /** SG, FO or IG: a Sticker from a prompt. */
  async sticker(label: string, prompt: string): Promise<string> {
    const { onEvent: _, ...below } = this.#below(label);
    const { onEvent } = this.context;
    const context = onEvent ? { ...below, onEvent } : below;
    const node = await call(context, label, { messages: turnsOf({ ...this.question, prompt }) });
    this.children.push(node);
    if (node.content === undefined) this.missingStickers++;
    return cleanSticker(node.content ?? '');
  }

  async prediction(label: string, prompt: string): Promise<Thought> {
    const thought = await this.inner.run({ ...this.question, prompt }, this.#below(label));
    this.children.push(labelled(thought.transcript, label));
    return thought;
  }
}

/**
 * SIFT (arXiv 2502.14922, Algorithm 2): the model writes down the facts of the question (a Sticker); a prediction from
 * the Sticker alone and one from question and Sticker must agree (CP). Without consensus the Sticker is optimised
 * against the question (FO), then made anew from the prediction (IG) and optimised again, and at last the question is
 * answered directly. 3 to 11 calls.
 */
export function sift(options: SiftOptions = {}): Method {
  const { stages = 3, equivalence = 'grader', returns = 'query-and-sticker', inner = direct() } = options;
  const settings = { stages, equivalence, returns, inner: { method: inner.name, ...inner.settings } };
  const agree = equivalence === 'opencompass' ? opencompassAgree : graderAgree;

  const run: Method['run'] = async (question, context) => {
    const bare = bareQuestion(question.prompt);
    const at = new Run(question, bare, context, inner);
    const finish = (thought: Thought, stage: number): Thought => {
      const notes = { stage, missingStickers: at.missingStickers };
      return { ...thought, transcript: methodNode('sift', at.children, notes) };
    };
    let sticker = '';
    let both: Thought | undefined;
    for (let stage = 1; stage <= stages; stage++) {
      sticker = await stickerOf(at, stage, sticker, both);
      const alone = await at.prediction(`P_S${stage}`, ask.fromSticker(sticker));
      both = await at.prediction(`P_Q,S${stage}`, ask.fromBoth(bare, sticker));
      if (await agree(alone, both, context)) return finish(returns === 'sticker' ? alone : both, stage);
    }
    return finish(await at.prediction('P_Q', ask.fromQuestion(bare)), 0);
  };
  return { name: 'sift', needs: inner.needs, settings, run };
}

/** S1 = SG(Q); S2 = FO(Q, S1); S3 = FO(Q, IG(P_{Q,S2})). */
async function stickerOf(at: Run, stage: number, last: string, both: Thought | undefined): Promise<string> {
  if (stage === 1) return at.sticker('SG', ask.sticker(at.bare));
  if (stage === 2) return at.sticker('FO', ask.optimised(at.bare, last));
  const inverted = await at.sticker('IG', ask.inverted(both?.text ?? ''));
  return at.sticker('FO after IG', ask.optimised(at.bare, inverted));
}

async function graderAgree(a: Thought, b: Thought, { answers }: ThinkContext): Promise<boolean> {
  return a.answer !== undefined && b.answer !== undefined && (await answers.same(a.answer, b.answer));
}

function opencompassAgree(a: Thought, b: Thought): boolean {
  return opencompassEquivalent(opencompassAnswer(a.text ?? ''), opencompassAnswer(b.text ?? ''));
}

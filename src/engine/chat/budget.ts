import { ChatError } from './errors.js';
import type { ChatUsage } from './types.js';

export interface BudgetLimits {
  /** Prompt and generated tokens together. */
  tokens?: number;
  /** In the currency of the prices. */
  money?: number;
  /** Price of a million tokens. Needed for a limit in money. */
  prices?: { promptPerMillion: number; completionPerMillion: number };
}

/** What the requests of a model have cost. Replies from a cache cost nothing. */
export interface Spending {
  requests: number;
  retries: number;
  promptTokens: number;
  completionTokens: number;
  /** Generated tokens of replies that broke off: paid, and not to be had. A lower bound, from what had arrived. */
  lostTokens: number;
  /** Replies that broke off. */
  lostReplies: number;
  money: number;
}

/** Counts what is spent, and refuses new requests once an allowance is used up; replies under way are still taken. */
export class Budget {
  readonly #limits: BudgetLimits;
  readonly #spent: Spending = {
    requests: 0,
    retries: 0,
    promptTokens: 0,
    completionTokens: 0,
    lostTokens: 0,
    lostReplies: 0,
    money: 0,
  };

  constructor(limits: BudgetLimits = {}) {
    if (limits.money !== undefined && limits.prices === undefined)
      throw new ChatError('refused', 'a budget in money needs prices', {
        where: 'budget.prices',
        hint: 'Give the price of a million prompt and completion tokens.',
      });
    this.#limits = limits;
  }

  get spent(): Readonly<Spending> {
    return { ...this.#spent };
  }

  /** Called before a request is sent. @throws ChatError('budget') when the allowance is spent. */
  admit(attempt: number): void {
    const { tokens, money } = this.#limits;
    const used = this.#spent.promptTokens + this.#spent.completionTokens + this.#spent.lostTokens;
    if (tokens !== undefined && used >= tokens) throw spent(`${used} of ${tokens} tokens`);
    if (money !== undefined && this.#spent.money >= money) throw spent(`${this.#spent.money.toFixed(4)} of ${money}`);
    this.#spent.requests++;
    if (attempt > 0) this.#spent.retries++;
  }

  charge({ promptTokens, completionTokens }: ChatUsage): void {
    this.#spent.promptTokens += promptTokens;
    this.#spent.completionTokens += completionTokens;
    this.#pay(promptTokens, completionTokens);
  }

  /** A reply that broke off after `tokens` generated tokens. */
  lose(promptTokens: number, tokens: number): void {
    this.#spent.lostReplies++;
    this.#spent.promptTokens += promptTokens;
    this.#spent.lostTokens += tokens;
    this.#pay(promptTokens, tokens);
  }

  #pay(promptTokens: number, completionTokens: number): void {
    const { prices } = this.#limits;
    if (prices === undefined) return;
    this.#spent.money +=
      (promptTokens * prices.promptPerMillion + completionTokens * prices.completionPerMillion) / 1e6;
  }
}

function spent(what: string): ChatError {
  return new ChatError('budget', `the budget is spent: ${what}`, {
    hint: 'Raise the budget and run the same command again: what was answered is kept in the cache.',
  });
}

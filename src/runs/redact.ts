import type { Json } from './types.js';

export const REDACTED = '[redacted]';

/** `apiKey`, `API_KEY`, `api-key` -> api, key. */
function wordsOf(name: string): string[] {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '');
}

const ALWAYS = new Set([
  'secret',
  'secrets',
  'password',
  'passwords',
  'passwd',
  'passphrase',
  'credential',
  'credentials',
  'authorization',
  'apikey',
  'apikeys',
]);
/** Words that make `...Key` or `...Token` harmless: special tokens of a vocabulary, fields of a row, public halves. */
const HARMLESS =
  /^(bos|eos|pad|unk|sep|cls|mask|stop|start|end|think|answer|special|per|max|min|public|sort|group|field|id|row|next|first|last|new)$/;
/** Words that make even a plural (`authTokens`, `apiKeys`) a secret. */
const GUARDED = /^(api|auth|access|refresh|bearer|private|session|security|id|hf|hub)$/;

/**
 * Whether an option of this name holds a secret, whatever its value: password, secret, credential; a name that ends in
 * `key` or `token` (`key`, `apiKey`, `HF_TOKEN`), unless the word before it says what harmless thing it is
 * (`eosToken`, `answerKey`). Counts and sizes (`maxTokens`, `tokensPerMicroBatch`, `tokenizer`) are not secrets.
 */
export function looksSecret(name: string): boolean {
  const words = wordsOf(name);
  if (words.some((word) => ALWAYS.has(word))) return true;
  const last = words.at(-1);
  const before = words.at(-2) ?? '';
  if (last === 'key' || last === 'token') return !HARMLESS.test(before);
  return (last === 'keys' || last === 'tokens') && GUARDED.test(before);
}

/** Credentials that stand in a value of any name: tokens of known services, and `user:password@` in an address. */
const SECRET_VALUE = /\b(?:hf_|sk-|ghp_|gho_|github_pat_|xox[abp]-|tml-|AKIA)[A-Za-z0-9_-]{12,}/g;
const ADDRESS_PASSWORD = /(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi;

function redactText(text: string): string {
  return text.replace(SECRET_VALUE, REDACTED).replace(ADDRESS_PASSWORD, `$1${REDACTED}@`);
}

/** A copy without secrets. A numeric or boolean `...token`/`...key` (an id, a switch) stays. */
export function redact(value: Json): Json {
  if (typeof value === 'string') return redactText(value);
  if (value === null || typeof value !== 'object') return value;
  if (isList(value)) return value.map(redact);
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, hides(name, item) ? REDACTED : redact(item)]),
  );
}

function hides(name: string, value: Json): boolean {
  if (value === null || value === '' || !looksSecret(name)) return false;
  return typeof value === 'string' || typeof value === 'object' || wordsOf(name).some((word) => ALWAYS.has(word));
}

function isList(value: object): value is readonly Json[] {
  return Array.isArray(value);
}
